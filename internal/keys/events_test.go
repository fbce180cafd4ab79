package keys

import (
	"testing"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// Readers of the published key set are told when it changes, in the transaction
// that changes it, and not told of what does not concern them.
func TestChangesOfThePublishedSetAreEvents(t *testing.T) {
	s, c := &memory{}, newClock()
	r := open(t, config(t, s, c))
	if len(s.events) != 0 {
		t.Fatalf("the first ring made %d events", len(s.events))
	}
	if _, err := r.Rotate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if len(s.events) != 1 || s.events[0].Kind != wire.EventKeysRotated || string(s.events[0].Data) != "{}" || !s.events[0].At.Equal(c.now()) {
		t.Fatalf("events of a rotation: %+v", s.events)
	}
	before, published := len(s.events), string(r.JWKS())
	for range 24 * 60 { // through the old keys' retirement to the signing key's end
		c.add(15 * time.Minute)
		told := len(s.events)
		if err := r.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		now := string(r.JWKS())
		if changed := now != published; changed != (len(s.events) > told) {
			t.Fatalf("the published set changed: %v, events: %d", changed, len(s.events)-told)
		}
		published = now
	}
	if len(s.events) == before {
		t.Error("the old key was never dropped")
	}
}
