package app

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
)

// A request has a span below that of its caller, its calls to the store and its
// statements are below it, the background makes none, and nothing of anybody is
// in one.
func TestTracesOnBothStores(t *testing.T) {
	for _, store := range []string{"sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			spans := tracetest.NewInMemoryExporter()
			provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
			cfg := Config{PublicURL: "http://localhost", MasterKey: strings.Repeat("0123456789abcdef", 4), Logger: slog.New(slog.DiscardHandler),
				Directory: &slowPeople{}, Authenticator: &slowPeople{}, Tracer: provider.Tracer("test")}
			if cfg.DataDir = t.TempDir(); store == "postgres" {
				cfg.DatabaseURL = pgtest.Shared(t).Schema(t)
			}
			a, err := Open(t.Context(), cfg)
			must(t, err)
			defer a.Close()
			a.Start()
			if n := len(spans.GetSpans()); n > 0 {
				t.Fatalf("%d spans before the first request", n)
			}
			g, err := a.Sessions.Start(t.Context(), session.SignIn{UserID: "carol", Client: session.Client{ID: "tacet-web"}})
			must(t, err)
			call := func(method, path, body string, headers ...string) {
				r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
				for i := 0; i < len(headers); i += 2 {
					r.Header.Set(headers[i], headers[i+1])
				}
				w := httptest.NewRecorder()
				a.Handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					t.Fatalf("%s: %d %s", path, w.Code, w.Body)
				}
			}
			call("POST", "/auth/refresh?refreshToken=hidden-in-the-query", `{"refresh_token":"`+g.RefreshToken+`"}`)
			call("GET", "/auth/me", "", "Authorization", "Bearer "+g.AccessToken)

			byName := map[string]tracetest.SpanStub{}
			statements := 0
			for _, s := range spans.GetSpans() {
				byName[s.Name] = s
				if s.SpanContext.TraceID().String() != "0123456789abcdef0123456789abcdef" {
					t.Errorf("the span %s is of another trace", s.Name)
				}
				if strings.Contains(fmt.Sprint(s.Attributes), "SELECT") {
					statements++
				}
				text, err := json.Marshal(s.Attributes)
				must(t, err)
				for _, secret := range []string{"carol", g.RefreshToken, g.AccessToken, g.Session.ID.String(), "hidden", "192.0.2.1"} {
					if strings.Contains(s.Name+string(text), secret) {
						t.Errorf("the span %s contains %q: %s", s.Name, secret, text)
					}
				}
			}
			for name, parent := range map[string]string{"store sessions.move": "POST /auth/refresh", "store sessions.get": "GET /auth/me"} {
				s, p := byName[name], byName[parent]
				if !s.SpanContext.IsValid() || s.Parent.SpanID() != p.SpanContext.SpanID() || p.Parent.SpanID().String() != "0123456789abcdef" {
					t.Errorf("%s is not below %s, or that not below the caller: %v", name, parent, byName)
				}
			}
			if store == "postgres" && statements == 0 {
				t.Error("there is no span of a statement")
			}
		})
	}
}
