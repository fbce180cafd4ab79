package idp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/idp/idptest"
	"github.com/tacet-dev/tacet/internal/session"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// Back-Channel Logout 1.0 §2.6, step by step: what is refused ends nothing.
func TestLogoutTokensThatAreRefused(t *testing.T) {
	w := newWorld(t)
	id := w.session()
	now := w.clock()
	set := func(name string, value any) string {
		return w.provider.LogoutToken(func(c map[string]any) {
			c["sub"] = "248289761001"
			if value == nil {
				delete(c, name)
			} else {
				c[name] = value
			}
		})
	}
	signed := func(sign func(c map[string]any, typ string) string) string {
		w.provider.Change(func(s *settings) { s.Sign = sign })
		defer w.provider.Change(func(s *settings) { s.Sign = nil })
		return set("x", 1)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	used := set("x", 1)
	events := func(v any) string { return set("events", map[string]any{logoutEvent: v}) }
	for name, raw := range map[string]string{
		"nothing":                   "",
		"no JWT":                    "a.b.c",
		"too long":                  strings.Repeat("x", 1<<15),
		"unsigned":                  signed(idptest.Unsigned),
		"signed with another key":   signed(func(c map[string]any, typ string) string { return idptest.Sign(jose.ES256, other, c, typ) }),
		"iss of another":            set("iss", "https://evil.example"),
		"iss missing":               set("iss", nil),
		"aud of another":            set("aud", "somebody"),
		"aud missing":               set("aud", nil),
		"iat missing":               set("iat", nil),
		"iat in the future":         set("iat", now.Add(time.Hour).Unix()),
		"exp missing":               set("exp", nil),
		"expired":                   set("exp", now.Add(-time.Second).Unix()),
		"neither sub nor sid":       set("sub", nil),
		"sub no text":               set("sub", 7),
		"sub too long":              set("sub", strings.Repeat("x", 300)),
		"sid with a line end":       set("sid", "a\nb"),
		"no events":                 set("events", nil),
		"events a text":             set("events", logoutEvent),
		"events a list":             set("events", []string{logoutEvent}),
		"another event":             set("events", map[string]any{"https://example.com/event": map[string]any{}}),
		"event a text":              events("x"),
		"event a list":              events([]string{}),
		"event null":                events(nil),
		"event true":                events(true),
		"a nonce":                   set("nonce", "n"),
		"an empty nonce":            set("nonce", ""),
		"jti missing":               set("jti", nil),
		"jti empty":                 set("jti", ""),
		"typ of an access token":    w.provider.LogoutTokenTyped("at+jwt", func(c map[string]any) { c["sub"] = "248289761001" }),
		"typ of something else":     w.provider.LogoutTokenTyped("secevent+jwt", func(c map[string]any) { c["sub"] = "248289761001" }),
		"an ID token":               w.provider.JWT(map[string]any{"iss": w.provider.URL, "aud": idptest.ClientID, "sub": "248289761001", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "nonce": "n"}, "JWT"),
		"an ID token without nonce": w.provider.JWT(map[string]any{"iss": w.provider.URL, "aud": idptest.ClientID, "sub": "248289761001", "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "jti": "j"}, "JWT"),
	} {
		n, err := w.Logout(t.Context(), "company", raw)
		if !errors.As(err, new(*idp.InvalidError)) || n != 0 || !w.alive(id) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		if err != nil && raw != "" && strings.Contains(err.Error(), raw) {
			t.Errorf("%s: the token is in the error", name)
		}
	}
	if _, err := w.Logout(t.Context(), "nobody", used); !errors.Is(err, idp.ErrUnknown) {
		t.Errorf("another provider: %v", err)
	}
	if n, err := w.Logout(t.Context(), "company", used); err != nil || n != 1 || w.alive(id) {
		t.Errorf("and a good one: %d, %v", n, err)
	}
	again := w.session()
	if _, err := w.Logout(t.Context(), "company", used); !errors.As(err, new(*idp.InvalidError)) || !w.alive(again) {
		t.Errorf("replayed: %v", err)
	}
	w.advance(time.Hour) // forgotten by now, and expired
	if _, err := w.Logout(t.Context(), "company", used); !errors.As(err, new(*idp.InvalidError)) || !w.alive(again) {
		t.Errorf("replayed later: %v", err)
	}
}

func TestLogoutTokensThatAreAccepted(t *testing.T) {
	for name, typ := range map[string]string{"explicit": "logout+jwt", "explicit, in full": "application/logout+jwt", "as ID tokens": "JWT", "none": ""} {
		w := newWorld(t)
		id := w.session()
		n, err := w.Logout(t.Context(), "company", w.provider.LogoutTokenTyped(typ, func(c map[string]any) {
			c["sub"], c["sid"] = "248289761001", "sid-1"
			c["aud"], c["trace"] = []string{"x", idptest.ClientID}, map[string]any{"a": 1}
			c["events"] = map[string]any{logoutEvent: map[string]any{"more": 1}, "https://example.com/event": 7}
		}))
		if err != nil || n != 1 || w.alive(id) {
			t.Errorf("typ %s: %d, %v", name, n, err)
		}
	}
}

// A sign-in that is overtaken by the end of its provider's session ends as well.
func TestLogoutDuringASignIn(t *testing.T) {
	w := newWorld(t)
	a, err := w.signIn() // the provider's session is there
	must(t, err)
	if _, err := w.Logout(t.Context(), "company", w.provider.LogoutToken(func(c map[string]any) { c["sid"] = "sid-1" })); err != nil {
		t.Fatal(err)
	}
	if g, err := w.sessions.Start(t.Context(), session.SignIn{UserID: a.UserID, Client: session.Client{ID: "web"}, Origin: a.Origin, Contact: contact}); err == nil {
		t.Errorf("session %s lives", g.Session.ID)
	}
	list, err := w.sessions.List(t.Context(), "")
	if err != nil || len(list) != 0 {
		t.Errorf("living sessions %v, %v", list, err)
	}
	// What the provider says later counts, whether it has a new name for its
	// session or not.
	w.advance(time.Second)
	if id := w.session(); !w.alive(id) {
		t.Error("the next sign-in was ended")
	}
	w.provider.Change(func(s *settings) { s.Person["sid"] = "sid-2" })
	if id := w.session(); !w.alive(id) {
		t.Error("the next sign-in was ended")
	}
}

// However many sessions a subject has, all are ended.
func TestLogoutOfManySessions(t *testing.T) {
	w := newWorld(t)
	a, err := w.signIn()
	must(t, err)
	const many = 450
	for range many {
		w.advance(time.Millisecond)
		_, err := w.sessions.Start(t.Context(), session.SignIn{UserID: a.UserID, Client: session.Client{ID: "web"}, Origin: a.Origin, Contact: contact})
		must(t, err)
	}
	n, err := w.Logout(t.Context(), "company", w.provider.LogoutToken(func(c map[string]any) { c["sub"] = "248289761001" }))
	if err != nil || n != many {
		t.Errorf("%d, %v", n, err)
	}
	if list, err := w.sessions.List(t.Context(), ""); err != nil || len(list) != 0 {
		t.Errorf("%d living sessions, %v", len(list), err)
	}
}
