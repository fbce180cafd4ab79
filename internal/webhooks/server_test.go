package webhooks_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
	"github.com/tacet-dev/tacet/internal/webhooks"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// The whole server tells a receiver, and goes on after a restart where it was.
func TestServerTellsItsReceiver(t *testing.T) {
	got := make(chan string, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got <- r.Header.Get("webhook-id") + " " + string(text)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := sqlitetest.Dir(t)
	open := func() *app.App {
		a, err := app.Open(t.Context(), app.Config{PublicURL: "http://localhost", DataDir: dir, Logger: slog.New(slog.DiscardHandler),
			Webhooks: webhooks.Settings{Webhook: receiver.URL, WebhookSecretFile: secret}})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	end := func(a *app.App, user string) string {
		g, err := a.Sessions.Start(t.Context(), session.SignIn{UserID: user, Client: session.Client{ID: "web"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Sessions.End(t.Context(), g.Session.ID, wire.ReasonSignedOut); err != nil {
			t.Fatal(err)
		}
		return g.Session.ID.String()
	}
	next := func() (m struct {
		Type string
		Data struct {
			Session string `json:"session_id"`
			User    string `json:"user_id"`
			Reason  string
		}
	}) {
		t.Helper()
		select {
		case text := <-got:
			_, body, _ := strings.Cut(text, " ")
			if err := json.Unmarshal([]byte(body), &m); err != nil {
				t.Fatal(err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("no message came")
		}
		return m
	}
	a := open()
	u, err := a.Directory.Add(t.Context(), directory.NewUser{Name: "ada", Password: "ada-password"})
	if err != nil {
		t.Fatal(err)
	}
	// The first start notes where the log is; what comes after it is told.
	position := webhooks.NewPosition(a.DB.Documents())
	a.Start()
	for known := false; !known; time.Sleep(10 * time.Millisecond) {
		if _, known, err = position.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	id := end(a, u.ID)
	if m := next(); m.Type != wire.EventSessionEnded || m.Data.Session != id || m.Data.User != u.ID || m.Data.Reason != wire.ReasonSignedOut {
		t.Errorf("message %+v", m)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = open() // and is not started: another process commits
	id = end(a, u.ID)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = open()
	a.Start()
	defer a.Close()
	m := next()
	for m.Data.Session != id { // at least once: the last one may come again
		m = next()
	}
	if _, err := rotation.ParseSessionID(m.Data.Session); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
	for _, c := range []struct{ url, file, want string }{
		{"https://hooks.example.com/tacet", good, ""},
		{"http://127.0.0.1:9000/tacet", good, ""},
		{"http://hooks.example.com/tacet", good, "plain http"},
		{"hooks.example.com", good, "is not a URL"},
		{"https://hooks.example.com", "", "without webhook-secret-file"},
		{"", good, "without webhook:"},
		{"https://hooks.example.com", file("a secret"), "must be whsec_"},
		{"https://hooks.example.com", good + "x", "can't be read"},
	} {
		cfg := app.Config{PublicURL: "http://localhost", DataDir: "x", Webhooks: webhooks.Settings{Webhook: c.url, WebhookSecretFile: c.file}}
		err := cfg.Normalize()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: %v, want %q", c.url, err, c.want)
		}
	}
}
