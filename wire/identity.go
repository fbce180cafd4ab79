package wire

// Headers that tell an API behind the gateway, or behind another proxy that
// asked GET /auth/verify, who is calling. They are all present when somebody is
// signed in and all absent otherwise; whatever a caller sends under such a name
// is dropped. Values are UTF-8 with everything but printable ASCII, and the
// characters % and comma, percent-encoded (decodeURIComponent gives it back);
// lists are separated by commas.
const (
	// HeaderIdentityPrefix starts them all; other names under it are dropped, too.
	HeaderIdentityPrefix = "X-Tacet-"

	HeaderUser          = "X-Tacet-User"           // the user's id (sub)
	HeaderSession       = "X-Tacet-Session"        // the session's id (sid)
	HeaderClient        = "X-Tacet-Client"         // client_id
	HeaderRoles         = "X-Tacet-Roles"          // list
	HeaderPermissions   = "X-Tacet-Permissions"    // list, wildcards included
	HeaderGrantsVersion = "X-Tacet-Grants-Version" // decimal
	// HeaderIdentity is a JWT that says the same and is signed by the server:
	// typ [IdentityTokenType], [AccessClaims], aud the upstream's
	// scheme://host[:port], good for a minute. Only the gateway sets it, and
	// only if it is told to.
	HeaderIdentity = "X-Tacet-Identity"

	// HeaderRequire names permissions that GET /auth/verify shall ask for.
	HeaderRequire = "X-Tacet-Require"
)

// IdentityTokenType is the typ header of a signed identity. It is no access
// token.
const IdentityTokenType = "tacet-identity+jwt"

// WebSocket subprotocols that the gateway understands. Browsers can set no
// header on a WebSocket but this one, and a token in a URL would be logged:
// new WebSocket(url, [SubprotocolPlain, SubprotocolBearer + token]).
const (
	SubprotocolBearer = "tacet.bearer." // followed by the access token; never passed on
	SubprotocolPlain  = "tacet"         // answered if the API chooses none of the others
)

// CloseSessionOver is the close code (RFC 6455 §7.4.2) of a WebSocket that the
// gateway closes because its access token would be refused now. The reason is
// one of the Close… texts: renew and connect again.
const (
	CloseSessionOver = 4401

	CloseSessionEnded  = "session_ended"
	CloseGrantsChanged = GrantsChanged
)
