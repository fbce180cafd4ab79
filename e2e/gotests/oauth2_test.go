package gotests

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/oauth2source"
	"github.com/tacet-dev/tacet/internal/app"
)

// Clients of golang.org/x/oauth2, unchanged, live through many access tokens.
func TestOAuth2Clients(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.restart(func(c *app.Config) { c.AccessTTL = 2 * time.Second })
	seen := map[string]bool{}
	v := s.verifier(s.keySet(nil), nil, nil)
	api := httptest.NewServer(v.Require("orders:read")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen[r.Header.Get("Authorization")] = true // one request at a time
	})))
	defer api.Close()
	src := s.signIn(nil)
	c := oauth2.NewClient(t.Context(), oauth2source.New(t.Context(), src))
	for range 600 {
		res, err := c.Get(api.URL)
		must(t, err)
		must(t, res.Body.Close())
		if res.StatusCode != http.StatusOK {
			t.Fatal(res.Status)
		}
		if len(seen) == 3 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if n := s.calls(refreshPath); len(seen) != 3 || n > 3 {
		t.Errorf("%d access tokens used, %d renewals", len(seen), n)
	}

	must(t, src.SignOut(t.Context()))
	_, err := oauth2source.New(context.Background(), src).Token()
	if _, ok := errors.AsType[*client.SignedOutError](err); !ok {
		t.Errorf("after the sign-out: %v", err)
	}
}
