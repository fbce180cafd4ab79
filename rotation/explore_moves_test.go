package rotation_test

import "fmt"

// moves calls yield with everything that can happen next.
func moves(r rule, w world, s state, yield func(move)) {
	if s.revoked {
		return
	}
	m := mover{r, w, s, yield}
	m.time()
	m.send()
	for i := range s.exN {
		m.network(i)
		m.arrive(i)
		m.land(i)
	}
	m.browserDies()
	m.storeForgets()
}

type mover struct {
	r     rule
	w     world
	s     state // before
	yield func(move)
}

func (m mover) do(next state, text func(*teller) string) { m.yield(move{text, next}) }

func plain(s string) func(*teller) string { return func(*teller) string { return s } }

// who is the page that an exchange belongs to.
func (n *teller) who(e exchange) string {
	if e.tab < 0 {
		return "a request that nobody waits for"
	}
	return "tab " + n.tab(e.tab) + "'s request"
}

// time passes: tokens age, overlaps close, messages that are too old are gone.
func (m mover) time() {
	s := m.s
	m.r.pass(&s.store, m.w.overlap)
	for i := range s.olderN {
		m.r.pass(&s.older[i], m.w.overlap)
	}
	for i, access := range s.tabs {
		if access != noTab && access > 0 {
			s.tabs[i]--
		}
	}
	s.landed = min(s.landed+1, m.w.access)
	for i := s.exN - 1; i >= 0; i-- {
		if s.ex[i].age++; s.ex[i].age > m.w.life {
			s.drop(i)
		}
	}
	n := 0
	for _, h := range s.past[:s.pastN] {
		h.landed = min(h.landed+1, m.w.access)
		if h.left++; h.left <= m.w.lag {
			s.past[n] = h
			n++
		}
	}
	clear(s.past[n:])
	s.pastN = n
	m.do(s, plain("time passes"))
}

// send: a tab whose access token has expired presents the token in the jar.
func (m mover) send() {
	if m.s.exN == min(m.w.inFlight, maxExchanges) {
		return
	}
	var waits [maxTabs]bool
	for _, e := range m.s.ex[:m.s.exN] {
		if e.tab >= 0 {
			waits[e.tab] = true
			if m.w.lock {
				return
			}
		}
	}
	for t := range m.s.tabs {
		if waits[t] || m.s.tabs[t] > 0 {
			continue
		}
		s := m.s
		e := exchange{tok: s.jar, copies: 1, tab: int8(t)}
		if s.own[t] != (token{}) {
			e.tok, e.kept = s.own[t], s.jar
		}
		s.ex[s.exN] = e
		s.exN++
		m.do(s, func(n *teller) string {
			text := fmt.Sprintf("tab %s renews with %s", n.tab(int8(t)), n.token(e.tok))
			if e.kept != (token{}) {
				text += ", beside it " + n.token(e.kept)
			}
			return text
		})
	}
}

// network: what can become of an exchange on its way.
func (m mover) network(i int) {
	e := m.s.ex[i]
	if m.w.repeats && !e.repeated && !e.confirm {
		s := m.s
		s.ex[i].repeated = true
		s.ex[i].copies++
		m.do(s, func(n *teller) string {
			return fmt.Sprintf("the network repeats %s, with %s", n.who(e), n.token(e.tok))
		})
	}
	lost := m.s
	lost.drop(i)
	m.do(lost, func(n *teller) string {
		if e.copies == 0 {
			return fmt.Sprintf("the answer to %s is lost", n.who(e))
		}
		return fmt.Sprintf("%s is lost", n.who(e))
	})
	if e.tab < 0 {
		return
	}
	if e.copies > 0 && !m.w.cleanBreaks {
		broken := m.s
		broken.ex[i].hangUp()
		broken.tidy()
		m.do(broken, func(n *teller) string {
			return fmt.Sprintf("tab %s sees its connection break; its request is still under way", n.tab(e.tab))
		})
	}
	if m.w.pageLeaves {
		left := m.s
		left.ex[i].tab = -1
		m.do(left, func(n *teller) string {
			return fmt.Sprintf("tab %s goes to another page without waiting for the answer", n.tab(e.tab))
		})
	}
}

func (e *exchange) hangUp() {
	e.deaf, e.repeated, e.tab, e.n, e.answers = true, true, -1, 0, [2]token{}
}

