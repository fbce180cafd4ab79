package sim

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// kind is how a client behaves.
type kind int

const (
	sdk         kind = iota // tabs with one lock, as @tacet/browser
	interceptor             // tabs without a lock, each renewing for itself, as written by hand
	reloader                // one tab that keeps its access token in memory only, and is reloaded
	native                  // a program: tokens in the body, one renewal at a time, on disk before use
	confirming              // a native that confirms what it has stored
)

// jar is what a browser shares between its tabs: the cookies, and the access token
// of the same answer.
type jar struct {
	refresh, csrf string
	access        access
	session       string
}

// access is an access token as its holder knows it.
type access struct {
	raw     string
	claims  wire.AccessClaims
	got     time.Time
	life    time.Duration // from got
	used    bool
	refused bool // as too old, once
}

// browser is one profile of one browser, or a program, and who sits before it.
type browser struct {
	link
	kind     kind
	user     string
	habit    habit
	tabs     int
	jar      jar
	disk     jar // what is left after a crash
	inFlight int // renewals
	life     int // callbacks of an earlier one are void
	awake    bool
	until    time.Time // of the visit
	waits    int       // failures in a row
	ahead    *event    // renewal before the token is due
	signing  bool
	before   time.Time // when the token before the last one came; of serial clients, the last one
}

func (b *browser) usable() bool {
	a := &b.jar.access
	return a.raw != "" && !a.refused && time.Since(a.got) < a.life
}

// visit has the user sit down for d.
func (b *browser) visit(d time.Duration) {
	b.awake, b.until = true, time.Now().Add(d)
	b.again()
	b.use()
	life := b.life
	b.w.after(d, func() {
		if b.life == life {
			b.leave()
		}
	})
	b.w.after(b.w.about(b.w.gap), func() { b.next(life) })
}

// leave has the user close the lid: what was under way is not heard of again.
func (b *browser) leave() {
	b.life++
	b.awake, b.inFlight, b.waits, b.signing = false, 0, 0, false
	b.ahead.cancel()
	if b.w.chance(b.w.signOuts) {
		b.signOut()
	}
}

// crash is leave without a chance to write anything down.
func (b *browser) crash() {
	b.w.note(b.who, "crashes")
	b.life++
	b.awake, b.inFlight, b.waits, b.signing = false, 0, 0, false
	b.ahead.cancel()
	if b.kind != reloader { // which would be outside of what can be promised
		b.jar = b.disk
	}
}

// next is something the user does.
func (b *browser) next(life int) {
	if b.life != life {
		return
	}
	if b.w.chance(0.2) {
		b.again()
	}
	b.use()
	b.w.after(b.w.about(b.w.gap), func() { b.next(life) })
}

// apart is how long the last renewal but one must be over before clients renew that
// have a good token: nothing of it is on its way any more.
const apart = 20 * time.Second

// again makes clients renew before their token is due: a page that is reloaded has
// lost it, and a program may renew whenever it likes.
func (b *browser) again() {
	if (b.kind == reloader || b.kind >= native) && b.inFlight == 0 && time.Since(b.before) > apart {
		b.jar.access = access{}
	}
}

// use needs an access token: it calls an API, or gets a token first.
func (b *browser) use() {
	switch {
	case b.jar.refresh == "":
		b.signIn()
	case b.usable():
		b.jar.access.used = true
		b.api()
	case b.kind == interceptor:
		// All tabs that are open find out at once.
		for range b.tabs {
			b.renew()
		}
	default:
		b.renew()
	}
}

// api calls a resource server: the verifier of any node.
func (b *browser) api() {
	in := b.w.anyNode()
	if in == nil || b.offline || b.w.chance(b.w.apiSkipped) {
		return
	}
	if !b.w.oracle.call(in, b.who, &b.jar.access) && b.usable() {
		// 401: renewed, but not a token so young that the request which brought it
		// may have a copy under way.
		if time.Since(b.jar.access.got) > b.w.life {
			b.jar.access.refused = true
			b.use()
		}
	}
}

func (b *browser) cookies() (cookies, csrf, body string) {
	if b.kind >= native {
		return "", "", `{"refresh_token":"` + b.jar.refresh + `"}`
	}
	return "__Host-tacet_refresh=" + b.jar.refresh + "; __Host-tacet_csrf=" + b.jar.csrf, b.jar.csrf, "{}"
}

func (b *browser) timeout() time.Duration {
	if b.kind == interceptor {
		return b.lasts
	}
	return min(10*time.Second, b.lasts)
}

// renew presents the refresh token in the jar. Only interceptors have several
// renewals under way.
func (b *browser) renew() {
	if b.inFlight > 0 && b.kind != interceptor || b.jar.refresh == "" {
		return
	}
	b.inFlight++
	sent, life := b.jar, b.life
	cookies, csrf, body := b.cookies()
	b.send(request{"/refresh", body, cookies, csrf, b.timeout()}, func(a answer) {
		if b.life != life {
			return
		}
		b.inFlight--
		switch a.status {
		case http.StatusOK:
			b.accept(a, sent)
		case http.StatusBadRequest:
			if b.jar.refresh != sent.refresh { // another tab has renewed
				b.use()
				return
			}
			b.w.oracle.refused(b.who, sent.session)
			b.drop()
		case 0, http.StatusServiceUnavailable:
			b.waits++
			b.w.after(b.w.between(0, min(time.Second<<min(b.waits, 6), time.Minute)), func() {
				if b.life == life && !b.usable() && b.jar.refresh != "" {
					b.renew()
				}
			})
		default:
			b.w.oracle.violation(b.who, "a renewal was answered with %d %s", a.status, a.body)
		}
	})
}

