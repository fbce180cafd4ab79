package gateway_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/seal"
	"github.com/tacet-dev/tacet/wire"
)

// between is what ends TLS on the way: it sees all, and may do something to it.
type between struct {
	mu   sync.Mutex
	seen []string // what went to APIs and came back
	do   func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error)
}

func (b *between) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(r.URL.Path, "/api") {
		return http.DefaultTransport.RoundTrip(r)
	}
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		b.note(string(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.Body, _ = r.GetBody()
	}
	pass := func() (*http.Response, error) {
		res, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			body, _ := io.ReadAll(res.Body)
			res.Body = io.NopCloser(bytes.NewReader(body))
			b.note(string(body))
		}
		return res, err
	}
	if b.do != nil {
		return b.do(r, pass)
	}
	return pass()
}

func (b *between) note(s string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, s)
}

func plainAnswer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// A Go client, signed in as ever, whose requests nobody on the way can read or
// change.
func TestGoClientEncrypts(t *testing.T) {
	ahead := 3 * time.Hour // the server's clock, before ours
	h := newEncryptedHarness(t, func(c *app.Config) { c.Clock = func() time.Time { return time.Now().Add(ahead) } })
	h.api.mux.HandleFunc("POST /api/secret", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = io.Copy(w, r.Body)
	})
	source, err := client.New(client.Config{URL: h.url + "/auth"})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if _, err := source.SignIn(t.Context(), "alice", "alice"); err != nil {
		t.Fatal(err)
	}
	way := &between{}
	encrypted, err := client.NewEncrypted(client.EncryptedConfig{Auth: h.url + "/auth", Base: way})
	if err != nil {
		t.Fatal(err)
	}
	transport, err := client.NewTransport(source, encrypted, h.url)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: transport}
	post := func(content string) (string, error) {
		res, err := c.Post(h.url+"/api/secret", "text/x-mine", strings.NewReader(content))
		if err != nil {
			return "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/x-mine" {
			return fmt.Sprint(res.StatusCode, string(b)), err
		}
		return string(b), err
	}
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			if got, err := post("the content"); err != nil || got != "the content" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	work.Wait()
	large := make([]byte, 10<<20)
	_, _ = rand.Read(large)
	if got, err := post(string(large)); err != nil || got != string(large) {
		t.Errorf("10 MB: %d bytes, %v", len(got), err)
	}
	for _, path := range []string{"/api/x?q=1", "/auth/me"} {
		res, err := c.Get(h.url + path)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%s: %v, %v", path, res, err)
		}
		res.Body.Close()
	}
	for _, s := range way.seen {
		if strings.Contains(s, "the content") || strings.Contains(s, `"username"`) {
			t.Errorf("on the way it reads %.100s", s)
		}
	}
	for name, lie := range map[string]struct {
		do   func(*http.Request, func() (*http.Response, error)) (*http.Response, error)
		want error
		code string
	}{
		"plain text": {func(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
			return plainAnswer(200, `{"ok":1}`), nil
		}, client.ErrPlaintext, ""},
		"another status": {func(_ *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			res, err := pass()
			res.StatusCode = 201
			return res, err
		}, seal.ErrBinding, ""},
		"cut off": {func(_ *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			res, err := pass()
			b, _ := io.ReadAll(res.Body)
			res.Body = io.NopCloser(bytes.NewReader(b[:len(b)-1]))
			return res, err
		}, seal.ErrMalformed, ""},
		"sent twice": {func(r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if res, err := pass(); err != nil || res.StatusCode != 200 {
				return res, err
			}
			r.Body, _ = r.GetBody()
			return pass()
		}, nil, wire.CodeEncryptionReplayed},
		"refused by somebody else, after it was done": {func(_ *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if res, err := pass(); err != nil || res.StatusCode != 200 {
				return res, err
			}
			return plainAnswer(400, `{"code":"encryption_key"}`), nil
		}, nil, wire.CodeEncryptionReplayed},
	} {
		way.do = lie.do
		_, err := post("x")
		var refused *client.EncryptionError
		if !errors.As(err, &refused) || refused.Code != lie.code || lie.want != nil && !errors.Is(err, lie.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	way.do = func(*http.Request, func() (*http.Response, error)) (*http.Response, error) {
		return plainAnswer(502, "<form>"), nil
	}
	if got, err := post("x"); err != nil || !strings.HasPrefix(got, "502") || strings.Contains(got, "form") {
		t.Errorf("an error page on the way: %q, %v", got, err)
	}
	way.do = nil
	pinned, err := client.NewEncrypted(client.EncryptedConfig{Auth: h.url + "/auth", Pins: []string{"another"}})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := http.NewRequestWithContext(t.Context(), "GET", h.url+"/api/x", nil)
	r.Header.Set("Authorization", "Bearer x.e30.x")
	if res, err := pinned.RoundTrip(r); err == nil || !strings.Contains(err.Error(), "pins") {
		t.Errorf("a key that is not pinned: %v, %v", res, err)
	}
	if err := source.SignOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := post("x"); err == nil {
		t.Error("signed out, and still going on")
	}
}
