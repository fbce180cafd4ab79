package tacet_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet"
	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
	"github.com/tacet-dev/tacet/verify"
)

// A Go program with encryption switched on takes both, and only encrypted
// requests where it says so.
func TestEncryptionInAGoProgram(t *testing.T) {
	users := &oneUser{user: tacet.User{ID: "7", Username: "ada", Permissions: []string{"orders:read"}, GrantsVersion: 1}}
	mux := http.NewServeMux()
	web := httptest.NewServer(mux)
	defer web.Close()
	srv, err := tacet.New(t.Context(), tacet.Config{PublicURL: web.URL, DataDir: sqlitetest.Dir(t), Users: users, Encryption: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	say := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := verify.FromContext(r.Context())
		_, _ = w.Write([]byte(token.Subject()))
	})
	mux.Handle("/auth/", srv)
	mux.Handle("/.well-known/", srv)
	mux.Handle("/both", srv.Require("orders:read")(say))
	mux.Handle("/secret", srv.Protect(srv.RequireEncryption(say)))

	source, err := client.New(client.Config{URL: web.URL + "/auth"})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if _, err := source.SignIn(t.Context(), "ada", "secret"); err != nil {
		t.Fatal(err)
	}
	encrypted, err := client.NewEncrypted(client.EncryptedConfig{Auth: web.URL + "/auth"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		base   http.RoundTripper
		path   string
		status int
	}{{nil, "/both", 200}, {nil, "/secret", 415}, {encrypted, "/both", 200}, {encrypted, "/secret", 200}} {
		transport, err := client.NewTransport(source, c.base, web.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: transport}).Post(web.URL+c.path, "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s, encrypted: %v: %d, want %d", c.path, c.base != nil, resp.StatusCode, c.status)
		}
	}
}
