package security_test

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

func (w *world) guess(name, password string, headers ...string) reply {
	w.Helper()
	return w.send("POST", "/auth/login", body(wire.LoginRequest{Username: name, Password: password, Delivery: wire.DeliveryBody}), headers...)
}

// rested is a try after which everything is forgiven.
func rested(try func(w *world) reply) func(w *world) reply {
	return func(w *world) reply {
		defer w.Clock.Advance(3 * time.Hour)
		return try(w)
	}
}

// behindProxy is a server that believes X-Forwarded-For.
func (w *world) behindProxy() *world {
	w.Helper()
	return open(w.T, apptest.NewPeople(session.User{User: wire.User{ID: "alice"}}), func(c *app.Config) { c.TrustedProxies = []string{"127.0.0.1"} })
}

func throttleAttacks() []attack {
	const slowed = "429 too_many_requests"
	// names are spellings of one name.
	spellings := func(f func(i int) string) func(w *world) reply {
		return rested(func(w *world) (r reply) {
			for i := range 6 {
				r = w.guess(f(i), "guess")
			}
			return r
		})
	}
	headers := func(f func(i int) []string) func(w *world) reply {
		return rested(func(w *world) (r reply) {
			for i := range 6 {
				r = w.guess("alice", "guess", f(i)...)
			}
			return r
		})
	}
	ip := func(i int) string { return fmt.Sprintf("203.0.113.%d", i+1) }
	retry := func(w *world, r reply) {
		if r.header.Get("Retry-After") == "" {
			w.Error("nobody says for how long")
		}
	}
	return []attack{
		{name: "guesses the password of one name", want: slowed, also: retry, try: spellings(func(int) string { return "alice" })},
		{name: "guesses the password of a name that is not there", want: slowed, also: retry, try: spellings(func(int) string { return "nobody" })},
		{name: "changes the case of the name", want: slowed, try: spellings(func(i int) string { return []string{"alice", "Alice", "ALICE", "aLICE", "alICE", "aliCE"}[i] })},
		{name: "writes the name in full width", want: slowed, try: spellings(func(i int) string { return []string{"alice", "ａlice", "aｌice", "alｉce", "aliｃe", "alicｅ"}[i] })},
		{name: "says another address in X-Forwarded-For", want: slowed, try: headers(func(i int) []string { return []string{"X-Forwarded-For", ip(i)} })},
		{name: "says another address in Forwarded", want: slowed, try: headers(func(i int) []string { return []string{"Forwarded", "for=" + ip(i)} })},
		{name: "says another address in X-Real-IP", want: slowed, try: headers(func(i int) []string {
			return []string{"X-Real-Ip", ip(i), "True-Client-Ip", ip(i), "Cf-Connecting-Ip", ip(i)}
		})},
		{name: "changes browser and cookies", want: slowed, try: headers(func(i int) []string { return []string{"User-Agent", ip(i), "Cookie", "a=" + ip(i)} })},
		{name: "changes the origin it comes from", want: slowed, try: headers(func(i int) []string { return []string{"Host", fmt.Sprint(i, ".app.example")} })},
		{name: "spreads guesses over names", want: slowed, try: rested(func(w *world) (r reply) {
			for i := range 101 {
				r = w.guess(fmt.Sprint("user", i), "summer2026")
			}
			return r
		})},
		{name: "knows the right password, but only after too many guesses", want: slowed, try: rested(func(w *world) reply {
			for range 5 {
				w.guess("alice", "guess")
			}
			return w.guess("alice", "alice")
		})},
		{name: "signs in with an account of its own between guesses", want: slowed, moves: true, try: rested(func(w *world) (r reply) {
			for range 6 {
				r = w.guess("alice", "guess")
				w.guess("bob", "bob")
			}
			return r
		})},
		{name: "goes on right after the wait: it has doubled", want: slowed, try: rested(func(w *world) reply {
			for range 5 {
				w.guess("alice", "guess")
			}
			w.Clock.Advance(time.Second)
			if r := w.guess("alice", "guess"); r.status != 400 {
				w.Errorf("after the wait: %s", r)
			}
			w.Clock.Advance(time.Second)
			return w.guess("alice", "guess")
		})},
		{name: "guesses at the sign-in page what is slowed down at the native call", want: "429", try: rested(func(w *world) reply {
			for range 5 {
				w.guess("alice", "guess")
			}
			return w.submit(w.sheet(w.authorize(request()), ""), "username", "alice", "password", "alice")
		})},
		{name: "guesses at the native call what is slowed down at the sign-in page", want: slowed, try: rested(func(w *world) reply {
			s := w.sheet(w.authorize(request()), "")
			for range 5 {
				w.submit(s, "username", "alice", "password", "guess")
			}
			return w.guess("alice", "alice")
		})},
		{name: "guesses at the device page what is slowed down at the native call", want: "429", try: rested(func(w *world) reply {
			d := w.device()
			for range 5 {
				w.guess("alice", "guess")
			}
			s := w.enter(d.UserCode)
			return w.submit(s, "username", "alice", "password", "alice")
		})},
		{name: "guesses in parallel: no more are judged than one by one", want: slowed, try: rested(func(w *world) reply {
			var wg sync.WaitGroup
			replies := make([]reply, 20)
			for i := range replies {
				wg.Go(func() { replies[i] = w.guess("alice", "guess") })
			}
			wg.Wait()
			judged, last := 0, reply{}
			for _, r := range replies {
				if r.status == 400 {
					judged++
				} else {
					last = r
				}
			}
			if judged > 5 {
				w.Errorf("%d guesses were judged", judged)
			}
			return last
		})},
		{name: "puts an address before the one that the proxy saw", want: slowed, try: func(w *world) (r reply) {
			p := w.behindProxy()
			for i := range 6 {
				r = p.guess("alice", "guess", "X-Forwarded-For", ip(i)+", 198.51.100.7")
			}
			return r
		}},
		{name: "changes addresses within its IPv6 network", want: slowed, try: func(w *world) (r reply) {
			p := w.behindProxy()
			for i := range 6 {
				r = p.guess("alice", "guess", "X-Forwarded-For", fmt.Sprintf("2001:db8::%x", i+1))
			}
			return r
		}},
		{name: "writes an IPv4 address as one of IPv6", want: slowed, try: func(w *world) (r reply) {
			p := w.behindProxy()
			for i := range 6 {
				r = p.guess("alice", "guess", "X-Forwarded-For", []string{"203.0.113.9", "::ffff:203.0.113.9"}[i%2])
			}
			return r
		}},
		{name: "locks somebody out from a hundred addresses: the owner gets in", want: "200", moves: true, try: func(w *world) reply {
			p := w.behindProxy()
			for i := range 100 {
				p.guess("alice", "guess", "X-Forwarded-For", ip(i))
			}
			return p.guess("alice", "alice", "X-Forwarded-For", "198.51.100.7")
		}},
		{name: "guesses from a hundred addresses: each has less to guess", want: slowed, try: func(w *world) (r reply) {
			p := w.behindProxy()
			for i := range 60 {
				p.guess("alice", "guess", "X-Forwarded-For", ip(i))
			}
			p.guess("alice", "guess", "X-Forwarded-For", "198.51.100.7")
			return p.guess("alice", "guess", "X-Forwarded-For", "198.51.100.7")
		}},
		{name: "has requests refused to clear the memory of its failures", want: slowed, try: func(w *world) reply {
			p := w.behindProxy()
			for range 5 {
				p.guess("alice", "guess", "X-Forwarded-For", "198.51.100.7")
			}
			for i := range 200 {
				p.guess("", "", "X-Forwarded-For", fmt.Sprintf("203.0.%d.%d", i/100, i%100))
			}
			return p.guess("alice", "alice", "X-Forwarded-For", "198.51.100.7")
		}},
	}
}

