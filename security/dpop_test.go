package security_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/wire"
)

var _, ownKey, _ = ed25519.GenerateKey(rand.Reader)

// proofOf takes a proof apart.
func proofOf(raw string) jwt {
	parts := strings.Split(raw, ".")
	for i, p := range parts {
		b, _ := b64.DecodeString(p)
		parts[i] = string(b)
	}
	return jwt{header: parts[0], payload: parts[1], signature: parts[2]}
}

// badProofs are made of a good proof of the owner's key, by somebody who has the key
// (own) or has not.
var badProofs = []struct {
	name string
	make func(good jwt) string
}{
	{"signed by another key than the one in its header", func(p jwt) string { return p.by(evilKey).String() }},
	{"of a key of the attacker's", func(p jwt) string {
		p.header = `{"typ":"dpop+jwt","alg":"EdDSA","jwk":` + evilJWK() + `}`
		return p.by(evilKey).String()
	}},
	{"alg none", func(p jwt) string { p = p.alg(`"none"`); p.signature = ""; return p.String() }},
	{"HS256 with the public key", func(p jwt) string { return p.alg(`"HS256"`).String() }},
	{"ES256 with a key of Ed25519", func(p jwt) string { return p.alg(`"ES256"`).by(ownKey).String() }},
	{"a private key in its header", func(p jwt) string { return p.with(`"x":`, `"d":"AAAA","x":`).by(ownKey).String() }},
	{"no key in its header", func(p jwt) string { p.header = `{"typ":"dpop+jwt","alg":"EdDSA"}`; return p.by(ownKey).String() }},
	{"a symmetric key in its header", func(p jwt) string {
		p.header = `{"typ":"dpop+jwt","alg":"EdDSA","jwk":{"kty":"oct","k":"AAAA"}}`
		return p.by(ownKey).String()
	}},
	{"typ JWT", func(p jwt) string { return p.with("dpop+jwt", "JWT").by(ownKey).String() }},
	{"no typ", func(p jwt) string { return p.with(`"typ":"dpop+jwt"`, `"y":""`).by(ownKey).String() }},
	{"a member that must be understood", func(p jwt) string { return p.member(`"crit":["x"],"x":1`).by(ownKey).String() }},
	{"another method", func(p jwt) string { return p.claim("htm", "DELETE").by(ownKey).String() }},
	{"the method in lower case", func(p jwt) string { return p.claim("htm", "get").by(ownKey).String() }},
	{"another path", func(p jwt) string { return p.claim("htu", origin+"/auth/sessions").by(ownKey).String() }},
	{"another host", func(p jwt) string { return p.claim("htu", "https://evil.example/auth/me").by(ownKey).String() }},
	{"another scheme", func(p jwt) string { return p.claim("htu", "http://app.example/auth/me").by(ownKey).String() }},
	{"another port", func(p jwt) string { return p.claim("htu", "https://app.example:8443/auth/me").by(ownKey).String() }},
	{"a path alone", func(p jwt) string { return p.claim("htu", "/auth/me").by(ownKey).String() }},
	{"a user name in the address", func(p jwt) string {
		return p.claim("htu", "https://app.example@evil.example/auth/me").by(ownKey).String()
	}},
	{"a longer path", func(p jwt) string { return p.claim("htu", origin+"/auth/me/x").by(ownKey).String() }},
	{"no method", func(p jwt) string { return p.claim("htm", nil).by(ownKey).String() }},
	{"no address", func(p jwt) string { return p.claim("htu", nil).by(ownKey).String() }},
	{"no id", func(p jwt) string { return p.claim("jti", nil).by(ownKey).String() }},
	{"an empty id", func(p jwt) string { return p.claim("jti", "").by(ownKey).String() }},
	{"an id of a kilobyte", func(p jwt) string { return p.claim("jti", strings.Repeat("a", 1024)).by(ownKey).String() }},
	{"no time", func(p jwt) string { return p.claim("iat", nil).by(ownKey).String() }},
	{"a time as text", func(p jwt) string { return p.claim("iat", "now").by(ownKey).String() }},
	{"a time of long ago", func(p jwt) string { return p.claim("iat", 1_700_000_000).by(ownKey).String() }},
	{"a time to come", func(p jwt) string { return p.claim("iat", 2_000_000_000).by(ownKey).String() }},
	{"the hash of another token", func(p jwt) string { return p.claim("ath", dpop.Hash("x")).by(ownKey).String() }},
	{"no hash of the token", func(p jwt) string { return p.claim("ath", nil).by(ownKey).String() }},
	{"the token in place of its hash", func(p jwt) string { return p.claim("ath", "x").by(ownKey).String() }},
	{"one bit of the signature", func(p jwt) string { b := []byte(p.signature); b[9] ^= 1; p.signature = string(b); return p.String() }},
	{"the signature in another spelling", func(p jwt) string { p.signature = plusOrder(p.signature); return p.String() }},
	{"no signature", func(p jwt) string { p.signature = ""; return p.String() }},
	{"a claim twice", func(p jwt) string { p.payload = `{"htm":"GET",` + p.payload[1:]; return p.by(ownKey).String() }},
	{"ten kilobytes", func(p jwt) string { return p.claim("x", strings.Repeat("a", 10_000)).by(ownKey).String() }},
	{"text", func(jwt) string { return "x" }},
	{"an empty value", func(jwt) string { return "" }},
	{"two proofs in one line", func(p jwt) string { return p.String() + ", " + p.String() }},
}

