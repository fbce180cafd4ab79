package client

import (
	"log/slog"
	"math"
	"sync/atomic"
	"time"
)

// Token is an access token, ready to be sent as "Authorization: Bearer …"
// (RFC 6750 §2.1). Printing or logging one does not reveal it.
type Token struct {
	AccessToken string
	// ExpiresAt is when it is over, by this computer's clock: the lifetime that
	// the server gave, counted from receipt.
	ExpiresAt time.Time
	// Session is the id of the session that it belongs to. It is no secret.
	Session string
}

// String names the token without revealing it.
func (t Token) String() string {
	return "access token of session " + t.Session + " (hidden)"
}

// GoString is [Token.String], so that %#v hides the token too.
func (t Token) GoString() string { return t.String() }

// LogValue hides the token from log/slog.
func (t Token) LogValue() slog.Value {
	return slog.GroupValue(slog.String("session", t.Session), slog.Time("expires_at", t.ExpiresAt))
}

// grant is a token in use, with what decides how long it is used. It does not
// change once published, but for the mark.
type grant struct {
	token  Token
	header []string // the Authorization header, built once; no room behind it

	received time.Time // with a monotonic reading
	wall     int64     // received in nanoseconds since the epoch
	// The token is renewed ahead from renewFrom on and not used from usableFor
	// on; both are ages.
	renewFrom, usableFor time.Duration

	// accepted is set when any API has answered this token with something other
	// than 401; refused when one has with a 401 that asks for a renewal.
	accepted, refused atomic.Bool
	// forced: the token before this one was refused. strikes counts the tokens
	// before this one that were refused and never accepted.
	forced  bool
	strikes int
}

// strikesAfter is the strikes of the token that replaces g.
func (g *grant) strikesAfter() int {
	if g.refused.Load() && !g.accepted.Load() {
		return g.strikes + 1
	}
	return 0
}

// age is how long the token has been out, by the clock that says more. The
// monotonic clock stands still while a laptop sleeps, the wall clock can be set
// back; neither may make an old token look fresh.
func (g *grant) age(now time.Time) time.Duration {
	return max(now.Sub(g.received), time.Duration(now.UnixNano()-g.wall))
}

func (g *grant) usable(now time.Time) bool { return g.age(now) < g.usableFor }

// none is a grant that is never usable. Every call returns a different one:
// pointers tell grants apart.
func none() *grant { return &grant{wall: math.MinInt64 / 2} }

// grantOf is the grant that a record's access token is worth now, none if it is
// worth nothing.
func (s *Source) grantOf(r record, now time.Time) *grant {
	age := time.Duration(now.UnixNano() - r.ReceivedAt)
	life := r.lifetime()
	// A record from the future: the wall clock was set back since, and the
	// token's age is unknown.
	if r.AccessToken == "" || age < 0 || age >= life {
		return none()
	}
	jitter := 1 - renewSpread*s.random()
	return &grant{
		token: Token{
			AccessToken: r.AccessToken,
			ExpiresAt:   now.Add(life - age),
			Session:     r.Session.ID,
		},
		header:    []string{"Bearer " + r.AccessToken},
		received:  now.Add(-age),
		wall:      r.ReceivedAt,
		renewFrom: time.Duration(float64(life) * s.renewAt * jitter),
		usableFor: life - min(s.leeway, life/10),
	}
}
