package wire

// Paths below the base path (default [DefaultBasePath]).
const (
	DefaultBasePath = "/auth"

	PathLogin    = "/login"    // POST
	PathRefresh  = "/refresh"  // POST
	PathConfirm  = "/confirm"  // POST
	PathLogout   = "/logout"   // POST
	PathMe       = "/me"       // GET
	PathSessions = "/sessions" // GET; DELETE PathSessions/{id}
	PathEvents   = "/events"   // GET, text/event-stream
	PathVerify   = "/verify"   // GET, forward-auth
	PathOpenAPI  = "/openapi.yaml"

	// PathProviders is GET; below it, for each identity provider: GET
	// {id}/start, GET {id}/callback, POST {id} and PathBackchannelLogout.
	PathProviders         = "/oidc"
	PathBackchannelLogout = "/backchannel-logout"

	// PathJWKS is absolute (RFC 8615): the key set of RFC 7517.
	PathJWKS = "/.well-known/jwks.json"
)

// Cookies and headers.
const (
	// Cookies have the path / and no domain. Under TLS their names start with
	// CookieSecurePrefix, so that no other host can set them (RFC 6265bis §4.1.3.2),
	// and they are Secure.
	CookieSecurePrefix = "__Host-"
	// CookieRefresh carries the refresh token: HttpOnly, SameSite.
	CookieRefresh = "tacet_refresh"
	// CookieCSRF is readable by scripts. It changes with every renewal and starts
	// with the generation of the refresh cookie that was set beside it, in decimal,
	// followed by a dot.
	CookieCSRF = "tacet_csrf"
	// HeaderCSRF must repeat CookieCSRF on every state-changing call that a
	// cookie authenticates. HeaderXSRF, which axios knows, is taken too.
	HeaderCSRF = "X-CSRF-Token"
	HeaderXSRF = "X-XSRF-TOKEN"
)

// Delivery says where the refresh token travels.
type Delivery string

const (
	DeliveryCookie Delivery = "cookie" // Set-Cookie; the default
	DeliveryBody   Delivery = "body"   // member "refresh_token"
	DeliveryTicket Delivery = "ticket" // not at all: a ticket is redeemed later ([Ticket])
)

// LoginRequest is the body of POST /auth/login: a name and a password, or a ticket.
type LoginRequest struct {
	Username string   `json:"username,omitempty"`
	Password string   `json:"password,omitempty"`
	Ticket   string   `json:"ticket,omitempty"` // of [Ticket]; it is good once
	Delivery Delivery `json:"delivery,omitempty"`
}

// RefreshRequest is the body of POST /auth/refresh and /auth/confirm when the
// token travels in the body.
type RefreshRequest struct {
	RefreshToken string `json:"refresh_token,omitempty"`
	// Session is the id of the session that the caller means. If the token is
	// another one's, nothing changes (CodeOtherSession).
	Session string `json:"session,omitempty"`
}

// LogoutRequest is the body of POST /auth/logout.
type LogoutRequest struct {
	RefreshToken string `json:"refresh_token,omitempty"`
	Everywhere   bool   `json:"everywhere,omitempty"`
	Session      string `json:"session,omitempty"` // as in RefreshRequest
}

// TokenResponse is the response to login (with User) and refresh (without).
type TokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"` // always "Bearer" (RFC 6750)
	// ExpiresIn is the access token's lifetime in seconds, counted from the
	// receipt of the response.
	ExpiresIn int64 `json:"expires_in"`
	// RefreshToken is present under body delivery, and absent when the response
	// is to a slow duplicate: keep the token that you have.
	RefreshToken string       `json:"refresh_token,omitempty"`
	Session      TokenSession `json:"session"`
	User         *User        `json:"user,omitempty"`
}

// TokenSession names the session and says when it ends if it is not renewed
// again. Times are RFC 3339 in UTC.
type TokenSession struct {
	ID        string `json:"id"`
	ExpiresAt string `json:"expires_at,omitempty"`
}

// User is who is signed in, as front-ends show it.
type User struct {
	ID          string `json:"id"`
	Username    string `json:"username"`
	DisplayName string `json:"display_name,omitempty"`
	Email       string `json:"email,omitempty"`
}

// Me is the application configuration, returned by GET /auth/me with an ETag.
type Me struct {
	User          User           `json:"user"`
	Roles         []string       `json:"roles"`
	Permissions   []string       `json:"permissions"`
	GrantsVersion int64          `json:"grants_version"`
	Session       TokenSession   `json:"session"`
	Settings      map[string]any `json:"settings"`
}

// Session is one entry of GET /auth/sessions.
type Session struct {
	ID        string `json:"id"`
	CreatedAt string `json:"created_at"`
	LastSeen  string `json:"last_seen"`
	ExpiresAt string `json:"expires_at,omitempty"`
	Address   string `json:"address"`
	UserAgent string `json:"user_agent"`
	Current   bool   `json:"current"`
}

// Sessions is the response to GET /auth/sessions, newest first.
type Sessions struct {
	Sessions []Session `json:"sessions"`
}

// Problem is an error response, application/problem+json (RFC 9457). Code is
// stable; Title and Detail are in the caller's language.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
}

// ContentTypeProblem is the media type of [Problem].
const ContentTypeProblem = "application/problem+json"

