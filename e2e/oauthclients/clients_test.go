// Package oauthclients runs OpenID Connect clients of others, unmodified and at their
// defaults, against the server. It is a module of its own, so that nobody else
// downloads them. It holds only tests.
package oauthclients

import (
	"context"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	cap "github.com/hashicorp/cap/oidc"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	httphelper "github.com/zitadel/oidc/v3/pkg/http"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

const api = "https://api.example.com"

// server has the user alice, and reads the clock of this machine, as the clients do.
func server(t *testing.T) *apptest.Server {
	t.Helper()
	alice := session.User{User: wire.User{ID: "alice", Username: "alice", DisplayName: "Alice", Email: "alice@example.com"},
		Roles: []string{"viewer"}, Permissions: []string{"orders:read"}, Scope: "orders:read", GrantsVersion: 1}
	return apptest.Open(t, apptest.NewPeople(alice), func(c *app.Config) { c.Clock = time.Now })
}

func add(t *testing.T, s *apptest.Server, c oauth.Client, confidential bool) (secret string) {
	t.Helper()
	c.Scopes, c.Audiences = strings.Fields("openid profile email roles offline_access orders:read"), []string{api}
	secret, err := s.App.OAuth.AddClient(t.Context(), c, confidential)
	must(t, err)
	return secret
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var (
	action = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// submit fills in the forms that a page at an address shows until there are none, as
// alice does, and returns where that leads. Addresses of nobody are not called.
func submit(t *testing.T, browser *http.Client, address string, more url.Values) *url.URL {
	t.Helper()
	resp, err := browser.Get(address)
	for {
		must(t, err)
		body, err2 := io.ReadAll(resp.Body)
		must(t, err2)
		resp.Body.Close()
		if resp.StatusCode >= 300 && resp.StatusCode < 400 {
			to, err := resp.Location()
			must(t, err)
			return to
		}
		m := action.FindSubmatch(body)
		if m == nil {
			if resp.StatusCode == http.StatusOK {
				return resp.Request.URL
			}
			t.Fatalf("%s: %d %s", resp.Request.URL, resp.StatusCode, body)
		}
		fields := url.Values{}
		for name, v := range more {
			fields[name] = v
		}
		for _, f := range hidden.FindAllSubmatch(body, -1) {
			fields.Set(html.UnescapeString(string(f[1])), html.UnescapeString(string(f[2])))
		}
		if strings.Contains(string(body), `name="password"`) {
			fields.Set("username", "alice")
			fields.Set("password", "alice")
		}
		to, err3 := resp.Request.URL.Parse(html.UnescapeString(string(m[1])))
		must(t, err3)
		resp, err = browser.PostForm(to.String(), fields)
	}
}

// staying is a browser that follows redirects within the server only.
func staying(s *apptest.Server) *http.Client {
	c := apptest.NewBrowser()
	c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), s.URL) {
			return nil
		}
		return http.ErrUseLastResponse
	}
	return c
}

// What kubelogin does: x/oauth2 and go-oidc with PKCE and a nonce on a loopback port,
// a refresh without scope, and an ID token each time.
func TestKubelogin(t *testing.T) {
	s := server(t)
	add(t, s, oauth.Client{ID: "kubernetes", RedirectURIs: []string{"http://localhost:8000"}, Device: true}, false)
	p, err := gooidc.NewProvider(t.Context(), s.URL)
	must(t, err)
	verifier := p.Verifier(&gooidc.Config{ClientID: "kubernetes"})
	cfg := oauth2.Config{ClientID: "kubernetes", Endpoint: p.Endpoint(), RedirectURL: "http://localhost:18000", Scopes: []string{"openid"}}

	renewed := func(t *testing.T, token *oauth2.Token) {
		t.Helper()
		for range 3 {
			raw, _ := token.Extra("id_token").(string)
			id, err := verifier.Verify(t.Context(), raw)
			must(t, err)
			must(t, id.VerifyAccessToken(token.AccessToken))
			if id.Subject != "alice" {
				t.Errorf("subject %q", id.Subject)
			}
			token, err = cfg.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken, Expiry: time.Unix(1, 0)}).Token()
			must(t, err)
		}
	}
	t.Run("code", func(t *testing.T) {
		pkce := oauth2.GenerateVerifier()
		to := submit(t, staying(s), cfg.AuthCodeURL("state", oauth2.AccessTypeOffline, oauth2.S256ChallengeOption(pkce), gooidc.Nonce("n")), nil)
		if to.Host != "localhost:18000" || to.Query().Get("state") != "state" {
			t.Fatalf("led to %s", to)
		}
		token, err := cfg.Exchange(t.Context(), to.Query().Get("code"), oauth2.VerifierOption(pkce))
		must(t, err)
		renewed(t, token)
	})
	t.Run("device", func(t *testing.T) {
		device, err := cfg.DeviceAuth(t.Context())
		must(t, err)
		device.Interval = 1
		submit(t, staying(s), device.VerificationURIComplete, url.Values{"user_code": {device.UserCode}})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		token, err := cfg.DeviceAccessToken(ctx, device)
		must(t, err)
		renewed(t, token)
	})
}

