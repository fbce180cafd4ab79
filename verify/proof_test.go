package verify_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/verify"
)

// holder has a key and a token that is bound to it.
type holder struct {
	t     *testing.T
	key   ed25519.PrivateKey
	token string
}

func newHolder(t *testing.T) *holder {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	h := &holder{t: t, key: key}
	p, err := dpop.Parse([]string{h.proof("GET", "https://x.example/", "")}, dpop.Request{Method: "GET", URI: "https://x.example/"}, t0)
	if err != nil {
		t.Fatal(err)
	}
	h.token = signEd(header(nil), claims(object{"cnf": object{"jkt": p.Key}}))
	return h
}

func (h *holder) proof(method, uri, token string) string {
	h.t.Helper()
	raw, err := dpop.Sign(h.key, dpop.Request{Method: method, URI: uri, AccessToken: token}, t0)
	if err != nil {
		h.t.Fatal(err)
	}
	return raw
}

// ask sends a request with this Authorization and these proofs.
func ask(v *verify.Verifier, target, authorization string, proofs ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	r.Header.Set("Authorization", authorization)
	r.Header[http.CanonicalHeaderKey(dpop.Header)] = proofs
	w := httptest.NewRecorder()
	v.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	return w
}

func TestABoundTokenNeedsAProof(t *testing.T) {
	v := newVerifier(t, verify.Config{})
	h, thief := newHolder(t), newHolder(t)
	const uri = "http://api.example.com/orders"
	once := h.proof("GET", uri, h.token)
	for _, c := range []struct {
		name, authorization string
		proofs              []string
		status              int
		challenge           string
	}{
		{"with a proof", "DPoP " + h.token, []string{once}, 200, ""},
		{"the same again", "DPoP " + h.token, []string{once}, 401, `DPoP error="invalid_dpop_proof"`},
		{"with another proof", "dpop  " + h.token, []string{h.proof("GET", uri, h.token)}, 200, ""},
		{"as Bearer", "Bearer " + h.token, nil, 401, `DPoP error="invalid_token"`},
		{"without", "DPoP " + h.token, nil, 401, `DPoP error="invalid_dpop_proof"`},
		{"two proofs", "DPoP " + h.token, []string{h.proof("GET", uri, h.token), h.proof("GET", uri, h.token)}, 401, `DPoP error="invalid_dpop_proof"`},
		{"a thief's key", "DPoP " + h.token, []string{thief.proof("GET", uri, h.token)}, 401, `DPoP error="invalid_token"`},
		{"a proof for another token", "DPoP " + h.token, []string{h.proof("GET", uri, thief.token)}, 401, `DPoP error="invalid_dpop_proof"`},
		{"an unbound token", "DPoP " + goodToken(), []string{h.proof("GET", uri, goodToken())}, 401, `DPoP error="invalid_token"`},
		{"an unbound token as Bearer", "Bearer " + goodToken(), nil, 200, ""},
	} {
		w := ask(v, uri, c.authorization, c.proofs...)
		if w.Code != c.status || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), c.challenge) {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
	// Also after it was remembered as a good one.
	if _, err := v.Verify(t.Context(), h.token); !errors.Is(err, verify.ErrBound) || !errors.Is(err, verify.ErrInvalidToken) {
		t.Errorf("used without a request: %v", err)
	}
	tok, err := v.Verify(verify.Inspecting(t.Context()), h.token)
	if err != nil || len(tok.ProofKey()) != 43 {
		t.Errorf("looked at: %v", err)
	}
}

// Proofs are made for the address that clients know.
func TestTheOriginOfProofs(t *testing.T) {
	h := newHolder(t)
	for _, c := range []struct {
		name, origin, target, made string
		tls, stripped              bool
		status                     int
	}{
		{name: "as the request has it", target: "http://api.example.com/a?b=c", made: "http://api.example.com/a", status: 200},
		{name: "under TLS", target: "https://api.example.com/a", made: "https://api.example.com/a", tls: true, status: 200},
		{name: "behind a proxy, as configured", origin: "https://api.example.com/", target: "http://10.0.0.1:8080/a", made: "https://api.example.com/a", status: 200},
		{name: "behind a proxy, not configured", target: "http://10.0.0.1:8080/a", made: "https://api.example.com/a", status: 401},
		{name: "of another server", origin: "https://api.example.com", target: "http://10.0.0.1:8080/a", made: "https://other.example.com/a", status: 401},
		{name: "behind a router that strips", target: "http://api.example.com/v1/a", made: "http://api.example.com/v1/a", stripped: true, status: 200},
	} {
		v := newVerifier(t, verify.Config{Origin: c.origin})
		r := httptest.NewRequest("GET", c.target, nil)
		if r.TLS = nil; c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		r.Header.Set("Authorization", "DPoP "+h.token)
		r.Header.Set(dpop.Header, h.proof("GET", c.made, h.token))
		w := httptest.NewRecorder()
		var handler http.Handler = v.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		r.RequestURI = r.URL.RequestURI() // as a server sets it
		if c.stripped {
			handler = http.StripPrefix("/v1", handler)
		}
		handler.ServeHTTP(w, r)
		if w.Code != c.status {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
}

// A confirmation that is not understood must not turn into a bearer token.
func TestOtherConfirmationsAreRefused(t *testing.T) {
	v := newVerifier(t, verify.Config{})
	for name, cnf := range map[string]any{
		"a certificate": object{"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"},
		"empty":         object{},
		"an empty key":  object{"jkt": ""},
		"no text":       object{"jkt": 1},
		"no object":     "x",
		"null":          object{"jkt": nil},
	} {
		if _, err := v.Verify(verify.Inspecting(t.Context()), signEd(header(nil), claims(object{"cnf": cnf}))); !errors.Is(err, verify.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A proof that came with a refused request is as good as before.
func TestRefusedRequestsLeaveNoTrace(t *testing.T) {
	dead := true
	v := newVerifier(t, verify.Config{Liveness: verify.LivenessFunc(func(context.Context, *verify.Token) error {
		if dead {
			return verify.ErrFeedLost
		}
		return nil
	})})
	h := newHolder(t)
	const uri = "http://api.example.com/"
	proof := h.proof("GET", uri, h.token)
	if w := ask(v, uri, "DPoP "+h.token, proof); w.Code != 503 {
		t.Fatalf("%d", w.Code)
	}
	dead = false
	if w := ask(v, uri, "DPoP "+h.token, proof); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Header().Get("WWW-Authenticate"))
	}
}
