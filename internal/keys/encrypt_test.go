package keys

import (
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/seal"
)

// Whatever key a client takes from one node, all nodes know it for as long as its
// access token lives; keys change, and the old ones are destroyed.
func TestEncryptionKeysLive(t *testing.T) {
	c, store := newClock(), &memory{}
	cfg := config(t, store, c)
	cfg.Policy.Encryption = true
	a, b := open(t, cfg), open(t, cfg)
	type taken struct {
		kid   string
		until time.Time
	}
	var inUse []taken
	var order []string
	first := c.now()
	step := 15 * time.Minute / 2
	for c.now().Sub(first) < 70*24*time.Hour {
		for i, r := range []*Ring{a, b} {
			if err := r.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(r.JWKS()), `"use":"enc"`); n < 1 || n > 2 {
				t.Fatalf("%d keys are published", n)
			}
			key, err := seal.ParseJWKS(r.JWKS())
			if err != nil {
				t.Fatal(err)
			}
			inUse = append(inUse, taken{key.ID(), c.now().Add(cfg.Policy.Access)})
			if len(order) == 0 || order[len(order)-1] != key.ID() {
				order = append(order, key.ID())
			}
			c.add(step * time.Duration(i)) // the second reads a little later
		}
		live := inUse[:0]
		for _, u := range inUse {
			if c.now().After(u.until) {
				continue
			}
			live = append(live, u)
			if a.EncryptionKey(u.kid) == nil || b.EncryptionKey(u.kid) == nil {
				t.Fatalf("day %d: a key that was published is not known to all", int(c.now().Sub(first).Hours())/24)
			}
		}
		inUse = live
		c.add(time.Duration(len(inUse)) * 20 * time.Minute) // uneven steps
	}
	if len(order) != 3 || order[0] == order[2] {
		t.Errorf("the clients' keys in 70 days: %v, want three", order)
	}
	if a.EncryptionKey(order[0]) != nil {
		t.Error("the first key was not destroyed")
	}
	for _, k := range a.List() {
		if k.Use == UseEncrypt && (k.Algorithm != ECDHP256 || k.KeyID == "") {
			t.Errorf("%+v", k)
		}
	}
}

// Switched off again, the keys that there are stay good; switched on late, one is
// made; one that is stored under another name is refused.
func TestEncryptionIsSwitched(t *testing.T) {
	c, store := newClock(), &memory{}
	cfg := config(t, store, c)
	off := open(t, cfg)
	if strings.Contains(string(off.JWKS()), `"enc"`) {
		t.Error("there is a key that nobody asked for")
	}
	cfg.Policy.Encryption = true
	on := open(t, cfg)
	key, err := seal.ParseJWKS(on.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	if err := off.Refresh(t.Context()); err != nil || off.EncryptionKey(key.ID()) == nil {
		t.Errorf("the node without the setting does not know the key: %v", err)
	}
	for i, k := range store.ring {
		if k.Use == UseEncrypt {
			store.ring[i].Algorithm = ES256
		}
	}
	if err := on.Refresh(t.Context()); err == nil {
		t.Error("a key under another name was taken")
	}
}
