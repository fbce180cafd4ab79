package sim

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

// A probe is a session that comes back in the very millisecond in which it is over,
// or in the one before, by the clock of the node that it comes to.

// probe starts one.
func (w *world) probe() {
	in := w.anyNode()
	if in == nil {
		return
	}
	w.count.probes++
	who := fmt.Sprintf("p%d", w.count.probes)
	name := w.someone().user
	idle, early := w.chance(0.6), w.chance(0.5)
	body := fmt.Sprintf(`{"username":%q,"password":%q,"delivery":"body"}`, name, name)
	w.post(in, who, "/login", body, "", "", func(c *call) {
		if j, _, ok := w.tokens(answer{c, c.status}); ok {
			w.pursue(in.node, who, j, idle, early)
		}
	})
}

// pursue keeps the session alive until its absolute end, or waits for the idle one.
func (w *world) pursue(n *node, who string, j jar, idle, early bool) {
	id := parseID(j.session)
	s, err := w.store.data.Sessions.Get(context.Background(), id)
	if err != nil {
		return // forgotten in the same moment
	}
	end := s.State.HeadAt.Add(w.idle)
	last := s.State.CreatedAt.Add(w.absolute)
	if !idle && end.Before(last) {
		w.after(w.idle*3/4, func() {
			w.come(n, who, j, func(status int, next jar) {
				switch {
				case next.refresh != "":
					w.pursue(n, who, next, idle, early)
				case status == http.StatusBadRequest:
					w.oracle.refused(who, j.session)
				}
			})
		})
		return
	}
	if last.Before(end) {
		end = last
	}
	aim := end
	if early {
		aim = aim.Add(-time.Millisecond)
	}
	w.after(time.Until(aim.Add(-n.skew)), func() {
		// A store that has forgotten a renewal counts from the one before.
		policy := rotation.Policy{Idle: w.idle, Absolute: w.absolute}
		if s, err := w.store.data.Sessions.Get(context.Background(), id); err != nil || !policy.ExpiresAt(s.State).Equal(end) {
			return
		}
		w.come(n, who, j, func(status int, _ jar) {
			w.count.probed++
			switch t := w.oracle.sessions[id]; {
			case t.gone != "" || status == http.StatusServiceUnavailable:
			case early && status != http.StatusOK:
				w.oracle.violation(who, "in its last millisecond (%v) the session was answered with %d", aim, status)
			case !early && status != http.StatusBadRequest:
				w.oracle.violation(who, "in the millisecond of its end (%v) the session was answered with %d", aim, status)
			}
		})
	})
}

// come presents a token at a node without a network between them.
func (w *world) come(n *node, who string, j jar, then func(status int, next jar)) {
	if n.up == nil {
		return
	}
	w.post(n.up, who, "/refresh", `{"refresh_token":"`+j.refresh+`"}`, "", "", func(c *call) {
		w.note(who, "%s /refresh: %d", n.up.name, c.status)
		next, _, _ := w.tokens(answer{c, c.status})
		then(c.status, next)
	})
}
