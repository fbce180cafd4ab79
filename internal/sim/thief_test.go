package sim

import (
	"net/http"
	"time"
)

// thief has a copy of somebody's jar and carries on with it.
type thief struct {
	browser
	had []jar // all that were ever his
}

// steal copies the jar of a browser that somebody uses.
func (w *world) steal() {
	var from *browser
	for range 50 {
		if b := w.browsers[w.rng.IntN(len(w.browsers))]; b.jar.refresh != "" && !w.oracle.stolen(b.jar.session) {
			from = b
			break
		}
	}
	if from == nil {
		return
	}
	w.count.thefts++
	t := &thief{browser: browser{link: link{w: w, who: "T" + from.who, lasts: w.life}, kind: from.kind, jar: from.jar}, had: []jar{from.jar}}
	w.note(from.who, "%s copies the jar", t.who)
	if w.chance(0.3) { // an older copy, if there is one
		t.had[0] = from.disk
		if from.disk.refresh == "" || from.disk.session != from.jar.session {
			t.had[0] = from.jar
		}
	}
	pace := w.between(5*time.Second, 2*w.access)
	w.after(w.about(pace), func() { t.present(pace) })
}

// present shows what he had last, or now and then something older, until he is
// refused for good.
func (t *thief) present(pace time.Duration) {
	w := t.w
	t.jar = t.had[len(t.had)-1]
	if w.chance(0.15) {
		t.jar = t.had[w.rng.IntN(len(t.had))]
	}
	sent := t.jar
	w.oracle.used(sent.session)
	cookies, csrf, body := t.cookies()
	t.send(request{"/refresh", body, cookies, csrf, w.life}, func(a answer) {
		switch a.status {
		case http.StatusOK:
			j, whole, _ := w.tokens(a)
			w.oracle.granted(t.who, sent.session, sent.refresh, whole)
			if whole {
				t.had = append(t.had, j)
			}
		case http.StatusBadRequest:
			w.note(t.who, "gives up")
			return
		}
		w.after(w.about(pace), func() { t.present(pace) })
	})
}
