package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/seal"
	"github.com/tacet-dev/tacet/wire"
)

// sealed is a transport that encrypts every request, whatever it is.
type sealed struct {
	channel *seal.Channel
	now     func() time.Time
}

func (s *sealed) RoundTrip(req *http.Request) (*http.Response, error) {
	r := seal.Request{Method: req.Method, Path: req.URL.RequestURI(), Sequence: s.channel.Next()}
	content, contentType := []byte(nil), ""
	if req.Body != nil {
		var err error
		if content, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	if len(content) > 0 {
		contentType = req.Header.Get("Content-Type")
	}
	message, err := s.channel.Seal(r, contentType, content, s.now().UnixMilli())
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	out.Header.Del("Content-Type")
	out.Header.Set("Accept", wire.ContentTypeJOSE+", */*")
	out.Body, out.GetBody, out.ContentLength = nil, nil, 0
	if len(content) > 0 {
		out.Header.Set("Content-Type", wire.ContentTypeJOSE)
		out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(message)), int64(len(message))
	} else {
		out.Header.Set(wire.HeaderSeal, string(message))
	}
	res, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if message = []byte(res.Header.Get(wire.HeaderSeal)); len(message) == 0 {
		if message, err = io.ReadAll(res.Body); err != nil {
			return nil, err
		}
	}
	if content, contentType, err = s.channel.Open(r, res.StatusCode, message, 1<<20); err != nil {
		return nil, err
	}
	res.Header.Set("Content-Type", contentType)
	res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
	return res, nil
}

// encryptedClient is a browser that encrypts all its requests, with the
// thumbprint of its key.
func (h *harness) encryptedClient() (*http.Client, string) {
	h.Helper()
	server, err := seal.ParseJWKS(h.call(http.DefaultClient, "GET", wire.PathJWKS, "").want(200).body)
	if err != nil {
		h.Fatal(err)
	}
	key, err := seal.NewClient()
	if err != nil {
		h.Fatal(err)
	}
	h.Clock.Advance(time.Second) // what is as old as the server is refused
	channel, err := key.Channel(server, "")
	if err != nil {
		h.Fatal(err)
	}
	c := &http.Client{Transport: &sealed{channel, h.Clock.Now}}
	if c.Jar, err = cookiejar.New(nil); err != nil {
		h.Fatal(err)
	}
	return c, key.ID()
}

// Through an encrypted transport, every call that hands out an access token, in
// every dialect, binds it to the key (docs/encryption.md, "Agreement").
func TestEveryEncryptedResponseIsBound(t *testing.T) {
	h := newOAuthHarness(t, func(c *app.Config) {
		c.Encryption.Encryption = true
		c.Profiles.Names = []string{"pure", "vben", "yudao", "gva"}
		c.Profiles.TTL = app.DefaultAccessTTL
	})
	c, key := h.encryptedClient()
	bound := func(what, token string) {
		t.Helper()
		var claims wire.AccessClaims
		_, payload, _ := strings.Cut(token, ".")
		payload, _, _ = strings.Cut(payload, ".")
		b, err := base64.RawURLEncoding.DecodeString(payload)
		if err != nil || json.Unmarshal(b, &claims) != nil {
			t.Fatalf("%s: the token is %q", what, token)
		}
		if claims.EncryptionKey != key {
			t.Errorf("%s: bound to %q, want %q", what, claims.EncryptionKey, key)
		}
	}
	// post returns the data of the response, with or without an envelope.
	post := func(path, body string, headers ...string) map[string]any {
		t.Helper()
		var out map[string]any
		h.call(c, "POST", path, body, headers...).want(200).json(&out)
		if data, ok := out["data"].(map[string]any); ok {
			return data
		}
		return out
	}
	text := func(v any) string { s, _ := v.(string); return s }
	const credentials = `{"username":"alice","password":"alice"}`

	for name, delivery := range map[string]string{"native, cookie": "cookie", "native, body": "body"} {
		g := post("/auth/login", `{"username":"alice","password":"alice","delivery":"`+delivery+`"}`)
		bound(name+": sign-in", text(g["access_token"]))
		for range 2 {
			body, headers := `{}`, []string{wire.HeaderCSRF, h.cookie(c, wire.CookieCSRF)}
			if delivery == "body" {
				body, headers = `{"refresh_token":"`+text(g["refresh_token"])+`"}`, nil
			}
			g = post("/auth/refresh", body, headers...)
			bound(name+": renewal", text(g["access_token"]))
		}
	}

	g := post("/login", credentials)
	bound("in the body: sign-in", text(g["accessToken"]))
	g = post("/refresh-token", `{"refreshToken":"`+text(g["refreshToken"])+`"}`)
	bound("in the body: renewal", text(g["accessToken"]))

	g = post("/admin-api/system/auth/login", credentials)
	bound("in the query: sign-in", text(g["accessToken"]))
	g = post("/admin-api/system/auth/refresh-token?refreshToken="+text(g["refreshToken"]), "")
	bound("in the query: renewal", text(g["accessToken"]))

	g = post("/api/auth/login", credentials)
	bound("in a cookie: sign-in", text(g["accessToken"]))
	bound("in a cookie: renewal", string(h.call(c, "POST", "/api/auth/refresh", "").want(200).body))

	g = post("/base/login", credentials)
	token := text(g["token"])
	bound("carried: sign-in", token)
	for range 2 {
		h.Clock.Advance(app.DefaultAccessTTL * 9 / 10)
		token = h.call(c, "GET", "/user/getUserInfo", "", "X-Token", token).want(200).Header.Get("New-Token")
		bound("carried: renewal", token)
	}

	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	g = post(wire.PathToken, values("grant_type", "authorization_code", "code", h.code(request()), "client_id", "spa",
		"redirect_uri", callback, "code_verifier", verifier).Encode(), form...)
	bound("OAuth: code", text(g["access_token"]))
	for range 2 {
		g = post(wire.PathToken, values("grant_type", "refresh_token", "refresh_token", text(g["refresh_token"]), "client_id", "spa").Encode(), form...)
		bound("OAuth: renewal", text(g["access_token"]))
	}
}

// An agreement keeps what the token at hand is bound to, and carries.
func TestAnAgreementKeepsTheCarriedChain(t *testing.T) {
	h := newHarness(t, func(c *app.Config) {
		c.Encryption.Encryption, c.Profiles.Names, c.Profiles.TTL = true, []string{"gva"}, app.DefaultAccessTTL
	})
	var g struct {
		Data struct{ Token string } `json:"data"`
	}
	h.call(http.DefaultClient, "POST", "/base/login", `{"username":"alice","password":"alice"}`).want(200).json(&g)
	c, _ := h.encryptedClient()
	var r wire.EncryptionResponse
	h.call(c, "POST", "/auth/encryption", "", "Authorization", "Bearer "+g.Data.Token).want(200).json(&r)
	h.Clock.Advance(app.DefaultAccessTTL * 9 / 10)
	if token := h.call(c, "GET", "/user/getUserInfo", "", "X-Token", r.AccessToken).want(200).Header.Get("New-Token"); token == "" {
		t.Error("the token that was agreed on is not renewed")
	}
}