func TestHashicorpCap(t *testing.T) {
	s := server(t)
	const callback = "https://vault.example.com/callback"
	secret := add(t, s, oauth.Client{ID: "vault", RedirectURIs: []string{callback}}, true)
	cfg, err := cap.NewConfig(s.URL, "vault", cap.ClientSecret(secret), []cap.Alg{cap.RS256}, []string{callback})
	must(t, err)
	p, err := cap.NewProvider(cfg)
	must(t, err)
	defer p.Done()
	req, err := cap.NewRequest(time.Minute, callback)
	must(t, err)
	at, err := p.AuthURL(t.Context(), req)
	must(t, err)
	q := submit(t, staying(s), at, nil).Query()
	token, err := p.Exchange(t.Context(), req, q.Get("state"), q.Get("code"))
	must(t, err)
	var claims map[string]any
	must(t, token.IDToken().Claims(&claims))
	must(t, p.UserInfo(t.Context(), token.StaticTokenSource(), claims["sub"].(string), &claims))
	if claims["sub"] != "alice" || claims["at_hash"] == "" {
		t.Errorf("claims %v", claims)
	}
}

func TestZitadelRP(t *testing.T) {
	s := server(t)
	mux := http.NewServeMux()
	site := httptest.NewServer(mux)
	defer site.Close()
	for id, confidential := range map[string]bool{"web": true, "native": false} {
		t.Run(id, func(t *testing.T) {
			callback := site.URL + "/" + id + "/callback"
			secret := add(t, s, oauth.Client{ID: id, RedirectURIs: []string{callback}}, confidential)
			cookies := httphelper.NewCookieHandler([]byte("0123456789abcdef"), []byte("0123456789abcdef"), httphelper.WithUnsecure())
			options := []rp.Option{rp.WithCookieHandler(cookies)}
			if !confidential {
				options = append(options, rp.WithPKCE(cookies))
			}
			party, err := rp.NewRelyingPartyOIDC(t.Context(), s.URL, id, secret, callback, []string{"openid", "profile", "email"}, options...)
			must(t, err)
			got := make(chan *oidc.Tokens[*oidc.IDTokenClaims], 1)
			mux.Handle("/"+id+"/login", rp.AuthURLHandler(func() string { return "state" }, party))
			mux.Handle("/"+id+"/callback", rp.CodeExchangeHandler(func(w http.ResponseWriter, _ *http.Request, tokens *oidc.Tokens[*oidc.IDTokenClaims], _ string, _ rp.RelyingParty) {
				got <- tokens
			}, party))
			submit(t, apptest.NewBrowser(), site.URL+"/"+id+"/login", nil)
			select {
			case tokens := <-got:
				if tokens.IDTokenClaims.Subject != "alice" || tokens.IDTokenClaims.Email != "alice@example.com" || !bool(tokens.IDTokenClaims.EmailVerified) {
					t.Errorf("claims %+v", tokens.IDTokenClaims)
				}
				info, err := rp.Userinfo[*oidc.UserInfo](t.Context(), tokens.AccessToken, tokens.TokenType, "alice", party)
				must(t, err)
				if info.PreferredUsername != "alice" {
					t.Errorf("user info %+v", info)
				}
				next, err := rp.RefreshTokens[*oidc.IDTokenClaims](t.Context(), party, tokens.RefreshToken, "", "")
				must(t, err)
				if next.IDTokenClaims == nil || next.IDTokenClaims.Subject != "alice" {
					t.Errorf("no ID token at a refresh: %+v", next)
				}
			default:
				t.Fatal("the sign-in did not come back")
			}
		})
	}
}
