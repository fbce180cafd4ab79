package verify_test

import (
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// hello says who is calling.
var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if t, ok := verify.FromContext(r.Context()); ok {
		fmt.Fprint(w, "hello ", t.Subject())
	} else {
		fmt.Fprint(w, "hello stranger")
	}
})

func get(h http.Handler, authorization ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/orders", nil)
	r.Header["Authorization"] = authorization
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestMiddleware(t *testing.T) {
	v := newVerifier(t, verify.Config{})
	good := goodToken()
	old := signEd(header(nil), claims(object{"exp": t0.Unix() - 3600}))
	malformed := `Bearer error="invalid_token", error_description="the access token is malformed"`
	for name, c := range map[string]struct {
		authorization []string
		status        int
		challenge     string
	}{
		"good":                      {[]string{"Bearer " + good}, 200, ""},
		"scheme in small letters":   {[]string{"bearer " + good}, 200, ""},
		"more spaces":               {[]string{" BEARER   " + good + " "}, 200, ""},
		"none":                      {nil, 401, "Bearer"},
		"empty":                     {[]string{""}, 401, "Bearer"},
		"Bearer alone":              {[]string{"Bearer"}, 401, "Bearer"},
		"Bearer and a space":        {[]string{"Bearer "}, 401, "Bearer"},
		"Bearer null":               {[]string{"Bearer null"}, 401, "Bearer"},
		"Bearer undefined":          {[]string{"Bearer undefined"}, 401, "Bearer"},
		"another scheme":            {[]string{"Basic YTpi"}, 401, "Bearer"},
		"the token without scheme":  {[]string{good}, 401, "Bearer"},
		"a scheme that starts so":   {[]string{"Bearerx " + good}, 401, "Bearer"},
		"rubbish":                   {[]string{"Bearer rubbish"}, 401, malformed},
		"token and more":            {[]string{"Bearer " + good + " " + good}, 401, malformed},
		"expired":                   {[]string{"Bearer " + old}, 401, `Bearer error="invalid_token", error_description="the access token has expired"`},
		"two headers":               {[]string{"Bearer " + good, "Bearer " + good}, 400, `Bearer error="invalid_request", error_description="more than one Authorization header"`},
		"two headers, one is empty": {[]string{"Bearer " + good, ""}, 400, `Bearer error="invalid_request", error_description="more than one Authorization header"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := get(v.Middleware(hello), c.authorization...)
			if w.Code != c.status || w.Header().Get("WWW-Authenticate") != c.challenge {
				t.Errorf("%d %q, want %d %q", w.Code, w.Header().Get("WWW-Authenticate"), c.status, c.challenge)
			}
			if c.status == 200 {
				if w.Body.String() != "hello usr_1" || w.Header().Get("Cache-Control") != "" {
					t.Errorf("%v %s", w.Header(), w.Body)
				}
			} else {
				isProblem(t, w, c.status)
			}
			// Optional differs only where there is no credential.
			o := get(v.Optional(hello), c.authorization...)
			if c.challenge == "Bearer" {
				if o.Code != 200 || o.Body.String() != "hello stranger" {
					t.Errorf("Optional: %d %s", o.Code, o.Body)
				}
			} else if o.Code != w.Code || o.Body.String() != w.Body.String() {
				t.Errorf("Optional: %d %s", o.Code, o.Body)
			}
		})
	}
}

// isProblem checks what all refusals have in common and returns the problem.
func isProblem(t *testing.T, w *httptest.ResponseRecorder, status int) wire.Problem {
	t.Helper()
	var p wire.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	h := w.Header()
	if w.Code != status || p.Status != status || p.Code == "" || p.Title == "" || p.Detail == "" || p.Type != "about:blank" ||
		h.Get("Content-Type") != "application/problem+json" || h.Get("Cache-Control") != "no-store" || h.Get("Vary") != "Accept-Language" {
		t.Errorf("%d %v %+v", w.Code, h, p)
	}
	return p
}

func TestRequire(t *testing.T) {
	v := newVerifier(t, verify.Config{Realm: "orders"})
	good := "Bearer " + goodToken() // orders:* users:read
	for _, c := range []struct {
		required  []string
		status    int
		challenge string
	}{
		{nil, 200, ""},
		{[]string{"orders:read"}, 200, ""},
		{[]string{"orders:read", "users:read"}, 200, ""},
		{[]string{"orders:read", "users:write"}, 403, `Bearer realm="orders", error="insufficient_scope", error_description="a permission is missing", scope="orders:read users:write"`},
		{[]string{"admin"}, 403, `Bearer realm="orders", error="insufficient_scope", error_description="a permission is missing", scope="admin"`},
		{[]string{""}, 403, `Bearer realm="orders", error="insufficient_scope", error_description="a permission is missing"`},
		{[]string{`a"b`}, 403, `Bearer realm="orders", error="insufficient_scope", error_description="a permission is missing"`},
	} {
		for name, h := range map[string]http.Handler{
			"alone":               v.Require(c.required...)(hello),
			"inside a middleware": v.Middleware(v.Require(c.required...)(hello)),
			"inside Optional":     v.Optional(v.Require(c.required...)(hello)),
		} {
			w := get(h, good)
			if w.Code != c.status || w.Header().Get("WWW-Authenticate") != c.challenge {
				t.Errorf("%v %s: %d %q", c.required, name, w.Code, w.Header().Get("WWW-Authenticate"))
			}
			if c.status == 403 && isProblem(t, w, 403).Code != "insufficient_scope" {
				t.Errorf("%s", w.Body)
			}
			if w := get(h); w.Code != 401 || w.Header().Get("WWW-Authenticate") != `Bearer realm="orders"` {
				t.Errorf("anonymous, %v %s: %d %q", c.required, name, w.Code, w.Header().Get("WWW-Authenticate"))
			}
		}
	}
}

func TestATokenOfAnotherVerifierIsNotTakenOver(t *testing.T) {
	lenient := newVerifier(t, verify.Config{})
	strict := newVerifier(t, verify.Config{Liveness: verify.LivenessFunc(func(context.Context, *verify.Token) error { return verify.ErrSessionEnded })})
	if w := get(lenient.Middleware(strict.Require("orders:read")(hello)), "Bearer "+goodToken()); w.Code != 401 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestWriteErrorTellsClientsWhatToDo(t *testing.T) {
	for _, c := range []struct {
		live      error
		keys      error
		status    int
		code      string
		challenge string
	}{
		{live: verify.ErrStaleGrants, status: 401, code: "invalid_token", challenge: `Bearer error="invalid_token", error_description="grants_changed"`},
		{live: verify.ErrSessionEnded, status: 401, code: "invalid_token", challenge: `Bearer error="invalid_token", error_description="the session has ended"`},
		{live: fmt.Errorf("asking: %w", verify.ErrSessionEnded), status: 401, code: "invalid_token", challenge: `Bearer error="invalid_token", error_description="the session has ended"`},
		{live: verify.ErrFeedLost, status: 503, code: "temporarily_unavailable"},
		{live: context.Canceled, status: 503, code: "temporarily_unavailable"},
		{live: fmt.Errorf("db at 10.0.0.1 is down"), status: 503, code: "temporarily_unavailable"},
		{keys: verify.ErrKeysUnavailable, status: 503, code: "temporarily_unavailable"},
		{keys: verify.ErrUnknownKey, status: 401, code: "invalid_token", challenge: `Bearer error="invalid_token", error_description="the access token is signed with an unknown key"`},
	} {
		v := newVerifier(t, verify.Config{
			Liveness: verify.LivenessFunc(func(context.Context, *verify.Token) error { return c.live }),
			Keys: verify.KeysFunc(func(ctx context.Context, kid string) (crypto.PublicKey, error) {
				if c.keys != nil {
					return nil, c.keys
				}
				return keys.Key(ctx, kid)
			}),
		})
		for name, h := range map[string]http.Handler{"Middleware": v.Middleware(hello), "Optional": v.Optional(hello)} {
			w := get(h, "Bearer "+goodToken())
			p := isProblem(t, w, c.status)
			if p.Code != c.code || w.Header().Get("WWW-Authenticate") != c.challenge {
				t.Errorf("%+v, %s: %v %s", c, name, w.Header(), w.Body)
			}
			if (c.status == 503) != (w.Header().Get("Retry-After") == "2") || strings.Contains(w.Body.String(), "10.0.0.1") {
				t.Errorf("%+v, %s: %v %s", c, name, w.Header(), w.Body)
			}
		}
	}
}

func TestProblemsSpeakTheCallersLanguage(t *testing.T) {
	v := newVerifier(t, verify.Config{})
	for accept, want := range map[string]string{
		"":                               "en",
		"en":                             "en",
		"zh":                             "zh-CN",
		"zh-CN,zh;q=0.9,en;q=0.8":        "zh-CN",
		"zh-Hans-CN":                     "zh-CN",
		"ZH-TW":                          "zh-CN",
		"en-GB,zh;q=0.9":                 "en",
		"de, zh;q=0.2, en;q=0.1":         "zh-CN",
		"de":                             "en",
		"*":                              "en",
		"zh;q=0":                         "en",
		"zh;q=x, en;q=0.1":               "en",
		"zh;q=2":                         "en",
		"zh;q=NaN":                       "en",
		"zhx":                            "en",
		";;;,,,=":                        "en",
		strings.Repeat("zh;q=0,", 100):   "en",
		"zh" + strings.Repeat(",x", 999): "en", // longer than anyone means
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", accept)
		w := httptest.NewRecorder()
		v.Middleware(hello).ServeHTTP(w, r)
		if got := w.Header().Get("Content-Language"); got != want || strings.Contains(w.Body.String(), "令牌") != (want == "zh-CN") {
			t.Errorf("%.40q: %s %s", accept, got, w.Body)
		}
	}
}

func TestWriteProblemCanBeTheHouseStyle(t *testing.T) {
	v := newVerifier(t, verify.Config{WriteProblem: func(w http.ResponseWriter, _ *http.Request, p wire.Problem) {
		w.WriteHeader(p.Status)
		fmt.Fprintf(w, "%s!", p.Code)
	}})
	w := get(v.Middleware(hello), "Bearer x")
	if w.Code != 401 || w.Body.String() != "invalid_token!" || w.Header().Get("WWW-Authenticate") == "" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
