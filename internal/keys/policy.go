package keys

import (
	"fmt"
	"slices"
	"time"
)

// Signature and MAC algorithms of stored keys (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	EdDSA = "EdDSA"
	ES256 = "ES256"
	RS256 = "RS256" // for ID tokens alone
	HS256 = "HS256"
	// ECDHP256 is not an algorithm of RFC 7518: what is agreed with the key is
	// derived as package seal says.
	ECDHP256 = "ECDH-P256"
)

// Policy holds the durations of the ring. It may change between restarts; keys
// that exist follow the new one.
type Policy struct {
	// Algorithm of new signing keys: EdDSA or ES256.
	Algorithm string
	// Encryption asks for keys of UseEncrypt. Programs older than these keys cannot
	// open a ring that has one.
	Encryption bool
	// Period is how long a key is used before the next one takes over.
	Period time.Duration
	// Lead is how long a key is announced before it is used. Every node has
	// read the ring again within a quarter of it, and verifiers may cache the
	// published set for half of it (see [Ring.JWKSMaxAge]).
	Lead time.Duration
	// Access is the longest lifetime of an access token.
	Access time.Duration
	// Refresh is how long a refresh token can be accepted after it was made:
	// the idle lifetime of sessions, or the absolute one if there is no idle
	// limit. Zero: no limit, MAC keys are never dropped.
	Refresh time.Duration
	// Skew is how far apart the clocks of nodes and verifiers may be.
	Skew time.Duration
}

// Defaults of a [Policy]; Access and Refresh are those of the session policy.
const (
	DefaultPeriod = 30 * 24 * time.Hour
	DefaultLead   = time.Hour
	DefaultSkew   = time.Minute
)

// withDefaults fills in what is zero and may be.
func (p Policy) withDefaults() Policy {
	if p.Algorithm == "" {
		p.Algorithm = EdDSA
	}
	if p.Period == 0 {
		p.Period = DefaultPeriod
	}
	if p.Lead == 0 {
		p.Lead = DefaultLead
	}
	if p.Skew == 0 {
		p.Skew = min(DefaultSkew, p.Lead/8)
	}
	return p
}

// Validate reports a policy under which tokens could be refused, and why.
func (p Policy) Validate() error {
	switch {
	case p.Algorithm != EdDSA && p.Algorithm != ES256:
		return fmt.Errorf("keys: unknown signing algorithm %q; use %s or %s", p.Algorithm, EdDSA, ES256)
	case p.Skew < 0 || p.Refresh < 0:
		return fmt.Errorf("keys: skew %v and refresh lifetime %v must not be negative", p.Skew, p.Refresh)
	case p.Access <= 0:
		return fmt.Errorf("keys: access token lifetime %v must be positive", p.Access)
	case p.Lead < time.Second || p.Lead < 4*p.Skew:
		return fmt.Errorf("keys: lead time %v is too short for a clock skew of %v; give at least four times the skew and a second", p.Lead, p.Skew)
	case p.Period < 2*p.Lead:
		return fmt.Errorf("keys: key period %v is shorter than twice the lead time %v; keys would be replaced before they are used", p.Period, p.Lead)
	}
	return nil
}

// retention is how long a retired key is still accepted; zero means for ever.
// The lead time is in it because a node may have used the key for a while after
// another node retired it (after a rotation that was forced).
func (p Policy) retention(u Use) time.Duration {
	life := p.Access
	if u == UseMAC {
		life = p.Refresh
	}
	if life == 0 {
		return 0
	}
	return life + p.Lead + 2*p.Skew
}

func (p Policy) algorithm(u Use) string {
	switch u {
	case UseMAC:
		return HS256
	case UseEncrypt:
		return ECDHP256
	}
	if alg := u.idToken(); alg != "" {
		return alg
	}
	return p.Algorithm
}

// uses are what there must be a key for: also for ID tokens under the algorithms that
// the ring has keys for.
func (p Policy) uses(ring []Key) []Use {
	uses := []Use{UseSign, UseMAC}
	if p.Encryption {
		uses = append(uses, UseEncrypt)
	}
	for _, k := range ring {
		if k.Use.idToken() != "" && !slices.Contains(uses, k.Use) {
			uses = append(uses, k.Use)
		}
	}
	return uses
}

// poll is how often a node reads the ring.
func (p Policy) poll() time.Duration { return min(p.Lead/4, time.Minute) }
