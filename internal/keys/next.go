package keys

import "time"

// Life is where a use of keys stands.
type Life struct {
	Use    Use
	Active time.Time // when the key in use became so
	Next   time.Time // when the next one will be, as planned now
}

// Lives are those of both uses. It reads no storage.
func (r *Ring) Lives() []Life {
	v, now, p := r.view.Load(), r.clock(), r.cfg.Policy
	lives := make([]Life, 0, 2)
	for _, u := range []Use{UseSign, UseMAC} {
		c := current(v.ring, u, now)
		if c < 0 {
			continue
		}
		l := Life{Use: u, Active: v.ring[c].ActiveAt}
		newest := v.ring[c]
		for _, k := range v.ring {
			if k.Use == u && k.RetiredAt.IsZero() && k.CreatedAt.After(newest.CreatedAt) {
				newest = k
			}
		}
		if l.Next = newest.ActiveAt; !l.Next.After(now) { // none is announced
			l.Next = newest.CreatedAt.Add(p.Period + p.Lead)
		}
		lives = append(lives, l)
	}
	return lives
}
