package client

import "time"

// An API that refuses every token must not turn every request into a renewal
// (RFC 6750 leaves this to clients). A token that was not renewed because of a
// refusal may be refused once. One that was has to get older first, the more so
// the longer no token was accepted anywhere. Only grants that change again and
// again may be followed faster, within a budget.
const (
	settle      = 5 * time.Second
	mostSettles = 6 // doublings of settle: 5 min 20 s

	budgetSize  = 5
	budgetEvery = 5 * time.Second
)

// worthRenewing reports whether a 401 for g is a reason to renew.
func (s *Source) worthRenewing(g *grant, grantsChanged bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cur.Load() != g { // a late 401: there is another token already
		return true
	}
	now := time.Now()
	return !g.forced || g.age(now) >= settle<<min(g.strikes, mostSettles) ||
		grantsChanged && s.budget.take(now)
}

// budget allows budgetSize takes at once and one more every budgetEvery.
type budget struct{ full time.Time }

func (b *budget) take(now time.Time) bool {
	from := b.full
	if from.Before(now) {
		from = now
	}
	if from.Sub(now) > (budgetSize-1)*budgetEvery {
		return false
	}
	b.full = from.Add(budgetEvery)
	return true
}
