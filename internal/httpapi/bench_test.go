package httpapi_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// BenchmarkRenewal is the server's part of a renewal, without the network: 128
// clients, each rotating its own session in the embedded store.
func BenchmarkRenewal(b *testing.B) {
	a, err := app.Open(b.Context(), app.Config{PublicURL: "http://localhost", DataDir: b.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer a.Close()
	u, err := a.Directory.Add(b.Context(), directory.NewUser{Name: "alice", Password: "alice-password"})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		g, err := a.Sessions.Start(b.Context(), session.SignIn{UserID: u.ID, Client: session.Client{ID: "tacet-web"}})
		if err != nil {
			b.Error(err)
			return
		}
		token := g.RefreshToken
		for pb.Next() {
			r := httptest.NewRequest("POST", "/auth/refresh", strings.NewReader(`{"refresh_token":"`+token+`"}`))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			a.Handler.ServeHTTP(w, r)
			var resp wire.TokenResponse
			body, _ := io.ReadAll(w.Body)
			if err := json.Unmarshal(body, &resp); err != nil || resp.RefreshToken == "" {
				b.Errorf("%d %s", w.Code, body)
				return
			}
			token = resp.RefreshToken
		}
	})
}
