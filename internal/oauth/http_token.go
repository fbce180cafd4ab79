package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/httpapi/form"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// token is POST /oauth/token.
func (a *surface) token(w http.ResponseWriter, r *http.Request, client *Client, p form.Params) error {
	return a.WithProof(r, func(b session.Binding) error {
		tokens, err := a.server.Token(r.Context(), client, p, a.Contact(r), b)
		if err != nil {
			return err
		}
		return httpapi.WriteJSON(w, http.StatusOK, tokens)
	})
}

// revoke is POST /oauth/revoke.
func (a *surface) revoke(w http.ResponseWriter, r *http.Request, client *Client, p form.Params) error {
	if err := a.server.Revoke(r.Context(), client, p); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// introspect is POST /oauth/introspect.
func (a *surface) introspect(w http.ResponseWriter, r *http.Request, client *Client, p form.Params) error {
	state, err := a.server.Introspect(r.Context(), client, p)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, http.StatusOK, state)
}

// startDevice is POST /oauth/device_authorization.
func (a *surface) startDevice(w http.ResponseWriter, r *http.Request, client *Client, p form.Params) error {
	d, err := a.server.StartDevice(r.Context(), client, p, a.Contact(r))
	if err != nil {
		return err
	}
	uri := a.PublicOrigin + wire.PathDevice
	return httpapi.WriteJSON(w, http.StatusOK, wire.DeviceAuthorization{
		DeviceCode: d.DeviceCode, UserCode: d.UserCode,
		VerificationURI: uri, VerificationURIComplete: uri + "?" + url.Values{"user_code": {d.UserCode}}.Encode(),
		ExpiresIn: int64(d.ExpiresIn / time.Second), Interval: int64(d.Interval / time.Second),
	})
}

// userInfo is GET and POST /oauth/userinfo.
func (a *surface) userInfo(w http.ResponseWriter, r *http.Request) error {
	_, user, err := a.Caller(r)
	if err != nil {
		return err
	}
	token, _ := verify.FromContext(r.Context()) // Caller had it
	scope := token.Permissions()
	if !slices.Contains(scope, wire.ScopeOpenID) {
		return errNoOpenID
	}
	return httpapi.WriteJSON(w, http.StatusOK, UserInfo(user, strings.Join(scope, " ")))
}

// errNoOpenID: 401, as whoever asks has no access token for this endpoint.
var errNoOpenID = &problem.Problem{Status: http.StatusUnauthorized, Code: wire.CodeInsufficientScope,
	Title:  problem.Text{EN: "Permission missing", ZH: "缺少权限"},
	Detail: problem.Text{EN: "The access token was not granted the scope openid. Ask for it when signing in.", ZH: "访问令牌未获得 openid 范围，请在登录时请求该范围。"},
	Header: func(h http.Header) {
		h.Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="openid"`)
	}}

// metadata is GET /.well-known/oauth-authorization-server and
// /.well-known/openid-configuration.
func (a *surface) metadata(w http.ResponseWriter, _ *http.Request) error {
	at := func(path string) string { return a.PublicOrigin + path }
	secret := []string{"client_secret_basic", "client_secret_post"}
	any := append([]string{"none"}, secret...)
	return httpapi.WriteJSON(w, http.StatusOK, wire.OAuthMetadata{
		Issuer:                      a.PublicOrigin,
		AuthorizationEndpoint:       at(wire.PathAuthorize),
		TokenEndpoint:               at(wire.PathToken),
		UserInfoEndpoint:            at(wire.PathUserInfo),
		RevocationEndpoint:          at(wire.PathRevoke),
		IntrospectionEndpoint:       at(wire.PathIntrospect),
		DeviceAuthorizationEndpoint: at(wire.PathDeviceAuthorization),
		EndSessionEndpoint:          at(wire.PathEndSession),
		JWKSURI:                     at(wire.PathJWKS),
		ResponseTypes:               []string{"code"},
		ResponseModes:               []string{"query"},
		GrantTypes:                  []string{GrantCode, GrantRefreshToken, GrantDevice},
		CodeChallengeMethods:        []string{"S256"},
		TokenEndpointAuth:           any,
		RevocationEndpointAuth:      any,
		IntrospectionEndpointAuth:   secret,
		AuthorizationResponseIssuer: true,
		SubjectTypes:                []string{"public"},
		IDTokenSigningAlgorithms:    a.server.algorithms(),
		Scopes:                      wire.IdentityScopes,
		Claims:                      []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "azp", "at_hash", "sid", "preferred_username", "name", "email", "email_verified", "roles", "groups"},
		UILocales:                   []string{"en", "zh-CN"},
		DPoPAlgorithms:              dpop.Algorithms,
		PromptValues:                []string{"none", "login", "consent", "select_account"},
	})
}
