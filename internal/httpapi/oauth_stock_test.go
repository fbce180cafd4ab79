package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/wire"
)

// golang.org/x/oauth2, unmodified.

func (h *oauthHarness) endpoint() oauth2.Endpoint {
	return oauth2.Endpoint{AuthURL: h.URL + wire.PathAuthorize, TokenURL: h.URL + wire.PathToken, DeviceAuthURL: h.URL + wire.PathDeviceAuthorization}
}

// old is a token whose access token has expired.
func old(refresh string) *oauth2.Token {
	return &oauth2.Token{RefreshToken: refresh, Expiry: time.Unix(1, 0)}
}

func TestXOAuth2Refreshes(t *testing.T) {
	h := newOAuthHarness(t)
	for name, cfg := range map[string]oauth2.Config{
		"the native client": {ClientID: app.DefaultClientID},
		"no client":         {},
		"in parameters":     {ClientID: app.DefaultClientID, Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInParams}},
		"in the header":     {ClientID: app.DefaultClientID, Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInHeader}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Endpoint.TokenURL = h.URL + wire.PathToken
			token := old(h.loginBody("alice").RefreshToken)
			for range 3 {
				next, err := cfg.TokenSource(t.Context(), token).Token()
				if err != nil {
					t.Fatal(err)
				}
				if !next.Valid() || next.TokenType != "Bearer" || next.RefreshToken == token.RefreshToken {
					t.Fatalf("token %+v", next)
				}
				h.call(http.DefaultClient, "GET", "/auth/me", "", bearer(next.AccessToken)...).want(200)
				token = old(next.RefreshToken)
			}
		})
	}
	// The answer to a slow duplicate has no refresh token: it keeps the one it has.
	cfg := oauth2.Config{ClientID: app.DefaultClientID, Endpoint: h.endpoint()}
	a := h.loginBody("alice").RefreshToken
	b := h.renew(a).granted().RefreshToken
	h.renew(b).granted()
	kept, err := cfg.TokenSource(t.Context(), old(a)).Token()
	if err != nil || kept.RefreshToken != a {
		t.Errorf("a slow duplicate: %v", err)
	}
	var refused *oauth2.RetrieveError
	if _, err := cfg.TokenSource(t.Context(), old("x")).Token(); !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
		t.Errorf("a bad token: %v", err)
	}
}

func TestXOAuth2CodeWithPKCE(t *testing.T) {
	h := newOAuthHarness(t)
	for name, cfg := range map[string]oauth2.Config{
		"public":                        {ClientID: "native", RedirectURL: "http://127.0.0.1:49152/cb"},
		"confidential, auto-detected":   {ClientID: "web", ClientSecret: h.secret, RedirectURL: callback},
		"confidential, by Basic":        {ClientID: "web", ClientSecret: h.secret, RedirectURL: callback, Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInHeader}},
		"confidential, by parameters":   {ClientID: "web", ClientSecret: h.secret, RedirectURL: callback, Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInParams}},
		"public, the only redirect URI": {ClientID: "spa"},
	} {
		t.Run(name, func(t *testing.T) {
			style := cfg.Endpoint.AuthStyle
			cfg.Endpoint, cfg.Scopes = h.endpoint(), []string{"openid"}
			if cfg.RedirectURL == "" { // which OpenID Connect does not allow
				cfg.Scopes = []string{"orders:read"}
			}
			cfg.Endpoint.AuthStyle = style
			verifier := oauth2.GenerateVerifier()
			page := h.call(h.browser, "GET", strings.TrimPrefix(cfg.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)), h.URL), "")
			to := cfg.RedirectURL
			if to == "" {
				to = callback
			}
			code := h.submit(page, "username", "alice", "password", "alice").redirected(to).Get("code")
			if _, err := cfg.Exchange(t.Context(), code); err == nil {
				t.Fatal("exchanged without the verifier")
			}
			token, err := cfg.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
			if err != nil {
				t.Fatal(err)
			}
			if id, _ := token.Extra("id_token").(string); (id == "") == (cfg.RedirectURL != "") {
				t.Errorf("ID token %q", id)
			}
			next, err := cfg.TokenSource(t.Context(), old(token.RefreshToken)).Token()
			if err != nil || !next.Valid() {
				t.Errorf("renewal: %v", err)
			}
		})
	}
}

// ticking moves the server's clock by the interval before every poll: the client
// waits in real time, the server does not.
type ticking struct {
	h     *oauthHarness
	polls int
	then  func(polls int)
}

func (c *ticking) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == wire.PathToken {
		c.h.Clock.Advance(oauth.DeviceInterval)
		c.polls++
		c.then(c.polls)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func TestXOAuth2DeviceGrant(t *testing.T) {
	h := newOAuthHarness(t)
	cfg := oauth2.Config{ClientID: "tv", Endpoint: h.endpoint(), Scopes: []string{"openid"}}
	cfg.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	var d *oauth2.DeviceAuthResponse
	user := &ticking{h: h, then: func(polls int) {
		if polls == 2 {
			h.submit(h.enter(d.UserCode), "username", "alice", "password", "alice").want(200)
		}
	}}
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: user})
	d, err := cfg.DeviceAuth(ctx)
	if err != nil {
		t.Fatal(err)
	}
	d.Interval = 1 // seconds of ours
	d.Expiry = time.Time{}
	token, err := cfg.DeviceAccessToken(ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	if user.polls != 2 || !token.Valid() || token.RefreshToken == "" {
		t.Errorf("%d polls, token %+v", user.polls, token.TokenType)
	}
	d2, err := cfg.DeviceAuth(ctx)
	if err != nil {
		t.Fatal(err)
	}
	d2.Interval, d2.Expiry = 1, time.Time{}
	user.then = func(int) { h.submit(h.enter(d2.UserCode), "action", "deny").want(200) }
	var refused *oauth2.RetrieveError
	if _, err := cfg.DeviceAccessToken(ctx, d2); !errors.As(err, &refused) || refused.ErrorCode != "access_denied" {
		t.Errorf("the user refused: %v", err)
	}
}
