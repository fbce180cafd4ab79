package gateway

import "time"

var (
	Strip             = strip
	CallersMustNotSet = callersMustNotSet
)

// OpenStreams is how many streams are watched; nothing is kept when they are
// over.
func (g *Gateway) OpenStreams() int {
	g.streams.mu.Lock()
	defer g.streams.mu.Unlock()
	n := 0
	for _, set := range g.streams.bySession {
		n += len(set)
	}
	if len(g.streams.bySession) == 0 && len(g.streams.byUser) != 0 {
		return -1
	}
	return n
}

// SetStall sets how long a caller may pause within a body.
func (g *Gateway) SetStall(d time.Duration) { g.stall = d }
