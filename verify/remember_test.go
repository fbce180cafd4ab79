package verify_test

import (
	"crypto/ed25519"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/verify"
)

func TestSeenBeforeAllocatesNothing(t *testing.T) {
	v := newVerifier(t, verify.Config{})
	raw, ctx := goodToken(), t.Context()
	check := func() {
		if tok, err := v.Verify(ctx, raw); err != nil || !tok.Can("orders:read") {
			t.Fatal(err)
		}
	}
	check()
	if n := testing.AllocsPerRun(1000, check); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// verifyAll returns the verified tokens. A remembered token is the same *Token
// again, so comparing two passes shows which were remembered.
func verifyAll(t *testing.T, v *verify.Verifier, raws []string) []*verify.Token {
	t.Helper()
	var list []*verify.Token
	for _, raw := range raws {
		tok, err := v.Verify(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, tok)
	}
	return list
}

func TestForgedTokensPushNothingOut(t *testing.T) {
	v := newVerifier(t, verify.Config{Remember: 1024}) // so that 64 do not get in each other's way
	tokens := make([]string, 64)
	for i := range tokens {
		tokens[i] = signEd(header(nil), claims(object{"jti": fmt.Sprint(i)}))
	}
	first := verifyAll(t, v, tokens)
	for i := range 2000 {
		forged := tokens[i%64][:len(tokens[0])-10] + fmt.Sprintf("%010d", i)
		if _, err := v.Verify(t.Context(), forged); err == nil {
			t.Fatal("accepted a forged token")
		}
		expired := signEd(header(nil), claims(object{"jti": fmt.Sprint("old", i), "exp": t0.Add(-time.Hour).Unix()}))
		if _, err := v.Verify(t.Context(), expired); err == nil {
			t.Fatal("accepted an expired token")
		}
	}
	for i, tok := range verifyAll(t, v, tokens) {
		if tok != first[i] {
			t.Errorf("token %d was forgotten", i)
		}
	}
}

// However many good tokens pass by, memory stays what Config.Remember allows.
func TestRememberedTokensAreBounded(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const size = 256
	v := newVerifier(t, verify.Config{Remember: size})
	pass := func(from, to int) {
		for i := from; i < to; i++ {
			if _, err := v.Verify(t.Context(), signEd(header(nil), claims(object{"jti": fmt.Sprint(i)}))); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := heap()
	pass(0, 2*size)
	full := heap()
	pass(2*size, 8*size)
	after := heap()
	perToken := (int64(full) - int64(before)) / size
	t.Logf("%d bytes per remembered token of %d bytes", perToken, len(goodToken()))
	if perToken > 4096 || int64(after)-int64(full) > size*512 {
		t.Errorf("heap %d, full %d, after four times as many %d", before, full, after)
	}
	runtime.KeepAlive(v)
}

// A remembered token is found by its text, wherever that lies.
func TestRememberedByText(t *testing.T) {
	v := newVerifier(t, verify.Config{})
	raw := goodToken()
	list := verifyAll(t, v, []string{raw, strings.Clone(raw)})
	if list[0] != list[1] {
		t.Error("not found again")
	}
	none := newVerifier(t, verify.Config{Remember: -1})
	if list := verifyAll(t, none, []string{raw, raw}); list[0] == list[1] {
		t.Error("remembered, though told not to")
	}
}

func TestVerifyConcurrently(t *testing.T) {
	k := newClock()
	v := newVerifier(t, verify.Config{Clock: k.Now, Remember: 8}) // so small that places are fought over
	type pair struct{ raw, sub string }
	var tokens []pair
	for i := range 32 {
		sub := fmt.Sprint("usr_", i)
		tokens = append(tokens, pair{signEd(header(nil), claims(object{"sub": sub})), sub})
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				p := tokens[(i*7+g)%len(tokens)]
				tok, err := v.Verify(t.Context(), p.raw)
				if err != nil || tok.Subject() != p.sub {
					t.Errorf("%v, %v; want %s", tok, err, p.sub)
					return
				}
				k.Add(time.Millisecond)
			}
		})
	}
	wg.Wait()
}

// A key of the wrong size makes crypto/ed25519 panic; a Keys by somebody else may
// return one.
func TestUnusableKeysAreRefused(t *testing.T) {
	for _, key := range []any{ed25519.PublicKey(nil), ed25519.PublicKey{1}, nil, "key", &edPublic, edPrivate} {
		v := newVerifier(t, verify.Config{Keys: verify.StaticKeys{"ed": key}})
		if _, err := v.Verify(t.Context(), goodToken()); err == nil {
			t.Errorf("took %T", key)
		}
	}
}
