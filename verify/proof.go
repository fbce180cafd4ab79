package verify

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/dpop"
)

// provenKey is a key whose possession was proved for the request of a context.
type provenKey struct{}

// anyKey stands for every key, for those who only look at a token.
const anyKey = "*"

// Inspecting returns a context in which Verify accepts tokens that are bound to
// a key without a proof: for those who ask what a token is, such as
// introspection, and do nothing in its name.
func Inspecting(ctx context.Context) context.Context {
	return context.WithValue(ctx, provenKey{}, anyKey)
}

func possessed(ctx context.Context, key string) bool {
	proven, _ := ctx.Value(provenKey{}).(string)
	return proven == key || proven == anyKey
}

// proved is the token of a request that uses the scheme DPoP.
func proved(h http.Header) (raw string, ok bool) {
	values := h["Authorization"]
	if len(values) != 1 {
		return "", false
	}
	scheme, token, _ := strings.Cut(strings.Trim(values[0], " \t"), " ")
	token = strings.TrimLeft(token, " ")
	return token, strings.EqualFold(scheme, dpop.Header) && token != "" && token != "null" && token != "undefined"
}

// withProof verifies a token of the scheme DPoP (RFC 9449 §7.1). The memory of
// proofs is asked last, so that only holders of good tokens put anything in it.
func (v *Verifier) withProof(r *http.Request, raw string) (*Token, error) {
	p, err := dpop.Parse(r.Header.Values(dpop.Header), dpop.Request{Method: r.Method, URI: v.uri(r), AccessToken: raw}, v.now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	t, err := v.Verify(context.WithValue(r.Context(), provenKey{}, p.Key), raw)
	switch {
	case err != nil:
		return nil, err
	case t.proofKey == "":
		return nil, ErrUnbound
	}
	if err := v.proofs.Use(p, v.now()); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return t, nil
}

// uri is the request's, as the client knows it.
func (v *Verifier) uri(r *http.Request) string {
	origin := v.origin
	if origin == "" {
		origin = "http://" + r.Host
		if r.TLS != nil {
			origin = "https://" + r.Host
		}
	}
	return origin + sentPath(r)
}
