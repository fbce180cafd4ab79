package sim

import (
	"time"
)

// request is what a client sends.
type request struct {
	path, body, cookies, csrf string
	timeout                   time.Duration // of the client
}

// answer is what comes back. status is 0 if nothing did.
type answer struct {
	*call
	status int
}

// link is how one client is connected.
type link struct {
	w       *world
	who     string
	offline bool
	calm    bool          // repeats nothing
	lasts   time.Duration // how long a message of its lives at most
}

// trip is how long a message is on its way. A few are held up, for half of what a
// message may live at most.
func (l *link) trip() time.Duration {
	w := l.w
	if w.chance(w.stalls) {
		return w.between(0, l.lasts/2)
	}
	return w.between(5*time.Millisecond, 80*time.Millisecond)
}

// send sends a request and calls then once: with the answer, or without one.
func (l *link) send(r request, then func(answer)) {
	w := l.w
	over := false
	var hangUp []func()
	timeout := w.after(r.timeout, func() {
		over = true
		for _, leave := range hangUp {
			if w.chance(0.5) { // a proxy may not notice
				leave()
			}
		}
		then(answer{})
	})
	land := func(a answer) {
		if !over {
			over = true
			timeout.cancel()
			then(a)
		}
	}
	if l.offline {
		if w.chance(0.5) { // the device knows
			w.after(time.Millisecond, func() { land(answer{}) })
		}
		return
	}
	copies := 1
	if !l.calm && w.chance(w.repeats) {
		copies = 2
	}
	for i := range copies {
		if w.chance(w.lostRequests) {
			continue
		}
		trip := l.trip()
		if i > 0 {
			trip += w.between(0, l.lasts/2)
		}
		w.after(trip, func() { l.arrive(r, &hangUp, land) })
	}
}

// arrive hands a request to a node that answers.
func (l *link) arrive(r request, hangUp *[]func(), land func(answer)) {
	w := l.w
	in := w.anyNode()
	if in == nil {
		w.after(w.between(5*time.Millisecond, 80*time.Millisecond), func() { land(answer{}) })
		return
	}
	leave := w.post(in, l.who, r.path, r.body, r.cookies, r.csrf, func(c *call) {
		w.note(l.who, "%s %s: %d", in.name, r.path, c.status)
		if l.offline || w.chance(w.lostAnswers) {
			return
		}
		w.after(l.trip(), func() { land(answer{c, c.status}) })
	})
	*hangUp = append(*hangUp, leave)
}

// anyNode is a node that runs, as a load balancer picks it, or nil.
func (w *world) anyNode() *incarnation {
	n := w.rng.IntN(len(w.nodes))
	for i := range w.nodes {
		if in := w.nodes[(n+i)%len(w.nodes)].up; in != nil {
			return in
		}
	}
	return nil
}
