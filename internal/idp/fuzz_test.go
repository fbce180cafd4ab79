package idp_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/session"
)

// plainSealer hands out what is sealed, so that a fuzzer can get behind it.
type plainSealer struct{}

func (plainSealer) SealLabelled(_ string, plain []byte) string { return string(plain) }
func (plainSealer) OpenLabelled(_ context.Context, _, sealed string) ([]byte, bool) {
	return []byte(sealed), true
}

// FuzzFinish: whatever a browser brings, even with a seal that hides nothing,
// without a provider that vouches for it nobody is signed in and nothing panics.
func FuzzFinish(f *testing.F) {
	f.Add("state", "", "code", "", `{"Provider":"company","State":"state","Then":"x","Until":9000000000000}`)
	f.Add("state", "https://id.invalid", "", "access_denied", `{"Provider":"company","State":"state","Until":9000000000000}`)
	f.Add("", "", "", "", `{"Provider":"company"}`)
	f.Add("s", "https://evil.example", "c", "", `null`)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := idp.New(idp.Config{Providers: []idp.Settings{{ID: "company", Name: "Company", Issuer: "https://id.invalid", ClientID: "x"}},
		Callback: func(string) string { return "https://app.example/cb" }, Users: &people{}, Sealer: plainSealer{}, Sessions: &session.Service{},
		Transport: nobody{}, Clock: func() time.Time { return now }, Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler)})
	f.Fuzz(func(t *testing.T, state, iss, code, refusal, sealed string) {
		answer := map[string]string{}
		for name, v := range map[string]string{"state": state, "iss": iss, "code": code, "error": refusal} {
			if v != "" {
				answer[name] = v
			}
		}
		a, err := s.Finish(t.Context(), "company", answer, sealed)
		if err == nil || a.UserID != "" {
			t.Fatalf("signed in: %+v", a)
		}
		if (state == "" || !strings.Contains(sealed, "company")) && !errors.Is(err, idp.ErrState) {
			t.Fatalf("%v", err)
		}
		if _, err := s.Logout(t.Context(), "company", sealed); err == nil {
			t.Fatal("logged out")
		}
	})
}