// enter types a code on the device page and returns the next form.
func (w *world) enter(code string) sheet {
	w.Helper()
	first := w.sheet(w.send("GET", wire.PathDevice, ""), "")
	return w.sheet(w.submit(first, "user_code", code), first.cookie)
}

// poll asks for the tokens of a device, after the interval.
func (w *world) poll(d wire.DeviceAuthorization, pairs ...string) reply {
	w.Helper()
	w.Clock.Advance(oauth.DeviceInterval)
	return w.form(wire.PathToken, replaced([]string{"grant_type", oauth.GrantDevice, "client_id", "tv", "device_code", d.DeviceCode}, pairs...))
}

func (w *world) approve(d wire.DeviceAuthorization, name string) reply {
	w.Helper()
	return w.submit(w.enter(d.UserCode), "username", name, "password", name)
}

func deviceAttacks() []attack {
	fresh := func(try func(w *world, d wire.DeviceAuthorization) reply) func(w *world) reply {
		return func(w *world) reply {
			w.Clock.Advance(time.Hour) // requests are counted by address
			d := w.device()
			w.prepared()
			return try(w, d)
		}
	}
	typed := func(f func(code string) string) func(w *world) reply {
		return fresh(func(w *world, d wire.DeviceAuthorization) reply {
			return w.submit(w.sheet(w.send("GET", wire.PathDevice, ""), ""), "user_code", f(d.UserCode))
		})
	}
	return []attack{
		{name: "polls before anybody has approved", want: "400 authorization_pending", try: fresh(func(w *world, d wire.DeviceAuthorization) reply { return w.poll(d) })},
		{name: "polls too fast", want: "400 slow_down", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			w.poll(d)
			w.Clock.Advance(-4 * time.Second)
			return w.poll(d)
		})},
		{name: "polls with the code that the user types", want: "400 invalid_grant", try: fresh(func(w *world, d wire.DeviceAuthorization) reply { return w.poll(d, "device_code", d.UserCode) })},
		{name: "polls with a changed device code", want: "400 invalid_grant", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			return w.poll(d, "device_code", flip(d.DeviceCode, 7))
		})},
		{name: "polls as another client", want: "400 invalid_grant", try: fresh(func(w *world, d wire.DeviceAuthorization) reply { return w.poll(d, "client_id", "spa") })},
		{name: "polls as a client with a secret", want: "400 invalid_grant", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			return w.form(wire.PathToken, []string{"grant_type", oauth.GrantDevice, "device_code", d.DeviceCode}, w.basic(w.secret)...)
		})},
		{name: "polls without saying which client", want: "400 invalid_request", try: fresh(func(w *world, d wire.DeviceAuthorization) reply { return w.poll(d, "client_id", "") })},
		{name: "polls too late", want: "400 expired_token", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			w.Clock.Advance(oauth.DeviceLifetime)
			return w.poll(d)
		})},
		{name: "redeems an approval that is too old", want: "400 expired_token", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			w.approve(d, "alice")
			w.prepared()
			w.Clock.Advance(oauth.DeviceLifetime)
			return w.poll(d)
		})},
		{name: "redeems an approval twice, after its session was renewed", want: "400 invalid_grant", moves: true, try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			w.approve(d, "alice")
			var g oauth.Answer
			w.json(w.poll(d), &g)
			w.json(w.form(wire.PathToken, []string{"grant_type", "refresh_token", "refresh_token", g.RefreshToken, "client_id", "tv"}), &g)
			return w.poll(d)
		}), also: func(w *world, r reply) {
			if s := r.secret(); s != "" {
				w.Errorf("gives away %s", s)
			}
		}},
		{name: "polls for what the user has refused", want: "400 access_denied", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			w.submit(w.enter(d.UserCode), "action", "deny")
			return w.poll(d)
		})},
		{name: "approves after the user has refused", want: "400", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			s := w.enter(d.UserCode)
			w.submit(s, "action", "deny")
			return w.submit(s, "username", "bob", "password", "bob")
		})},
		{name: "approves after somebody else has: the first is the one", want: "400", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			s := w.enter(d.UserCode)
			w.submit(s, "username", "alice", "password", "alice")
			return w.submit(s, "username", "bob", "password", "bob")
		})},
		{name: "approves with a wrong password", want: "400", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			r := w.submit(w.enter(d.UserCode), "username", "alice", "password", "guess")
			if p := w.poll(d); p.String() != "400 authorization_pending" {
				w.Errorf("the device: %s", p)
			}
			return r
		})},
		{name: "approves without a password", want: "400", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			return w.submit(w.enter(d.UserCode), "username", "alice")
		})},
		{name: "lures a user with a link that has the code in it: nothing is shown or done before the form is sent", want: "200", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			r := w.send("GET", wire.PathDevice+"?"+query("user_code", d.UserCode), "")
			if p := w.poll(d); p.String() != "400 authorization_pending" {
				w.Errorf("the device: %s", p)
			}
			return r
		}), also: func(w *world, r reply) {
			if m := formAction.FindSubmatch(r.body); m == nil || string(m[1]) != wire.PathDevice {
				w.Errorf("%s", r.body)
			}
		}},
		{name: "lures a user with a link that approves by itself", want: "200", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			r := w.send("GET", wire.PathDevice+"?"+query("user_code", d.UserCode, "username", "bob", "password", "bob", "action", "allow"), "")
			if p := w.poll(d); p.String() != "400 authorization_pending" {
				w.Errorf("the device: %s", p)
			}
			return r
		})},
		{name: "puts a script in the link", want: "200", try: func(w *world) reply {
			return w.send("GET", wire.PathDevice+"?"+query("user_code", `"><script>alert(1)</script>`), "")
		}, also: func(w *world, r reply) {
			if s := string(r.body); len(s) == 0 || r.header.Get("Content-Security-Policy") == "" || formHidden.FindString(s) == "" || strings.Contains(s, "<script>alert") {
				w.Errorf("%s", s)
			}
		}},
		{name: "guesses a user code", want: "400", try: typed(func(string) string { return "BBBB-BBBB" })},
		{name: "changes a letter of a user code", want: "400", try: typed(func(c string) string { return flip(c, 2) })},
		{name: "types half a user code", want: "400", try: typed(func(c string) string { return c[:4] })},
		{name: "types a wildcard", want: "400", try: typed(func(string) string { return "%%%%-%%%%" })},
		{name: "types nothing", want: "400", try: typed(func(string) string { return "" })},
		{name: "types two codes", want: "400", try: typed(func(c string) string { return c + c })},
		{name: "guesses user codes one after the other: it is slowed down", want: "429", try: fresh(func(w *world, d wire.DeviceAuthorization) (r reply) {
			defer w.Clock.Advance(3 * time.Hour)
			s := w.sheet(w.send("GET", wire.PathDevice, ""), "")
			for i := range 150 {
				if r = w.submit(s, "user_code", fmt.Sprintf("BCDF-%c%c%c%c", "BCDFGHJKLM"[i%10], "BCDFGHJKLM"[i/10%10], "BCDFGHJKLM"[i/100], 'Z')); r.status == 429 {
					return r
				}
			}
			return r
		})},
		{name: "types a code that has expired", want: "400", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			w.Clock.Advance(oauth.DeviceLifetime)
			return w.submit(w.sheet(w.send("GET", wire.PathDevice, ""), ""), "user_code", d.UserCode)
		})},
		{name: "types a code that was redeemed", want: "400", moves: true, try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			w.approve(d, "alice")
			w.poll(d)
			return w.submit(w.sheet(w.send("GET", wire.PathDevice, ""), ""), "user_code", d.UserCode)
		})},
		{name: "starts devices without end: it is slowed down", want: "429 slow_down", try: func(w *world) (r reply) {
			w.Clock.Advance(time.Hour)
			defer w.Clock.Advance(3 * time.Hour)
			for range 40 {
				if r = w.form(wire.PathDeviceAuthorization, []string{"client_id", "tv", "scope", "openid"}); r.status == 429 {
					return r
				}
			}
			return r
		}},
		{name: "starts a device as a client that is none", want: "400 unauthorized_client", try: func(w *world) reply {
			return w.form(wire.PathDeviceAuthorization, []string{"client_id", "spa"})
		}},
		{name: "starts a device as nobody", want: "401 invalid_client", try: func(w *world) reply {
			return w.form(wire.PathDeviceAuthorization, []string{"client_id", "nobody"})
		}},
		{name: "redeems an approval after a sign-out everywhere or a new password", want: "400 invalid_grant", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			w.approve(d, "alice")
			w.People.Change(func(m map[string]session.User) { u := m["alice"]; u.Credentials++; m["alice"] = u })
			w.prepared()
			return w.poll(d)
		})},
		{name: "redeems an approval of a user who is gone", want: "400 invalid_grant", try: fresh(func(w *world, d wire.DeviceAuthorization) reply {
			w.approve(d, "carol")
			w.People.Change(func(m map[string]session.User) { delete(m, "carol") })
			w.prepared()
			return w.poll(d)
		})},
	}
}
