package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// Config is what a Ring needs. Policy.Access is required and Policy.Refresh
// should be set; its other fields have defaults.
type Config struct {
	Store  Store
	Master *Master
	Policy Policy
	Clock  func() time.Time
	Rand   io.Reader
	Logger *slog.Logger
}

// Ring is the key ring of one process. It is safe for concurrent use; making
// and checking tokens takes no lock and touches no storage.
type Ring struct {
	cfg  Config
	view atomic.Pointer[snapshot]

	mu       sync.Mutex // serialises reading and writing the stored ring
	lastRead time.Time  // by cfg.Clock
	since    time.Time  // the clock has run without a jump since then

	// Apart, so that nobody keeps refresh tokens from being checked by making up
	// names of signing keys.
	fresh, current fresher
}

// Open reads the ring, or makes the first one. Errors wrap [ErrWrongMaster]
// where that is the reason.
func Open(ctx context.Context, cfg Config) (*Ring, error) {
	cfg.Policy = cfg.Policy.withDefaults()
	if err := cfg.Policy.Validate(); err != nil {
		return nil, err
	}
	r := &Ring{cfg: cfg}
	if err := r.Refresh(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// MAC is the key for new refresh tokens.
func (r *Ring) MAC() rotation.Key { return r.view.Load().mac(r.clock()).key }

// MACKey finds a MAC key by id among those that are announced, in use or
// retired. See [Ring.FindMACKey] for ids that this process has not seen yet.
func (r *Ring) MACKey(id rotation.KeyID) (rotation.Key, bool) { return r.view.Load().macKey(id) }

// PublicKey is a key that access tokens are checked with.
type PublicKey struct {
	ID        string // kid: the RFC 7638 thumbprint
	Algorithm string // EdDSA or ES256
	Key       crypto.PublicKey
}

// PublicKeys are the keys of [Ring.JWKS] for a verifier in the same process.
func (r *Ring) PublicKeys() []PublicKey {
	var out []PublicKey
	for _, s := range r.view.Load().signers {
		out = append(out, PublicKey{s.kid, s.meta.Algorithm, s.key.Public()})
	}
	return out
}

// JWKS is the published key set (RFC 7517), JSON. Callers must not change it.
func (r *Ring) JWKS() []byte { return r.view.Load().jwks }

// JWKSMaxAge is how long a verifier may cache [Ring.JWKS] and never meet a
// token under a key that it lacks.
func (r *Ring) JWKSMaxAge() time.Duration { return r.cfg.Policy.Lead / 2 }

// State says where a key is in its life.
type State string

const (
	StateAnnounced State = "announced" // published, not used yet
	StateActive    State = "active"    // used for new tokens
	StateRetired   State = "retired"   // accepted, not used any more
)

// Info is what may be shown of a key.
type Info struct {
	ID        uint32    `json:"id"`
	KeyID     string    `json:"kid,omitempty"` // of a signing key
	Use       Use       `json:"use"`
	Algorithm string    `json:"algorithm"`
	State     State     `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	ActiveAt  time.Time `json:"active_at"`
	RetiredAt time.Time `json:"retired_at,omitzero"`
	DropAt    time.Time `json:"drop_at,omitzero"` // zero: not retired, or kept for ever
}

// List is the ring in order of id.
func (r *Ring) List() []Info {
	v, now := r.view.Load(), r.clock()
	out := make([]Info, 0, len(v.ring))
	for _, k := range v.ring {
		i := Info{ID: k.ID, Use: k.Use, Algorithm: k.Algorithm, State: StateRetired,
			CreatedAt: k.CreatedAt, ActiveAt: k.ActiveAt, RetiredAt: k.RetiredAt}
		switch c := current(v.ring, k.Use, now); {
		case v.ring[c].ID == k.ID:
			i.State = StateActive
		case k.RetiredAt.IsZero() && k.ActiveAt.After(now):
			i.State = StateAnnounced
		}
		if keep := r.cfg.Policy.retention(k.Use); keep > 0 && !k.RetiredAt.IsZero() {
			i.DropAt = k.RetiredAt.Add(keep)
		}
		for _, s := range slices.Concat(v.signers, v.ids) {
			if s.meta.ID == k.ID {
				i.KeyID = s.kid
			}
		}
		for _, s := range v.sealers {
			if s.meta.ID == k.ID {
				i.KeyID = s.key.ID()
			}
		}
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b Info) int { return int(int64(a.ID) - int64(b.ID)) })
	return out
}

// Refresh reads the stored ring and does what [Plan] says is due. On an error
// the ring stays as it was.
func (r *Ring) Refresh(ctx context.Context) error {
	_, err := r.update(ctx, func(ring []Key, now time.Time, steady time.Duration) ([]Key, []Action) {
		return Plan(ring, r.cfg.Policy, now, steady)
	})
	return err
}

// Rotate announces new keys for every use. They take over after the lead time;
// or, with atOnce, now: verifiers that do not read the key set again when they
// meet an unknown key then refuse tokens until their cache runs out. It returns
// the new keys.
func (r *Ring) Rotate(ctx context.Context, atOnce bool) ([]Info, error) {
	actions, err := r.update(ctx, func(ring []Key, now time.Time, _ time.Duration) (next []Key, actions []Action) {
		next = slices.Clone(ring)
		activeAt := now.Add(r.cfg.Policy.Lead)
		if atOnce {
			activeAt = now
		}
		for _, u := range r.cfg.Policy.uses(ring) {
			k := Key{ID: nextID(next), Use: u, Algorithm: r.cfg.Policy.algorithm(u), CreatedAt: now, ActiveAt: activeAt}
			next = append(next, k)
			actions = append(actions, Action{Announced, k})
		}
		return next, actions
	})
	if err != nil {
		return nil, err
	}
	made := slices.DeleteFunc(r.List(), func(i Info) bool {
		return !slices.ContainsFunc(actions, func(a Action) bool { return a.Key.ID == i.ID })
	})
	return made, nil
}

// Ensure makes a key for ID tokens under an algorithm if there is none, and uses it at
// once: nobody holds a key set that should have had it. It rotates like the others
// from then on.
func (r *Ring) Ensure(ctx context.Context, algorithm string) error {
	use := UseIDToken(algorithm)
	if use.idToken() == "" {
		return fmt.Errorf("keys: ID tokens can't be signed with %q", algorithm)
	}
	has := func(ring []Key) bool { return slices.ContainsFunc(ring, func(k Key) bool { return k.Use == use }) }
	if has(r.view.Load().ring) {
		return nil
	}
	_, err := r.update(ctx, func(ring []Key, now time.Time, _ time.Duration) ([]Key, []Action) {
		if has(ring) {
			return ring, nil
		}
		k := Key{ID: nextID(ring), Use: use, Algorithm: algorithm, CreatedAt: now, ActiveAt: now}
		return append(slices.Clone(ring), k), []Action{{Announced, k}}
	})
	return err
}

// IDTokenAlgorithms are those that there are keys for.
func (r *Ring) IDTokenAlgorithms() (list []string) {
	for _, s := range r.view.Load().ids {
		if !slices.Contains(list, s.meta.Algorithm) {
			list = append(list, s.meta.Algorithm)
		}
	}
	return list
}

// maxConflicts bounds how often a change is made again on a ring that moved on.
const maxConflicts = 16

type change func(ring []Key, now time.Time, steady time.Duration) ([]Key, []Action)

// update reads the ring, changes it, and takes the result into use.
func (r *Ring) update(ctx context.Context, f change) ([]Action, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range maxConflicts {
		ring, version, err := r.cfg.Store.Load(ctx)
		if err != nil {
			return nil, fmt.Errorf("keys: load the key ring: %w", err)
		}
		// The stored ring may be older than ours: a store that lost its last
		// writes lost keys that no token was made with, thanks to the lead time.
		view, err := newSnapshot(ring, version, r.cfg.Master)
		if err != nil {
			return nil, err
		}
		now := r.clock().UTC().Truncate(time.Millisecond)
		next, actions := f(ring, now, r.steady(now))
		if len(actions) == 0 {
			r.view.Store(view)
			return nil, nil
		}
		if err := r.makeSecrets(next); err != nil {
			return nil, err
		}
		view, err = newSnapshot(next, version+1, r.cfg.Master)
		if err != nil {
			return nil, err
		}
		switch err := r.cfg.Store.Replace(ctx, version, next, rotated(version, now, actions)...); {
		case errors.Is(err, ErrConflict):
			continue
		case err != nil:
			return nil, fmt.Errorf("keys: store the key ring: %w", err)
		}
		r.view.Store(view)
		for _, a := range actions {
			r.cfg.Logger.Info("key "+string(a.Step), "key", a.Key.ID, "use", string(a.Key.Use), "algorithm", a.Key.Algorithm, "active_at", a.Key.ActiveAt)
		}
		return actions, nil
	}
	return nil, fmt.Errorf("keys: the stored ring changed %d times while one change was made: %w", maxConflicts, ErrConflict)
}

// rotated is the event for those who read the published key set. The first ring
// of a database is news to nobody.
func rotated(version int64, now time.Time, actions []Action) []events.Event {
	published := slices.ContainsFunc(actions, func(a Action) bool { return a.Key.Use != UseMAC && a.Step != Retired })
	if version == 0 || !published {
		return nil
	}
	return []events.Event{{At: now, Kind: wire.EventKeysRotated, Data: []byte("{}")}}
}

func (r *Ring) makeSecrets(ring []Key) error {
	for i, k := range ring {
		if k.Sealed != nil {
			continue
		}
		secret, err := newSecret(k, r.cfg.Rand)
		if err != nil {
			return err
		}
		if ring[i].Sealed, err = r.cfg.Master.seal(r.cfg.Rand, k, secret); err != nil {
			return err
		}
	}
	return nil
}

// steady is how long the clock has run without a jump, as far as the readings
// of the ring show. A pause of the process counts as a jump.
func (r *Ring) steady(now time.Time) time.Duration {
	if step := now.Sub(r.lastRead); r.lastRead.IsZero() || step < 0 || step > r.cfg.Policy.Lead {
		r.since = now
	}
	r.lastRead = now
	return now.Sub(r.since)
}

func (r *Ring) clock() time.Time { return r.cfg.Clock() }
