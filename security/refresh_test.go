package security_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

func b64Std(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// flip changes one letter of base64url.
func flip(s string, i int) string {
	c := byte('A')
	if s[i] == c {
		c = 'B'
	}
	return s[:i] + string(c) + s[i+1:]
}

// bytesOf are the 73 bytes of a refresh token (PROTOCOL.md §2).
func bytesOf(token string) []byte {
	b, err := b64.DecodeString(strings.TrimPrefix(token, rotation.Prefix))
	if err != nil {
		panic(err)
	}
	return b
}

func tokenOf(b []byte) string { return rotation.Prefix + b64.EncodeToString(b) }

// altered is the token with one bit changed at an offset.
func altered(offset int) func(own, other string) string {
	return func(own, _ string) string {
		b := bytesOf(own)
		b[offset] ^= 1
		return tokenOf(b)
	}
}

// spliced has bytes of another session's token.
func spliced(from, to int) func(own, other string) string {
	return func(own, other string) string {
		b := bytesOf(own)
		copy(b[from:to], bytesOf(other)[from:to])
		return tokenOf(b)
	}
}

// counterfeits are made of the attacker's own token (own) and of one of another
// session of his (other).
var counterfeits = []struct {
	name string
	make func(own, other string) string
}{
	{"another version", altered(0)},
	{"another key id", altered(4)},
	{"another session id", altered(20)},
	{"another generation", altered(24)},
	{"a generation far ahead", altered(21)},
	{"another tag", altered(32)},
	{"another parent", altered(40)},
	{"the first bit of the MAC", altered(41)},
	{"the last bit of the MAC", altered(72)},
	{"the session id of another token", spliced(5, 21)},
	{"generation and tags of another token", spliced(21, 41)},
	{"the MAC of another token", spliced(41, 73)},
	{"a MAC of zeros", func(own, _ string) string { b := bytesOf(own); clear(b[41:]); return tokenOf(b) }},
	{"half a MAC", func(own, _ string) string { return tokenOf(bytesOf(own)[:57]) }},
	{"no MAC", func(own, _ string) string { return tokenOf(bytesOf(own)[:41]) }},
	{"a byte more", func(own, _ string) string { return tokenOf(append(bytesOf(own), 0)) }},
	{"only zeros", func(string, string) string { return tokenOf(make([]byte, 73)) }},
	{"the prefix in capitals", func(own, _ string) string {
		return strings.Replace(own, rotation.Prefix, strings.ToUpper(rotation.Prefix), 1)
	}},
	{"no prefix", func(own, _ string) string { return strings.TrimPrefix(own, rotation.Prefix) }},
	{"two prefixes", func(own, _ string) string { return rotation.Prefix + own }},
	{"another prefix", func(own, _ string) string { return strings.Replace(own, "tacet_rt_", "tacet_at_", 1) }},
	{"a space behind", func(own, _ string) string { return own + " " }},
	{"a space before", func(own, _ string) string { return " " + own }},
	{"a line feed behind", func(own, _ string) string { return own + "\n" }},
	{"a line feed within", func(own, _ string) string { return own[:50] + "\n" + own[50:] }},
	{"a NUL behind", func(own, _ string) string { return own + "\x00" }},
	{"padding", func(own, _ string) string { return own + "==" }},
	{"unused bits set", func(own, _ string) string { return rotation.Prefix + lax(bytesOf(own)) }},
	{"the other alphabet", func(own, _ string) string { return own[:20] + "+/" + own[22:] }},
	{"full-width letters", func(own, _ string) string { return own[:len(own)-1] + "Ａ" }},
	{"two tokens in one", func(own, other string) string { return own + "," + other }},
	{"all in lower case", func(own, _ string) string { return strings.ToLower(own[:60]) + flip(own[60:], 3) }},
	{"a megabyte less a bit", func(own, _ string) string { return own + strings.Repeat("A", 30_000) }},
	{"the word null", func(string, string) string { return "null" }},
}

func refreshAttacks() (all []attack) {
	for _, c := range counterfeits {
		all = append(all, attack{name: "counterfeits a refresh token: " + c.name, want: "400 invalid_grant", try: func(w *world) reply {
			own, other := w.login("bob").RefreshToken, w.login("bob").RefreshToken
			w.prepared()
			made := c.make(own, other)
			if r := w.send("POST", "/auth/confirm", body(wire.RefreshRequest{RefreshToken: made})); r.status != 400 {
				w.Errorf("confirmed: %s", r)
			}
			if r := w.form(wire.PathToken, []string{"grant_type", "refresh_token", "refresh_token", made}); r.status != 400 {
				w.Errorf("at the token endpoint: %s", r)
			}
			if r := w.send("POST", "/auth/logout", body(wire.LogoutRequest{RefreshToken: made, Everywhere: true})); r.status/100 == 5 {
				w.Errorf("signed out: %s", r)
			}
			return w.renew(made)
		}})
	}
	for name, have := range named(map[string]func(w *world) string{
		"an access token": func(w *world) string { return w.login("bob").AccessToken },
		"an ID token":     func(w *world) string { return w.granted("bob").IDToken },
		"a CSRF token":    func(w *world) string { return w.browse("bob").csrf },
		"a session id":    func(w *world) string { return w.login("bob").Session.ID },
		"a token of another server": func(w *world) string {
			return open(w.T, apptest.NewPeople(session.User{User: wire.User{ID: "bob"}})).login("bob").RefreshToken
		},
		"a token of a client with a secret": func(w *world) string { return w.grantedWeb("alice").RefreshToken },
		"an old token of such a client": func(w *world) string {
			g := w.grantedWeb("alice")
			w.webRenewed(g.RefreshToken)
			w.webRenewed(w.webRenewed(g.RefreshToken))
			return g.RefreshToken
		},
		"a token that is bound to a key": func(w *world) string { return w.bound(evilKey, "alice").RefreshToken },
		"a token of a session that has ended": func(w *world) string {
			t := w.login("bob")
			w.send("POST", "/auth/logout", body(wire.LogoutRequest{RefreshToken: t.RefreshToken}))
			return t.RefreshToken
		},
		"a token that was not used for longer": func(w *world) string {
			t := w.login("bob")
			w.Clock.Advance(app.DefaultIdleTTL)
			w.Clock.Advance(-app.DefaultIdleTTL)
			return flip(t.RefreshToken, 100)
		},
	}) {
		all = append(all, attack{name: "renews with " + name, want: "400 invalid_grant", try: func(w *world) reply {
			token := have(w)
			w.prepared()
			if r := w.send("POST", "/auth/confirm", body(wire.RefreshRequest{RefreshToken: token})); r.status != 400 {
				w.Errorf("confirmed: %s", r)
			}
			return w.renew(token)
		}})
	}
	for name, text := range named(map[string]string{
		"an array": `{"refresh_token":[%]}`, "an object": `{"refresh_token":{"a":%}}`, "a number": `{"refresh_token":1}`, "cut off": `{"refresh_token":%`,
		"two documents": `{"refresh_token":%}{}`, "a comment": `{"refresh_token":%/**/}`, "a name without quotes": `{refresh_token:%}`,
	}) {
		all = append(all, attack{name: "sends JSON with " + name, want: "400 invalid_request", try: func(w *world) reply {
			t := w.login("bob").RefreshToken
			w.prepared()
			return w.send("POST", "/auth/refresh", strings.ReplaceAll(text, "%", body(t)))
		}})
	}
	return append(all, theftAttacks()...)
}

// webRenewed renews as the client with a secret.
func (w *world) webRenewed(token string) string {
	w.Helper()
	var g struct {
		RefreshToken string `json:"refresh_token"`
	}
	w.json(w.form(wire.PathToken, []string{"grant_type", "refresh_token", "refresh_token", token}, w.basic(w.secret)...), &g)
	return g.RefreshToken
}

func theftAttacks() []attack {
	const endpoint = wire.PathToken
	asSPA := func(token string) []string {
		return []string{"grant_type", "refresh_token", "refresh_token", token, "client_id", "spa"}
	}
	everywhere := func(token string) string { return body(wire.LogoutRequest{RefreshToken: token, Everywhere: true}) }
	return []attack{
		{name: "sends the token in the address", want: "400 invalid_grant", try: func(w *world) reply {
			t := w.login("bob")
			w.prepared()
			return w.send("POST", "/auth/refresh?refresh_token="+t.RefreshToken, "")
		}},
		{name: "sends the token as Bearer", want: "400 invalid_grant", try: func(w *world) reply {
			t := w.login("bob")
			w.prepared()
			return w.send("POST", "/auth/refresh", "{}", bearer(t.RefreshToken)...)
		}},
		{name: "renews by GET", want: "405 method_not_allowed", try: func(w *world) reply {
			t := w.login("bob")
			w.prepared()
			return w.send("GET", "/auth/refresh?refresh_token="+t.RefreshToken, "")
		}},
		{name: "renews a public client's token as another client", want: "400 invalid_grant", try: func(w *world) reply {
			t := w.granted("alice").RefreshToken
			w.prepared()
			return w.form(endpoint, []string{"grant_type", "refresh_token", "refresh_token", t, "client_id", "native"})
		}},
		{name: "renews a client's token without its secret", want: "401 invalid_client", try: func(w *world) reply {
			t := w.grantedWeb("alice").RefreshToken
			w.prepared()
			return w.form(endpoint, []string{"grant_type", "refresh_token", "refresh_token", t, "client_id", "web"})
		}},
		{name: "renews a client's token with a wrong secret", want: "401 invalid_client", try: func(w *world) reply {
			t := w.grantedWeb("alice").RefreshToken
			w.prepared()
			return w.form(endpoint, []string{"grant_type", "refresh_token", "refresh_token", t}, w.basic(w.secret[1:])...)
		}},
		{name: "renews a client's token as a public client", want: "400 invalid_grant", try: func(w *world) reply {
			t := w.grantedWeb("alice").RefreshToken
			w.prepared()
			return w.form(endpoint, asSPA(t))
		}},
		{name: "revokes another client's token", want: "400 invalid_grant", try: func(w *world) reply {
			t := w.grantedWeb("alice").RefreshToken
			w.prepared()
			return w.form(wire.PathRevoke, []string{"token", t, "client_id", "spa"})
		}},
		{name: "revokes a public client's token as another", want: "400 invalid_grant", try: func(w *world) reply {
			t := w.granted("alice").RefreshToken
			w.prepared()
			return w.form(wire.PathRevoke, []string{"token", t, "client_id", "native"})
		}},
		{name: "names another session of the same user", want: "409 other_session", try: func(w *world) reply {
			t, other := w.login("bob"), w.login("bob")
			w.prepared()
			return w.send("POST", "/auth/refresh", body(wire.RefreshRequest{RefreshToken: t.RefreshToken, Session: other.Session.ID}))
		}},
		{name: "names another session at the sign-out", want: "409 other_session", try: func(w *world) reply {
			t, other := w.login("bob"), w.login("alice")
			w.prepared()
			return w.send("POST", "/auth/logout", body(wire.LogoutRequest{RefreshToken: t.RefreshToken, Session: other.Session.ID, Everywhere: true}))
		}},
		{name: "signs out everywhere with a client's token, without its secret: the other sessions live", want: "204", moves: true, try: func(w *world) reply {
			t := w.grantedWeb("alice").RefreshToken
			w.other = w.login("alice").Session.ID
			return w.send("POST", "/auth/logout", everywhere(t))
		}, also: spared},
		{name: "signs out everywhere with a token that is bound to a key, without the key: the other sessions live", want: "204", moves: true, try: func(w *world) reply {
			t := w.bound(evilKey, "alice").RefreshToken
			w.other = w.login("alice").Session.ID
			return w.send("POST", "/auth/logout", everywhere(t))
		}, also: spared},
		{name: "signs out everywhere with an old token: the other sessions live", want: "204", moves: true, try: func(w *world) reply {
			old := w.login("alice")
			w.renewed(old, 3)
			w.Clock.Advance(app.DefaultOverlap)
			w.other = w.login("alice").Session.ID
			return w.send("POST", "/auth/logout", everywhere(old.RefreshToken))
		}, also: spared},
		{name: "signs out everywhere with the token of a session that has ended", want: "204", moves: true, try: func(w *world) reply {
			t := w.login("alice")
			w.send("POST", "/auth/logout", body(wire.LogoutRequest{RefreshToken: t.RefreshToken}))
			w.other = w.login("alice").Session.ID
			return w.send("POST", "/auth/logout", everywhere(t.RefreshToken))
		}, also: spared},
		{name: "uses a stolen old token: the session ends, and its owner learns why", want: "400 invalid_grant", moves: true, try: func(w *world) reply {
			stolen := w.login("bob")
			own := w.renewed(stolen, 2)
			w.Clock.Advance(app.DefaultOverlap)
			if r := w.renew(stolen.RefreshToken); r.status != 400 {
				w.Errorf("the thief: %s", r)
			}
			return w.renew(own.RefreshToken)
		}, also: func(w *world, r reply) {
			if !strings.Contains(string(r.body), "ended") {
				w.Errorf("%s", r.body)
			}
		}},
		{name: "uses a copy of the head beside its owner: both are out after two rounds", want: "400 invalid_grant", moves: true, try: func(w *world) reply {
			t := w.login("bob")
			thief, owner := w.renewed(t, 1), w.renewed(t, 1)
			owner = w.renewed(owner, 1)
			w.Clock.Advance(app.DefaultOverlap)
			if r := w.renew(thief.RefreshToken); r.status != 400 {
				w.Errorf("the thief goes on: %s", r)
			}
			return w.renew(owner.RefreshToken)
		}},
		{name: "repeats a renewal within the overlap for tokens of his own", want: "200", moves: true, try: func(w *world) reply {
			t := w.login("bob")
			own := w.renewed(t, 1)
			w.renewed(own, 1)
			r := w.renew(t.RefreshToken)
			var again wire.TokenResponse
			w.json(w.renew(t.RefreshToken), &again)
			var first wire.TokenResponse
			w.json(r, &first)
			if first.AccessToken != again.AccessToken {
				w.Error("each repetition gives another access token")
			}
			return r
		}, also: func(w *world, r reply) {
			if strings.Contains(string(r.body), rotation.Prefix) {
				w.Error("an old token gives a refresh token")
			}
		}},
		{name: "keeps a session alive for ever by renewing: the absolute lifetime ends it", want: "400 invalid_grant", moves: true, try: func(w *world) reply {
			t := w.login("carol")
			for range app.DefaultAbsoluteTTL / (app.DefaultIdleTTL / 2) {
				w.Clock.Advance(app.DefaultIdleTTL / 2)
				if r := w.renew(t.RefreshToken); r.status == 200 {
					_ = json.Unmarshal(r.body, &t)
				}
			}
			defer w.Clock.Advance(-app.DefaultAbsoluteTTL / (app.DefaultIdleTTL / 2) * (app.DefaultIdleTTL / 2))
			w.Clock.Advance(app.DefaultIdleTTL / 2)
			defer w.Clock.Advance(-app.DefaultIdleTTL / 2)
			return w.renew(t.RefreshToken)
		}},
	}
}

// spared asserts that a row's other session lives.
func spared(w *world, _ reply) {
	if !w.lives(w.other) {
		w.Error("the user's other sessions were ended")
	}
}
