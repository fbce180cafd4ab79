package keys

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSealed(t *testing.T) {
	s, c := &memory{}, newClock()
	r, other := open(t, config(t, s, c)), open(t, config(t, s, c))
	rapid.Check(t, func(rt *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(rt, "plain")
		sealed := r.SealLabelled("state", plain)
		for name, node := range map[string]*Ring{"this node": r, "another node": other} {
			if got, ok := node.OpenLabelled(t.Context(), "state", sealed); !ok || !bytes.Equal(got, plain) {
				rt.Fatalf("%s opens %q to %q, %v", name, plain, got, ok)
			}
		}
		if sealed == r.SealLabelled("state", plain) {
			rt.Fatal("the same text is sealed the same way twice")
		}
		if _, ok := r.OpenLabelled(t.Context(), "stat", sealed); ok {
			rt.Fatal("opened under another label")
		}
		at := rapid.IntRange(0, len(sealed)-1).Draw(rt, "at")
		by := rapid.SampledFrom(strings.Split("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=. ", "")).Draw(rt, "by")
		changed := sealed[:at] + by + sealed[at+1:]
		if _, ok := r.OpenLabelled(t.Context(), "state", changed); ok != (changed == sealed) {
			rt.Fatalf("changed at %d: opened is %v", at, ok)
		}
		cut := sealed[:rapid.IntRange(0, len(sealed)-1).Draw(rt, "length")]
		if _, ok := r.OpenLabelled(t.Context(), "state", cut); ok {
			rt.Fatal("opened a part")
		}
	})
}

func TestSealedAcrossARotation(t *testing.T) {
	s, c := &memory{}, newClock()
	r, other := open(t, config(t, s, c)), open(t, config(t, s, c))
	before := r.SealLabelled("state", []byte("x"))
	if _, err := r.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	after := r.SealLabelled("state", []byte("x"))
	for name, sealed := range map[string]string{"before": before, "after": after} {
		for node, r := range map[string]*Ring{"the node that rotated": r, "a node that has not looked": other} {
			if _, ok := r.OpenLabelled(t.Context(), "state", sealed); !ok {
				t.Errorf("%s does not open what was sealed %s", node, name)
			}
		}
	}
}
