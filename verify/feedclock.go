package verify

import "time"

// feedClock is what is known of the issuer's clock, and how far the feed has
// come by it. It is immutable. Only differences of local times are used, so a
// local clock that is wrong or set does not matter.
//
// The hello was stamped at some moment between our request and its arrival, so
// the issuer's time is known to lie between lo and hi, which run on with the
// local clock. Whatever must not be too early (forgetting) goes by lo, whatever
// must not be too late (lag) by hi.
type feedClock struct {
	epoch  time.Time // local
	lo, hi time.Time // the issuer's time at epoch

	tick   time.Time // the issuer's time at the last tick; zero: none yet
	tickAt time.Time // local
}

// hello starts from a hello that says now and that was asked for at sent and
// came at received. Where the feed has come to is taken over.
func (c feedClock) hello(now, sent, received time.Time) feedClock {
	c.epoch, c.lo, c.hi = received, now, now.Add(received.Sub(sent))
	return c
}

// ticked takes in a tick that says now and came at received.
func (c feedClock) ticked(now, received time.Time) feedClock {
	lo, hi := c.at(received)
	switch {
	case now.After(hi): // the issuer's clock was set forward
		lo, hi = now, now
	case now.After(lo): // it is at least that late
		lo = now
	}
	return feedClock{epoch: received, lo: lo, hi: hi, tick: now, tickAt: received}
}

// at returns the bounds of the issuer's time.
func (c feedClock) at(local time.Time) (lo, hi time.Time) {
	passed := local.Sub(c.epoch)
	return c.lo.Add(passed), c.hi.Add(passed)
}

// lag is how long ago something may have happened at most that the feed has not
// told; before the first tick, how long it has been waited for. The second term
// holds if the issuer's clock was set back.
func (c feedClock) lag(local time.Time) time.Duration {
	if c.tick.IsZero() {
		return local.Sub(c.tickAt)
	}
	_, hi := c.at(local)
	return max(hi.Sub(c.tick), local.Sub(c.tickAt), 0)
}
