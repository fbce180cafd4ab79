package events

import (
	"errors"
	"slices"
	"sort"
)

// Why a subscription ended.
var (
	// ErrSlow: it did not keep up. It may be made again from the last number
	// that was taken.
	ErrSlow = errors.New("events: the subscriber did not keep up")
	// ErrClosed: the hub does not work any more.
	ErrClosed = errors.New("events: the hub is closed")

	errNobody = errors.New("events: the user has no id")
)

// How many events wait for a subscriber that does not take them: of one user,
// which is what a browser listens to, and of everybody.
const (
	userQueue = 64
	fullQueue = 8192
)

// Subscription is a queue of events for one reader. It needs no goroutine.
type Subscription struct {
	hub   *Hub
	user  string // empty: everybody's events
	start int64
	ready chan struct{}

	// Under hub.mu.
	queue []*Event
	err   error
}

// Subscribe opens a queue for the events of one user, from the number after on.
// reset says that this cannot be done (numbers that left the ring, or were never
// given): the queue then begins with the present, as it does with a negative
// number.
func (h *Hub) Subscribe(userID string, after int64) (s *Subscription, reset bool, err error) {
	if userID == "" {
		return nil, false, errNobody
	}
	return h.subscribe(userID, after)
}

// SubscribeAll opens a queue for everybody's events, which begins with the
// position returned. What was before is had with Replay.
func (h *Hub) SubscribeAll() (*Subscription, Position, error) {
	s, _, err := h.subscribe("", -1)
	if err != nil {
		return nil, Position{}, err
	}
	_, at, err := s.Take()
	return s, at, err
}

func (h *Hub) subscribe(user string, after int64) (*Subscription, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, false, ErrClosed
	}
	s := &Subscription{hub: h, user: user, start: h.at.Seq, ready: make(chan struct{}, 1)}
	reset := false
	if after >= 0 && after != h.at.Seq {
		if reset = after > h.at.Seq || after+1 < h.oldest(); !reset {
			s.start, s.queue = after, h.missed(user, after)
			s.signal()
		}
	}
	h.subs[user] = append(h.subs[user], s)
	return s, reset, nil
}

// oldest is the number from which on the ring has every event.
func (h *Hub) oldest() int64 {
	if len(h.ring) == 0 {
		return h.at.Seq + 1
	}
	return h.ring[0].Seq
}

// missed are the user's events with numbers above after.
func (h *Hub) missed(user string, after int64) (list []*Event) {
	i := sort.Search(len(h.ring), func(i int) bool { return h.ring[i].Seq > after })
	for _, e := range h.ring[i:] {
		if e.UserID == user {
			list = append(list, e)
		}
	}
	return list
}

// deliver queues an event for those who listen under the name.
func (h *Hub) deliver(name string, e *Event) {
	limit := userQueue
	if name == "" {
		limit = fullQueue
	}
	for _, s := range h.subs[name] {
		switch {
		case s.err != nil:
			continue
		case len(s.queue) >= limit:
			s.end(ErrSlow)
		default:
			s.queue = append(s.queue, e)
			s.signal()
		}
	}
}

func (s *Subscription) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// end is called with hub.mu held.
func (s *Subscription) end(err error) {
	if s.err == nil {
		s.queue, s.err = nil, err
	}
	s.signal()
}

// Start is the number that the queue begins after.
func (s *Subscription) Start() int64 { return s.start }

// Ready has a value when Take has something to say.
func (s *Subscription) Ready() <-chan struct{} { return s.ready }

// Take empties the queue. With what was taken before, these are all of the
// subscription's events up to the position. The error says that the
// subscription has ended.
func (s *Subscription) Take() ([]*Event, Position, error) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	list := s.queue
	s.queue = nil
	return list, s.hub.at, s.err
}

// Close ends the subscription.
func (s *Subscription) Close() {
	h := s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	s.end(ErrClosed)
	left := slices.DeleteFunc(h.subs[s.user], func(o *Subscription) bool { return o == s })
	if len(left) == 0 {
		delete(h.subs, s.user)
		return
	}
	h.subs[s.user] = left
}

// Listeners is how many subscriptions there are for the user, or for
// everybody's events if userID is empty.
func (h *Hub) Listeners(userID string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.subs[userID])
}

// Close ends all subscriptions; there are no new ones after it.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.endAll(ErrClosed)
}

func (h *Hub) endAll(err error) {
	for _, list := range h.subs {
		for _, s := range list {
			s.end(err)
		}
	}
}
