package profiles_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
)

// Development servers and nginx strip a prefix (/proxy-url, /dev-api, /prod-api,
// /proxy-default) and change the paths of cookies no more than the names. The cookies
// come back all the same: those of the dialects, and the one beside the body.
func TestBehindAProxyThatStripsAPrefix(t *testing.T) {
	for _, prefix := range []string{"/proxy-url", "/dev-api", "/prod-api", "/proxy-default"} {
		forEach(t, func(t *testing.T, s style) {
			var forward http.Handler
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { forward.ServeHTTP(w, r) }))
			t.Cleanup(front.Close)
			h := newHarness(t, func(c *app.Config) { c.CORSOrigins = []string{front.URL} })
			back, err := url.Parse(h.URL)
			if err != nil {
				t.Fatal(err)
			}
			forward = http.StripPrefix(prefix, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(back) }})

			through := *h.Server
			through.URL = front.URL + prefix
			c := (&harness{&through}).open(s)
			c.http.Transport = withOrigin(front.URL)
			c.signIn("alice")
			stale := *c
			for range 3 {
				h.Clock.Advance(time.Hour)
				if a := c.present(c.refresh); !c.renewed(a) {
					t.Fatalf("%s: %d %s", prefix, a.StatusCode, a.raw)
				}
			}
			if s.cookieName == "" {
				if a := stale.present(stale.refresh); !stale.renewed(a) {
					t.Fatalf("%s: a tab with a stale token: %d %s", prefix, a.StatusCode, a.raw)
				}
			}
			c.signOut()
			at, _ := url.Parse(front.URL)
			for _, k := range c.http.Jar.Cookies(at) {
				t.Errorf("%s: %s is left", prefix, k.Name)
			}
		})
	}
}

// withOrigin is what pages of an origin send.
type withOrigin string

// RoundTrip is http.RoundTripper.
func (o withOrigin) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Origin", string(o))
	return http.DefaultTransport.RoundTrip(r)
}