// drop forgets a session that is over. Whoever is still there signs in again.
func (b *browser) drop() {
	b.jar, b.disk = jar{}, jar{}
	b.ahead.cancel()
	life := b.life
	b.w.after(b.w.between(time.Second, time.Minute), func() {
		if b.life == life {
			b.use()
		}
	})
}

// accept takes an answer with tokens. sent is the jar they were asked with.
func (b *browser) accept(a answer, sent jar) {
	j, whole, ok := b.w.tokens(a)
	if !ok {
		b.w.oracle.violation(b.who, "an answer without an access token: %s", a.body)
		return
	}
	if sent.session != "" && j.session != sent.session {
		b.w.oracle.violation(b.who, "session %s was answered with tokens of session %s", sent.session, j.session)
	}
	b.waits = 0
	b.w.oracle.granted(b.who, j.session, sent.refresh, whole)
	if !whole { // a slow duplicate's: the refresh token that is there stays
		j.refresh, j.csrf = b.jar.refresh, b.jar.csrf
	}
	if b.before = b.jar.access.got; b.kind >= native {
		b.before = time.Now()
	}
	b.jar = j
	b.keep()
	// Ahead of need, if it is used.
	lead := min(10*time.Second, j.access.life/5)
	life := b.life
	b.ahead.cancel()
	b.ahead = b.w.after(j.access.life-lead+b.w.between(0, time.Second), func() {
		if b.life == life && b.jar.access.used && b.kind == sdk {
			b.renew()
		}
	})
	if b.awake { // somebody is waiting for it
		b.jar.access.used = true
		b.api()
	}
	if b.kind == confirming && whole && b.w.chance(0.7) {
		_, _, body := b.cookies()
		b.inFlight++
		b.send(request{"/confirm", body, "", "", b.timeout()}, func(a answer) {
			if b.life != life {
				return
			}
			b.inFlight--
			if a.status == http.StatusBadRequest {
				b.w.oracle.refused(b.who, b.jar.session)
				b.drop()
			}
		})
	}
}

// keep puts the jar on disk: programs at once, browsers in a while.
func (b *browser) keep() {
	if b.kind >= native {
		b.disk = b.jar
		return
	}
	j := b.jar
	b.w.after(b.w.between(0, b.w.flush), func() {
		if b.jar.refresh == j.refresh {
			b.disk = j
		}
	})
}

// tokens reads an answer. whole is whether it has a refresh token.
func (w *world) tokens(a answer) (j jar, whole, ok bool) {
	var t wire.TokenResponse
	if json.Unmarshal(a.body, &t) != nil || t.AccessToken == "" {
		return j, false, false
	}
	j.session = t.Session.ID
	j.access = access{raw: t.AccessToken, got: time.Now(), life: time.Duration(t.ExpiresIn) * time.Second}
	_, payload, _ := strings.Cut(t.AccessToken, ".")
	payload, _, _ = strings.Cut(payload, ".")
	if b, err := base64.RawURLEncoding.DecodeString(payload); err != nil || json.Unmarshal(b, &j.access.claims) != nil {
		return j, false, false
	}
	j.refresh = t.RefreshToken
	for _, line := range a.header["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		switch {
		case err != nil:
		case c.Name == "__Host-tacet_refresh":
			j.refresh = c.Value
		case c.Name == "__Host-tacet_csrf":
			j.csrf = c.Value
		}
	}
	return j, j.refresh != "", true
}

func (b *browser) signIn() {
	if b.signing {
		return
	}
	b.signing = true
	life := b.life
	body := `{"username":"` + b.user + `","password":"` + b.user + `"`
	if b.kind >= native {
		body += `,"delivery":"body"`
	}
	// Nobody types a password again because of a slow network.
	b.send(request{path: "/login", body: body + "}", timeout: b.w.life}, func(a answer) {
		if b.life != life {
			return
		}
		b.signing = false
		switch a.status {
		case http.StatusOK:
			b.accept(a, jar{})
		case 0, http.StatusServiceUnavailable:
			b.w.after(b.w.between(time.Second, 30*time.Second), func() {
				if b.life == life {
					b.use()
				}
			})
		default:
			b.w.oracle.violation(b.who, "a sign-in was answered with %d %s", a.status, a.body)
		}
	})
}

func (b *browser) signOut() {
	if b.jar.refresh == "" {
		return
	}
	b.w.oracle.mayEnd(b.jar.session, wire.ReasonSignedOut)
	cookies, csrf, body := b.cookies()
	b.send(request{"/logout", body, cookies, csrf, b.timeout()}, func(answer) {})
	b.jar, b.disk = jar{}, jar{}
}
