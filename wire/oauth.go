package wire

// Paths of the standard OAuth surface. They are absolute, whatever the base path.
const (
	PathAuthorize           = "/oauth/authorize"            // GET, POST (RFC 6749 §3.1)
	PathToken               = "/oauth/token"                // POST (RFC 6749 §3.2)
	PathRevoke              = "/oauth/revoke"               // POST (RFC 7009)
	PathIntrospect          = "/oauth/introspect"           // POST (RFC 7662)
	PathDeviceAuthorization = "/oauth/device_authorization" // POST (RFC 8628 §3.1)
	PathDevice              = "/oauth/device"               // GET, POST: where users enter the code
	PathUserInfo            = "/oauth/userinfo"             // GET, POST (OpenID Connect Core §5.3)
	PathEndSession          = "/oauth/logout"               // GET, POST (OpenID Connect RP-Initiated Logout)

	PathOAuthMetadata  = "/.well-known/oauth-authorization-server" // GET (RFC 8414)
	PathOpenIDMetadata = "/.well-known/openid-configuration"       // GET (OpenID Connect Discovery)
)

// Scopes that say what an ID token and UserInfo tell of the user (OpenID Connect Core
// §5.4, §11), and grant no permission.
const (
	ScopeOpenID        = "openid"
	ScopeProfile       = "profile"
	ScopeEmail         = "email"
	ScopeRoles         = "roles" // the claims roles and groups
	ScopeOfflineAccess = "offline_access"
)

// IdentityScopes are all of them.
var IdentityScopes = []string{ScopeOpenID, ScopeProfile, ScopeEmail, ScopeRoles, ScopeOfflineAccess}

// OAuthError is an error response of the OAuth surface (RFC 6749 §5.2).
type OAuthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// DeviceAuthorization is the response to POST /oauth/device_authorization (RFC 8628 §3.2).
type DeviceAuthorization struct {
	DeviceCode              string `json:"device_code"`
	UserCode                string `json:"user_code"`
	VerificationURI         string `json:"verification_uri"`
	VerificationURIComplete string `json:"verification_uri_complete"`
	ExpiresIn               int64  `json:"expires_in"` // seconds
	Interval                int64  `json:"interval"`   // seconds
}

// OAuthMetadata is the metadata of RFC 8414 and OpenID Connect Discovery.
type OAuthMetadata struct {
	Issuer                       string   `json:"issuer"`
	AuthorizationEndpoint        string   `json:"authorization_endpoint"`
	TokenEndpoint                string   `json:"token_endpoint"`
	UserInfoEndpoint             string   `json:"userinfo_endpoint"`
	RevocationEndpoint           string   `json:"revocation_endpoint"`
	IntrospectionEndpoint        string   `json:"introspection_endpoint"`
	DeviceAuthorizationEndpoint  string   `json:"device_authorization_endpoint"`
	EndSessionEndpoint           string   `json:"end_session_endpoint"`
	JWKSURI                      string   `json:"jwks_uri"`
	ResponseTypes                []string `json:"response_types_supported"`
	ResponseModes                []string `json:"response_modes_supported"`
	GrantTypes                   []string `json:"grant_types_supported"`
	CodeChallengeMethods         []string `json:"code_challenge_methods_supported"`
	TokenEndpointAuth            []string `json:"token_endpoint_auth_methods_supported"`
	RevocationEndpointAuth       []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionEndpointAuth    []string `json:"introspection_endpoint_auth_methods_supported"`
	AuthorizationResponseIssuer  bool     `json:"authorization_response_iss_parameter_supported"`
	SubjectTypes                 []string `json:"subject_types_supported"`
	IDTokenSigningAlgorithms     []string `json:"id_token_signing_alg_values_supported"`
	DPoPAlgorithms               []string `json:"dpop_signing_alg_values_supported"` // RFC 9449 §5.1
	Scopes                       []string `json:"scopes_supported"`
	Claims                       []string `json:"claims_supported"`
	UILocales                    []string `json:"ui_locales_supported"`
	PromptValues                 []string `json:"prompt_values_supported"`
	ClaimsParameterSupported     bool     `json:"claims_parameter_supported"`
	RequestParameterSupported    bool     `json:"request_parameter_supported"`
	RequestURIParameterSupported bool     `json:"request_uri_parameter_supported"`
}
