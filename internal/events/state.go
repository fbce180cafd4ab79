package events

import "time"

// State is what a Hub has to tell about itself.
type State struct {
	// AsOf is Position.AsOf of what was read last.
	AsOf time.Time
	// Users are the subscriptions to one user's events, All those to everybody's.
	Users, All int
}

// State is the present state.
func (h *Hub) State() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := State{AsOf: h.at.AsOf, All: len(h.subs[""])}
	for user, list := range h.subs {
		if user != "" {
			s.Users += len(list)
		}
	}
	return s
}