// Values of Problem.Code. Of them, only CodeInvalidGrant ends a session in a client: with 400, 401 or 403, in a problem
// document. All others, and whatever proxies, portals and firewalls respond, may be tried again.
//
// Where RFC 6749 §5.2, RFC 6750 §3.1 or RFC 8628 have a
// name for the case, it is that name.
const (
	CodeInvalidCredentials = "invalid_credentials" // 400
	CodeInvalidGrant       = "invalid_grant"       // 400: the session is over
	CodeInvalidTicket      = "invalid_ticket"      // 400: unknown, used or late
	CodeInvalidRequest     = "invalid_request"     // 400
	CodeInvalidToken       = "invalid_token"       // 401: renew and retry
	// 401: the user signs in anew, as the challenge says (RFC 9470 §3); do not renew.
	CodeInsufficientAuthentication = "insufficient_user_authentication"
	CodeInsufficientScope          = "insufficient_scope"      // 403: do not renew
	CodeCSRF                       = "csrf"                    // 403: nothing changed
	CodeAccessDenied               = "access_denied"           // 403: of a sign-in at a provider
	CodeNotFound                   = "not_found"               // 404
	CodeMethodNotAllowed           = "method_not_allowed"      // 405
	CodeOtherSession               = "other_session"           // 409: the cookie is not of the session that the request names; nothing changed
	CodeExists                     = "already_exists"          // 409
	CodeOwnAccess                  = "own_access"              // 409: it would take administration from the caller
	CodeLastAdmin                  = "last_admin"              // 409: nobody would be left who has admin:*
	CodeTooLarge                   = "content_too_large"       // 413
	CodeUnsupportedMedia           = "unsupported_media_type"  // 415
	CodeThrottled                  = "too_many_requests"       // 429 with Retry-After
	CodeHeaderTooLarge             = "header_fields_too_large" // 431
	CodeServerError                = "server_error"            // 500
	CodeBadGateway                 = "bad_gateway"             // 502: the API behind the gateway is down
	CodeUnavailable                = "temporarily_unavailable" // 503 with Retry-After
	CodeGatewayTimeout             = "gateway_timeout"         // 504: the API behind the gateway is slow
)

// GrantsChanged is the error_description of a 401 invalid_token for a token that
// is older than the user's last change of grants.
const GrantsChanged = "grants_changed"

// AccessClaims is the payload of an access token (RFC 9068 §2.2).
type AccessClaims struct {
	Issuer        string   `json:"iss"`
	Subject       string   `json:"sub"`
	Audience      string   `json:"aud"`
	ExpiresAt     int64    `json:"exp"` // seconds since the epoch
	IssuedAt      int64    `json:"iat"`
	ID            string   `json:"jti"`
	ClientID      string   `json:"client_id"`
	SessionID     string   `json:"sid"`
	Roles         []string `json:"roles,omitempty"`
	Scope         string   `json:"scope,omitempty"` // permissions, space separated
	GrantsVersion int64    `json:"grants_version"`
	// Chain takes the place of a refresh token for clients that know only one
	// token (session.Binding). It is worth nothing outside a valid access token.
	Chain string `json:"chain,omitempty"`
	// KeepsGrants is set for clients that can't renew when an API refuses a token whose
	// grants have changed: it stays good for what both the old and the new grants allow.
	KeepsGrants bool `json:"keeps_grants,omitempty"`
	// EncryptionKey is the thumbprint (RFC 7638) of the key that the client
	// encrypts with: the token is good for encrypted requests under it, and for
	// nothing else. Empty: it is an ordinary one.
	EncryptionKey string `json:"enc_jkt,omitempty"`
	// Confirmation is set on tokens that are good only with a proof of possession
	// (RFC 9449 §6.1).
	Confirmation *Confirmation `json:"cnf,omitempty"`
	// How and when the user has signed in (RFC 9068 §2.2.1), where the session
	// remembers it.
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	AuthTime int64    `json:"auth_time,omitempty"` // seconds since the epoch
}

// Confirmation names the key that a token is bound to (RFC 7800 §3.1).
type Confirmation struct {
	KeyThumbprint string `json:"jkt"` // RFC 9449 §6.1
}

// AccessTokenType is the typ header of an access token (RFC 9068 §2.1).
const AccessTokenType = "at+jwt"

// Kinds of events (GET /auth/events, event: line).
const (
	EventSessionEnded  = "session.ended"
	EventGrantsChanged = "grants.changed"
	EventReuseDetected = "reuse.detected"
	EventKeysRotated   = "keys.rotated" // resource servers only
	// EventReset says that events may have been missed: read what they are
	// about anew. Its data is {"seq":N}, the number that the stream goes on from.
	EventReset = "reset"
)

// Reasons in a session.ended event and in logs.
const (
	ReasonSignedOut     = "signed_out"
	ReasonEndedByUser   = "ended_by_user"
	ReasonEndedByAdmin  = "ended_by_admin"
	ReasonReuseDetected = "reuse_detected"
	ReasonUserDisabled  = "user_disabled"
	ReasonPassword      = "password_changed"
	ReasonProvider      = "signed_out_at_provider" // where the user had signed in
	ReasonReplaced      = "replaced"               // by a new sign-in in the same browser
)

// Contact is where a presentation came from.
type Contact struct {
	Address   string `json:"address"`
	UserAgent string `json:"user_agent"`
}

// ReuseDetected is the data of a reuse.detected event: both sides of the fork.
type ReuseDetected struct {
	SessionID string  `json:"session_id"`
	Head      Contact `json:"head"`      // who holds the newest token
	Presented Contact `json:"presented"` // who presented the older or forked one
	HeadAt    string  `json:"head_at"`
	At        string  `json:"at"`
}

// GrantsChange is the data of a grants.changed event: tokens with a smaller
// version are refused, renewing brings the new grants.
type GrantsChange struct {
	GrantsVersion int64 `json:"grants_version"`
}

// SessionEnded is the data of a session.ended event.
type SessionEnded struct {
	SessionID string `json:"session_id"`
	Reason    string `json:"reason"`
}
