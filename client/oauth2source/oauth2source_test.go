package oauth2source_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/internal/fakeauth"
	"github.com/tacet-dev/tacet/client/oauth2source"
	"github.com/tacet-dev/tacet/wire"
)

// Code of golang.org/x/oauth2, unchanged, on a session that lives through many
// access tokens.
func TestOAuth2ClientsRunOnASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		auth := fakeauth.New()
		watch := fakeauth.NewWatch(auth)
		src, err := client.New(client.Config{URL: "https://auth.test/auth", HTTP: fakeauth.RoundTripper{Handler: watch}})
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close()
		if _, err := src.SignIn(t.Context(), fakeauth.Username, fakeauth.Password); err != nil {
			t.Fatal(err)
		}
		api := &http.Client{Transport: fakeauth.RoundTripper{Handler: auth.API()}}
		ctx := context.WithValue(t.Context(), oauth2.HTTPClient, api)
		c := oauth2.NewClient(ctx, oauth2source.New(ctx, src))
		for range 6 * 60 { // six hours, a request a minute
			res, err := c.Get("https://api.test/")
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatal(res, err)
			}
			time.Sleep(time.Minute)
		}
		if n := watch.Good(wire.DefaultBasePath + wire.PathRefresh); n < 20 || n > 30 {
			t.Errorf("%d renewals in six hours", n)
		}

		auth.EndAll()
		time.Sleep(time.Hour)
		_, err = c.Get("https://api.test/")
		if _, ok := errors.AsType[*client.SignedOutError](err); !ok {
			t.Errorf("after the session's end: %v", err)
		}
	})
}

func TestATokenIsAnOAuth2Token(t *testing.T) {
	src, err := client.New(client.Config{URL: "https://auth.test/auth", HTTP: fakeauth.RoundTripper{Handler: fakeauth.New()}})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	ts := oauth2source.New(t.Context(), src)
	if _, err := ts.Token(); !errors.Is(err, client.ErrNotSignedIn) {
		t.Errorf("before the sign-in: %v", err)
	}
	if _, err := src.SignIn(t.Context(), fakeauth.Username, fakeauth.Password); err != nil {
		t.Fatal(err)
	}
	tok, err := ts.Token()
	if err != nil || !tok.Valid() || tok.Type() != "Bearer" || tok.RefreshToken != "" {
		t.Errorf("%v, valid %v", err, tok.Valid())
	}
}