func dpopAttacks() (all []attack) {
	me := func(w *world, token, proof string) reply {
		w.Helper()
		return w.send("GET", "/auth/me", "", "Authorization", "DPoP "+token, "DPoP", proof)
	}
	for _, c := range badProofs {
		all = append(all, attack{name: "uses a stolen bound token with a proof: " + c.name, want: "401 invalid_token", try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.prepared()
			proof := c.make(proofOf(w.proof(ownKey, "GET", "/auth/me", g.AccessToken)))
			// The same fault at a renewal, where the token need not be hashed.
			made := c.make(proofOf(w.proof(ownKey, "POST", wire.PathToken, "")))
			if !strings.Contains(c.name, "token") {
				renewal := []string{"grant_type", "refresh_token", "refresh_token", g.RefreshToken, "client_id", "spa"}
				if r := w.form(wire.PathToken, renewal, "DPoP", made); r.status != 400 || r.secret() != "" {
					w.Errorf("renewed: %s", r)
				}
			}
			n := w.api.count()
			if r := w.send("GET", "/api/orders", "", "Authorization", "DPoP "+g.AccessToken, "DPoP", proof); r.status != 401 || w.api.count() != n {
				w.Errorf("at the gateway: %s", r)
			}
			return me(w, g.AccessToken, proof)
		}})
	}
	renewal := func(token string) []string {
		return []string{"grant_type", "refresh_token", "refresh_token", token, "client_id", "spa"}
	}
	return append(all,
		attack{name: "uses a bound token as Bearer", want: "401 invalid_token", try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.prepared()
			return w.everywhere(g.AccessToken)
		}},
		attack{name: "uses a bound token as Bearer, with a good proof", want: "401 invalid_token", try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.prepared()
			return w.send("GET", "/auth/me", "", append(bearer(g.AccessToken), "DPoP", w.proof(ownKey, "GET", "/auth/me", g.AccessToken))...)
		}},
		attack{name: "binds a plain token to a key of his own", want: "401 invalid_token", try: func(w *world) reply {
			t := w.login("alice").AccessToken
			w.prepared()
			return me(w, t, w.proof(evilKey, "GET", "/auth/me", t))
		}},
		attack{name: "sends two proofs", want: "401 invalid_token", try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.prepared()
			p := w.proof(ownKey, "GET", "/auth/me", g.AccessToken)
			return w.send("GET", "/auth/me", "", "Authorization", "DPoP "+g.AccessToken, "DPoP", p, "DPoP", w.proof(evilKey, "GET", "/auth/me", g.AccessToken))
		}},
		attack{name: "repeats a proof", want: "401 invalid_token", try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.prepared()
			p := w.proof(ownKey, "GET", "/auth/me", g.AccessToken)
			if r := me(w, g.AccessToken, p); r.status != 200 {
				w.Errorf("the owner: %s", r)
			}
			return me(w, g.AccessToken, p)
		}},
		attack{name: "repeats a proof with another case of its key's members", want: "401 invalid_token", try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.prepared()
			p := proofOf(w.proof(ownKey, "GET", "/auth/me", g.AccessToken))
			me(w, g.AccessToken, p.String())
			return me(w, g.AccessToken, p.member(`"y":1`).by(ownKey).String())
		}},
		attack{name: "uses a proof of a minute ago", want: "401 invalid_token", try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.prepared()
			p := w.proof(ownKey, "GET", "/auth/me", g.AccessToken)
			w.Clock.Advance(dpop.MaxAge + time.Second)
			return me(w, g.AccessToken, p)
		}},
		attack{name: "repeats the proof of a renewal", want: "400 invalid_dpop_proof", moves: true, try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			p := w.proof(ownKey, "POST", wire.PathToken, "")
			if r := w.form(wire.PathToken, renewal(g.RefreshToken), "DPoP", p); r.status != 200 {
				w.Errorf("the owner: %s", r)
			}
			return w.form(wire.PathToken, renewal(g.RefreshToken), "DPoP", p)
		}},
		attack{name: "renews a bound session without a proof", want: "400 invalid_grant", try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.prepared()
			return w.form(wire.PathToken, renewal(g.RefreshToken))
		}},
		attack{name: "renews a bound session with another key", want: "400 invalid_grant", try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.prepared()
			return w.form(wire.PathToken, renewal(g.RefreshToken), "DPoP", w.proof(evilKey, "POST", wire.PathToken, ""))
		}},
		attack{name: "renews a bound session at the native call", want: "400 invalid_grant", try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.prepared()
			return w.renew(g.RefreshToken, "DPoP", w.proof(evilKey, "POST", "/auth/refresh", ""))
		}},
		attack{name: "uses a proof of the token endpoint at the native call", want: "400 invalid_request", try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.prepared()
			return w.renew(g.RefreshToken, "DPoP", w.proof(ownKey, "POST", wire.PathToken, ""))
		}},
		attack{name: "confirms a bound token without the key", want: "400 invalid_grant", try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.prepared()
			return w.send("POST", "/auth/confirm", body(wire.RefreshRequest{RefreshToken: g.RefreshToken}))
		}},
		attack{name: "ends a bound session with an old token and no key", want: "400 invalid_grant", try: func(w *world) reply {
			old := w.bound(ownKey, "alice")
			g := old
			for range 3 {
				w.json(w.form(wire.PathToken, renewal(g.RefreshToken), "DPoP", w.proof(ownKey, "POST", wire.PathToken, "")), &g)
			}
			w.Clock.Advance(time.Minute)
			w.prepared()
			return w.form(wire.PathToken, renewal(old.RefreshToken), "DPoP", w.proof(evilKey, "POST", wire.PathToken, ""))
		}},
		attack{name: "signs out everywhere with a bound token and another key: the other sessions live", want: "204", moves: true, try: func(w *world) reply {
			g := w.bound(ownKey, "alice")
			w.other = w.login("alice").Session.ID
			return w.send("POST", "/auth/logout", body(wire.LogoutRequest{RefreshToken: g.RefreshToken, Everywhere: true}), "DPoP", w.proof(evilKey, "POST", "/auth/logout", ""))
		}, also: spared},
		attack{name: "redeems a code that is bound to a key, with another", want: "400 invalid_grant", try: func(w *world) reply {
			p, err := dpop.Parse([]string{w.proof(ownKey, "GET", "/", "")}, dpop.Request{Method: "GET", URI: origin + "/"}, w.Clock.Now())
			if err != nil {
				w.Fatal(err)
			}
			code := w.code("alice", request("dpop_jkt", p.Key))
			w.prepared()
			return w.form(wire.PathToken, redemption(code), "DPoP", w.proof(evilKey, "POST", wire.PathToken, ""))
		}},
		attack{name: "redeems a code that is bound to a key, without one", want: "400 invalid_grant", try: func(w *world) reply {
			p, err := dpop.Parse([]string{w.proof(ownKey, "GET", "/", "")}, dpop.Request{Method: "GET", URI: origin + "/"}, w.Clock.Now())
			if err != nil {
				w.Fatal(err)
			}
			code := w.code("alice", request("dpop_jkt", p.Key))
			w.prepared()
			return w.form(wire.PathToken, redemption(code))
		}},
	)
}