// arrive: the server judges a request.
func (m mover) arrive(i int) {
	e := m.s.ex[i]
	if e.copies == 0 || e.n == 2 {
		return
	}
	s := m.s
	before := s.store
	if e.kept != (token{}) {
		e.tok = m.r.choose(before, e.tok, e.kept, m.w.overlap)
	}
	after, v := m.r.judge(before, e.tok, m.w.overlap, s.fresh(), !e.confirm)
	s.store = after
	if after.head != before.head {
		s.remember(before, m.w.rollback)
	}
	s.revoked = v.revoked
	s.ex[i].copies--
	if !e.deaf && !e.confirm {
		s.ex[i].answers[e.n] = v.minted
		s.ex[i].n++
	}
	s.tidy()
	m.do(s, func(n *teller) string {
		what := "the server"
		if e.confirm {
			what = "the server hears that " + n.token(e.tok) + " is stored:"
		} else {
			what += " gets " + n.token(e.tok)
		}
		switch {
		case v.revoked:
			return fmt.Sprintf("%s (%s) and revokes the session", what, v.outcome)
		case e.confirm:
			return fmt.Sprintf("%s %s", what, v.outcome)
		case v.minted == token{}:
			return fmt.Sprintf("%s (%s) and answers with an access token only", what, v.outcome)
		case e.deaf:
			return fmt.Sprintf("%s (%s); its answer reaches nobody", what, v.outcome)
		}
		return fmt.Sprintf("%s (%s) and answers with %s", what, v.outcome, n.token(v.minted))
	})
}

func (s *state) remember(before store, rollback int) {
	keep := min(rollback, maxRollback)
	if keep == 0 || s.forgets == 0 {
		return
	}
	copy(s.older[1:keep], s.older[:])
	s.older[0] = before
	s.olderN = min(s.olderN+1, keep)
}

// land: an answer reaches the browser. Repetitions of its request travel on.
func (m mover) land(i int) {
	e := m.s.ex[i]
	for a := range e.n {
		s := m.s
		tok := e.answers[a]
		if tok != (token{}) && tok != s.jar {
			s.put(tok, m.w)
		}
		if e.tab >= 0 && m.w.ownRefresh {
			s.own[e.tab] = tok
		}
		if e.tab >= 0 {
			for t, access := range s.tabs {
				if access != noTab && (!m.w.ownTokens || int8(t) == e.tab) {
					s.tabs[t] = m.w.access
				}
			}
		}
		s.ex[i].hangUp()
		s.tidy()
		if m.w.confirm && tok != (token{}) {
			s.ex[s.exN] = exchange{tok: tok, copies: 1, confirm: true, deaf: true, repeated: true, tab: -1}
			s.exN++
		}
		m.do(s, func(n *teller) string {
			to := "the browser, whose page is gone"
			if e.tab >= 0 {
				to = "tab " + n.tab(e.tab)
			}
			if tok == (token{}) {
				return fmt.Sprintf("the answer reaches %s; the jar keeps %s", to, n.token(s.jar))
			}
			text := fmt.Sprintf("the answer reaches %s; the jar holds %s", to, n.token(tok))
			if m.w.confirm {
				text += "; the browser confirms it"
			}
			return text
		})
	}
}

func (s *state) put(t token, w world) {
	if w.crash {
		s.past[s.pastN] = held{tok: s.jar, landed: s.landed} // panics if the model is too small
		s.pastN++
	}
	s.jar, s.landed = t, 0
}

// browserDies: a reload, or a crash after which the jar holds what was on disk.
func (m mover) browserDies() {
	if m.w.reload {
		s := m.s
		s.restart(m.w, 0)
		m.do(s, plain("the page is reloaded"))
	}
	if !m.w.crash {
		return
	}
	for i := -1; i < m.s.pastN; i++ {
		s := m.s
		if i >= 0 {
			s.jar, s.landed = s.past[i].tok, s.past[i].landed
		}
		s.past, s.pastN = [maxPast]held{}, 0
		good := uint8(0)
		if !m.w.bootRenews {
			good = m.w.access - s.landed
		}
		s.restart(m.w, good)
		m.do(s, func(n *teller) string {
			return fmt.Sprintf("the browser crashes and comes back with %s", n.token(s.jar))
		})
	}
}

func (s *state) restart(w world, access uint8) {
	for i := range s.tabs {
		if s.tabs[i] != noTab {
			s.tabs[i] = access
		}
	}
	for i := range s.exN {
		s.ex[i].hangUp()
		if w.messagesFall {
			s.ex[i].copies = 0
		}
	}
	s.tidy()
}

// storeForgets: a failover or a restored backup.
func (m mover) storeForgets() {
	for i := range m.s.olderN {
		s := m.s
		if s.forgets--; s.forgets == 0 {
			s.older, s.olderN = [maxRollback]store{}, 0
		}
		s.store = m.s.older[i]
		n := copy(s.older[:], s.older[min(i+1, s.olderN):s.olderN])
		clear(s.older[n:])
		s.olderN = n
		m.do(s, plain(fmt.Sprintf("the store forgets its last %d writes", i+1)))
	}
}
