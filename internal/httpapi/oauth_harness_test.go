package httpapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// oauthHarness has three clients: spa (public), web (confidential) and tv (devices).
type oauthHarness struct {
	*harness
	secret  string // of web
	browser *http.Client
}

type sessionUser = session.User

const (
	hour     = time.Hour
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	callback = "https://app.example/cb"
)

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func newOAuthHarness(t *testing.T, change ...func(*app.Config)) *oauthHarness {
	t.Helper()
	h := &oauthHarness{harness: newHarness(t, change...)}
	h.register(oauth.Client{ID: "spa", Name: "The Shop", RedirectURIs: []string{callback}, LogoutURIs: []string{"https://app.example/bye"}}, false)
	h.register(oauth.Client{ID: "native", RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]/cb", "com.example.app:/cb"}}, false)
	h.register(oauth.Client{ID: "tv", Name: "Television", Device: true}, false)
	h.secret = h.register(oauth.Client{ID: "web", RedirectURIs: []string{callback, "https://app.example/cb?tenant=1"}}, true)
	h.browser = apptest.NewBrowser()
	h.browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return h
}

func (h *oauthHarness) register(c oauth.Client, confidential bool) string {
	h.Helper()
	if c.Scopes == nil {
		c.Scopes = strings.Fields("openid profile email roles offline_access orders:*")
	}
	if c.Audiences == nil {
		c.Audiences = []string{h.URL} // Tacet's own, for calls that tests look at
	}
	secret, err := h.App.OAuth.AddClient(h.Context(), c, confidential)
	if err != nil {
		h.Fatal(err)
	}
	return secret
}

// form posts parameters as a client does.
func (h *oauthHarness) form(path string, p url.Values, headers ...string) answer {
	h.Helper()
	return h.call(http.DefaultClient, "POST", path, p.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

func (h *oauthHarness) asWeb() []string {
	return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("web:"+h.secret))}
}

// values makes url.Values of name, value pairs; an empty value is left out.
func values(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

// quotable is what error and error_description may have (RFC 6749 §5.2).
var quotable = regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]*$`)

// oauthError asserts an error answer of RFC 6749 §5.2.
func (a answer) oauthError(status int, code string) answer {
	a.t.Helper()
	a.want(status)
	var e wire.OAuthError
	if err := json.Unmarshal(a.body, &e); err != nil {
		a.t.Fatalf("not an OAuth error: %v in %s", err, a.body)
	}
	if e.Error != code {
		a.t.Fatalf("error %q (%s), want %q", e.Error, e.Description, code)
	}
	if e.Description == "" || !quotable.MatchString(e.Description) || !quotable.MatchString(e.Error) {
		a.t.Errorf("error_description %q", e.Description)
	}
	if a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Pragma") != "no-cache" {
		a.t.Errorf("headers of an error answer: %v", a.Header)
	}
	return a
}

// granted asserts an answer of RFC 6749 §5.1.
func (a answer) granted() oauth.Answer {
	a.t.Helper()
	var g oauth.Answer
	a.json(&g)
	if g.AccessToken == "" || g.TokenType != "Bearer" || g.ExpiresIn <= 0 {
		a.t.Fatalf("incomplete answer %s", a.body)
	}
	if a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Pragma") != "no-cache" {
		a.t.Errorf("headers of a token answer: %v", a.Header)
	}
	return g
}

func (h *oauthHarness) renew(token string, more ...string) answer {
	h.Helper()
	return h.form(wire.PathToken, values(append([]string{"grant_type", "refresh_token", "refresh_token", token}, more...)...))
}

// request is an authorization request of the spa, with other parameters where
// pairs say so.
func request(pairs ...string) url.Values {
	p := values("response_type", "code", "client_id", "spa", "redirect_uri", callback, "state", "st&te=1", "nonce", "n-1",
		"scope", "openid profile email", "code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
	for i := 0; i < len(pairs); i += 2 {
		p.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			p.Del(pairs[i])
		}
	}
	return p
}

var (
	formAction = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	formHidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
)

// pageForm is the form of a page: where it goes and its hidden fields.
func (a answer) pageForm() (action string, fields url.Values) {
	a.t.Helper()
	m := formAction.FindSubmatch(a.body)
	if m == nil {
		a.t.Fatalf("no form in %s", a.body)
	}
	fields = url.Values{}
	for _, f := range formHidden.FindAllSubmatch(a.body, -1) {
		fields.Set(html.UnescapeString(string(f[1])), html.UnescapeString(string(f[2])))
	}
	return html.UnescapeString(string(m[1])), fields
}

// submit sends the form of a page as a browser does.
func (h *oauthHarness) submit(page answer, pairs ...string) answer {
	h.Helper()
	action, fields := page.pageForm()
	for i := 0; i < len(pairs); i += 2 {
		fields.Set(pairs[i], pairs[i+1])
	}
	return h.call(h.browser, "POST", action, fields.Encode(),
		"Content-Type", "application/x-www-form-urlencoded", "Origin", h.URL, "Sec-Fetch-Site", "same-origin")
}

func (h *oauthHarness) authorize(p url.Values, headers ...string) answer {
	h.Helper()
	return h.call(h.browser, "GET", wire.PathAuthorize+"?"+p.Encode(), "", headers...)
}

// redirected are the parameters that a redirect to uri carries.
func (a answer) redirected(uri string) url.Values {
	a.t.Helper()
	a.want(http.StatusSeeOther)
	to := a.Header.Get("Location")
	base, query, _ := strings.Cut(to, "?")
	if want, own, _ := strings.Cut(uri, "?"); base != want || !strings.HasPrefix(query, own) {
		a.t.Fatalf("redirected to %s, want %s", to, uri)
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		a.t.Fatal(err)
	}
	return q
}

// code signs alice in and returns the code that the browser brings.
func (h *oauthHarness) code(p url.Values) string {
	h.Helper()
	q := h.submit(h.authorize(p).want(200), "username", "alice", "password", "alice").redirected(p.Get("redirect_uri"))
	if q.Get("code") == "" || q.Get("state") != p.Get("state") || q.Get("iss") != h.URL {
		h.Fatalf("authorization response %v", q)
	}
	return q.Get("code")
}

func (h *oauthHarness) exchange(code string, pairs ...string) answer {
	h.Helper()
	p := values("grant_type", "authorization_code", "code", code, "client_id", "spa", "redirect_uri", callback, "code_verifier", verifier)
	for i := 0; i < len(pairs); i += 2 {
		p.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			p.Del(pairs[i])
		}
	}
	return h.form(wire.PathToken, p)
}

// signIn is the whole code flow for the spa.
func (h *oauthHarness) signIn() oauth.Answer {
	h.Helper()
	return h.exchange(h.code(request())).granted()
}

// signInWeb is the whole code flow for the confidential client.
func (h *oauthHarness) signInWeb() oauth.Answer {
	h.Helper()
	code := h.code(request("client_id", "web"))
	return h.form(wire.PathToken, values("grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier), h.asWeb()...).granted()
}
