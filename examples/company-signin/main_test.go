package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/crypto"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/tacet-dev/tacet"
	"github.com/tacet-dev/tacet/wire"
)

// TestARealProvider: the example server of zitadel/oidc, as it comes, signs people
// in. It keeps what it knows of them for its UserInfo endpoint.
func TestARealProvider(t *testing.T) {
	var site, provider http.Handler
	siteServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { site.ServeHTTP(w, r) }))
	defer siteServer.Close()
	providerServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { provider.ServeHTTP(w, r) }))
	defer providerServer.Close()

	storage.RegisterClients(storage.WebClient("site", "a secret", siteServer.URL+"/auth/oidc/company/callback"))
	store := storage.NewStorage(storage.NewUserStore(providerServer.URL))
	provider = exampleop.SetupServer(providerServer.URL, store, slog.New(slog.DiscardHandler), false)

	auth, err := tacet.New(t.Context(), tacet.Config{
		PublicURL: siteServer.URL, DataDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Providers: []tacet.Provider{{ID: "company", Issuer: providerServer.URL, ClientID: "site", ClientSecret: "a secret",
			Scopes: []string{"profile", "email", storage.CustomScope}}},
	})
	must(t, err)
	defer auth.Close()
	site = routes(auth)

	b := newBrowser(t, siteServer.URL)
	form := b.get(siteServer.URL + "/auth/oidc/company/start?return_to=/")
	id := regexp.MustCompile(`name="id" value="([^"]+)"`).FindStringSubmatch(form)
	if id == nil {
		t.Fatalf("no form of the provider: %s", form)
	}
	home := b.post(providerServer.URL+"/login/username", url.Values{"id": {id[1]}, "username": {"test-user@127.0.0.1"}, "password": {"verysecure"}})
	if !strings.Contains(home, "Sign in with Company") {
		t.Fatalf("the browser is not back: %s", home)
	}
	token := b.renew()
	me := b.me(token, http.StatusOK)
	if me.Username != "test-user@company" || me.DisplayName != "Test User" || me.Email != "test-user@zitadel.ch" || me.ID == "" {
		t.Errorf("user %+v", me)
	}

	// The provider's own kind of logout token, by its own key, ends the session.
	key, err := store.SigningKey(t.Context())
	must(t, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: key.SignatureAlgorithm(), Key: jose.JSONWebKey{Key: key.Key(), KeyID: key.ID()}}, (&jose.SignerOptions{}).WithType("logout+jwt"))
	must(t, err)
	claims := oidc.NewLogoutTokenClaims(providerServer.URL, "id1", oidc.Audience{"site"}, time.Now().Add(time.Minute), "once", "", 0)
	logout, err := crypto.Sign(claims, signer)
	must(t, err)
	began := time.Now()
	resp, err := http.PostForm(siteServer.URL+"/auth/oidc/company/backchannel-logout", url.Values{"logout_token": {logout}})
	must(t, err)
	answer, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("logout: %d %s", resp.StatusCode, answer)
	}
	b.me(token, http.StatusUnauthorized) // the very next request, whatever the token still says
	t.Logf("over %s after the provider said so", time.Since(began))
}

type browser struct {
	*testing.T
	http *http.Client
	site string
}

func newBrowser(t *testing.T, site string) *browser {
	jar, err := cookiejar.New(nil)
	must(t, err)
	return &browser{t, &http.Client{Jar: jar, Timeout: 30 * time.Second}, site}
}

func (b *browser) read(resp *http.Response, err error) string {
	b.Helper()
	must(b.T, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(b.T, err)
	if resp.StatusCode != http.StatusOK {
		b.Fatalf("%s %s: %d %s", resp.Request.Method, resp.Request.URL, resp.StatusCode, body)
	}
	return string(body)
}

func (b *browser) get(address string) string { b.Helper(); return b.read(b.http.Get(address)) }
func (b *browser) post(address string, form url.Values) string {
	b.Helper()
	return b.read(b.http.PostForm(address, form))
}

// renew is what the page does first.
func (b *browser) renew() (access string) {
	b.Helper()
	u, _ := url.Parse(b.site + "/auth/refresh")
	req, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, u.String(), nil)
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == wire.CookieCSRF {
			req.Header.Set(wire.HeaderCSRF, c.Value)
		}
	}
	var got wire.TokenResponse
	must(b.T, json.Unmarshal([]byte(b.read(b.http.Do(req))), &got))
	return got.AccessToken
}

func (b *browser) me(access string, status int) wire.User {
	b.Helper()
	req, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, b.site+"/auth/me", nil)
	req.Header.Set("Authorization", "Bearer "+access)
	resp, err := b.http.Do(req)
	must(b.T, err)
	defer resp.Body.Close()
	var me wire.Me
	if resp.StatusCode != status {
		b.Fatalf("me: %d, want %d", resp.StatusCode, status)
	}
	_ = json.NewDecoder(resp.Body).Decode(&me) // a problem has other members
	return me.User
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
