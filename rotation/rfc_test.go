package rotation_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

// Tests named after sentences of RFC 9700 §4.14 and RFC 6749 §6 and §10.4. The
// table that leads from the sentence to the test is spec/coverage.md.

var rfcPolicy = rotation.Policy{Overlap: 10 * time.Second, Idle: 14 * 24 * time.Hour, Absolute: 90 * 24 * time.Hour}

// life is one session on one server: it applies decisions and mints children.
type life struct {
	t     *testing.T
	state rotation.State
	first rotation.Token
	now   time.Time
	n     uint8
}

func newLife(t *testing.T) *life {
	l := &life{t: t, now: epoch, n: 2}
	l.state = rotation.State{Head: rotation.Root(tag(1)), HeadAt: epoch, CreatedAt: epoch}
	l.first = rotation.Child(sample.Session, l.state.Head, tag(2))
	return l
}

// present applies the decision; the token is zero where none is minted.
func (l *life) present(t rotation.Token) (rotation.Outcome, rotation.Token) {
	d := rotation.Decide(l.state, t, rfcPolicy, l.now)
	if d.Outcome.Moves() {
		l.state.Head, l.state.HeadAt = d.Head, l.now
	}
	if d.Outcome == rotation.Reused {
		l.state.Ended = true
	}
	if !d.Outcome.Mints() {
		return d.Outcome, rotation.Token{}
	}
	l.n++
	return d.Outcome, rotation.Child(t.Session, d.Head, tag(l.n))
}

// renew presents t a quarter of an hour later and wants it granted.
func (l *life) renew(t rotation.Token) rotation.Token {
	l.t.Helper()
	l.now = l.now.Add(15 * time.Minute)
	o, child := l.present(t)
	if !o.Mints() {
		l.t.Fatalf("renewal with %v: %v", t, o)
	}
	return child
}

func (l *life) want(t rotation.Token, want rotation.Outcome) {
	l.t.Helper()
	if got, _ := l.present(t); got != want {
		l.t.Errorf("presenting %v: %v, want %v", t, got, want)
	}
}

// RFC 9700 §4.14.2: a new refresh token with every refresh response. The one
// exception is the answer to a slow duplicate, whose client has a newer token.
func TestRFC9700_NewRefreshTokenWithEveryRefreshResponse(t *testing.T) {
	l := newLife(t)
	seen := map[rotation.Token]bool{l.first: true}
	tok := l.first
	for range 100 {
		if tok = l.renew(tok); seen[tok] {
			t.Fatalf("%v was issued before", tok)
		}
		seen[tok] = true
	}
	if again := l.renew(tok); seen[again] {
		t.Error("a retry was answered with a token that was issued before")
	}
}

// RFC 9700 §4.14.2: the previous refresh token is invalidated. It is as soon as
// its successor is in use and the overlap is over.
func TestRFC9700_PreviousRefreshTokenIsInvalidated(t *testing.T) {
	l := newLife(t)
	second := l.renew(l.first)
	l.renew(second)
	l.now = l.now.Add(rfcPolicy.Overlap)
	l.want(l.first, rotation.Reused)
}

// RFC 9700 §4.14.2: the relationship between the tokens is retained, here in
// the tokens themselves: each names its parent, and the state does not grow.
func TestRFC9700_RelationshipIsRetained(t *testing.T) {
	l := newLife(t)
	size := reflect.TypeOf(l.state).Size()
	tok := l.first
	for range 50 {
		child := l.renew(tok)
		if child.Session != tok.Session || child.Parent != tok.Tag || child.Generation != tok.Generation+1 {
			t.Fatalf("%v does not name %v as its parent", child, tok)
		}
		tok = child
	}
	for i := range reflect.TypeOf(l.state).NumField() {
		if k := reflect.TypeOf(l.state).Field(i).Type.Kind(); k == reflect.Slice || k == reflect.Map || k == reflect.String {
			t.Errorf("field %d of the state can grow", i)
		}
	}
	if size > 128 {
		t.Errorf("%d bytes of state", size)
	}
}

// RFC 9700 §4.14.2: if a token is compromised and used by both the attacker and
// the legitimate client, one of them presents an invalidated token, which tells
// the server of the breach. TestTheftShows has every strategy.
func TestRFC9700_OneOfThemPresentsAnInvalidatedToken(t *testing.T) {
	for _, faster := range []string{"thief", "victim"} {
		l := newLife(t)
		a := l.renew(l.first) // the faster one
		b := l.renew(l.first) // the slower one, with the same token
		l.renew(a)
		l.now = l.now.Add(15 * time.Minute)
		if o, _ := l.present(b); o != rotation.Reused {
			t.Errorf("the %s is faster: %v", faster, o)
		}
	}
}

// RFC 9700 §4.14.2: the server cannot tell who presented the invalidated token,
// but it revokes the active refresh token: that of either side is worth nothing
// any more.
func TestRFC9700_ActiveRefreshTokenIsRevoked(t *testing.T) {
	l := newLife(t)
	a, b := l.renew(l.first), l.renew(l.first)
	next := l.renew(a)
	l.now = l.now.Add(time.Hour)
	l.want(b, rotation.Reused)
	for _, tok := range []rotation.Token{l.first, a, b, next} {
		l.want(tok, rotation.Ended)
	}
}

// RFC 9700 §4.14.2, implementation note: the grant may be encoded in the token,
// so that the server finds it and all that is to be revoked efficiently.
func TestRFC9700_GrantIsEncodedInTheToken(t *testing.T) {
	k := testKey(1)
	l := newLife(t)
	tok := l.renew(l.first)
	opened, err := rotation.Open(ring(k), rotation.Seal(k, tok))
	if err != nil || opened.Session != sample.Session {
		t.Errorf("the token names session %v, %v", opened.Session, err)
	}
}

// RFC 9700 §4.14.2, implementation note: the integrity of the token value MUST
// be ensured. TestTamperedTokens flips every bit; here the fields that a holder
// would like to change are changed under a key that is not the server's.
func TestRFC9700_IntegrityOfTheTokenValue(t *testing.T) {
	for _, want := range []func(*rotation.Token){
		func(t *rotation.Token) { t.Session[0]++ },
		func(t *rotation.Token) { t.Generation += 2 },
		func(t *rotation.Token) { t.Parent = t.Tag },
	} {
		tok := sample
		want(&tok)
		forged := testKey(2)
		forged.ID = 1
		refused(t, "forged", rotation.Seal(forged, tok), ring(testKey(1)))
	}
}

// RFC 9700 §4.14.2: refresh tokens SHOULD expire if the client has been inactive
// for some time.
func TestRFC9700_ExpiresAfterInactivity(t *testing.T) {
	l := newLife(t)
	tok := l.renew(l.first)
	l.now = l.now.Add(rfcPolicy.Idle - 1)
	o, tok := l.present(tok)
	if o != rotation.Advanced {
		t.Errorf("at the last moment: %v", o)
	}
	l.now = l.now.Add(rfcPolicy.Idle)
	l.want(tok, rotation.Expired)
}

// RFC 9700 §4.14.2: the expiration time is at the discretion of the server. A
// change applies to tokens that are out, because they carry no time.
func TestRFC9700_ExpirationIsAtTheDiscretionOfTheServer(t *testing.T) {
	l := newLife(t)
	tok := l.renew(l.first)
	at := l.now.Add(time.Hour)
	for _, c := range []struct {
		idle time.Duration
		want rotation.Outcome
	}{{2 * time.Hour, rotation.Advanced}, {time.Hour, rotation.Expired}, {0, rotation.Advanced}} {
		if got := rotation.Decide(l.state, tok, rotation.Policy{Idle: c.idle}, at).Outcome; got != c.want {
			t.Errorf("idle lifetime %v: %v, want %v", c.idle, got, c.want)
		}
	}
}

// RFC 9700 §4.14.2: refresh tokens MAY be revoked in case of a security event,
// such as a change of password or a logout. Ended is how either arrives here.
func TestRFC9700_RevokedOnASecurityEvent(t *testing.T) {
	l := newLife(t)
	tok := l.renew(l.first)
	l.state.Ended = true
	l.want(tok, rotation.Ended)
	if g, ok := rotation.Expect(tok, rfcPolicy, l.now); !ok || g.Holds(l.state) {
		t.Error("the short way of a store leads around the end of the session")
	}
}

// RFC 6749 §6: a server MAY revoke the old refresh token after issuing a new
// one. Issuing proves nothing: an answer can be lost. Here the old one stays
// good until the new one is in use.
func TestRFC6749_OldTokenIsGoodUntilTheNewOneIsInUse(t *testing.T) {
	l := newLife(t)
	l.renew(l.first) // lost
	l.now = l.now.Add(time.Hour)
	o, second := l.present(l.first)
	if o != rotation.Retried {
		t.Fatalf("after a lost answer: %v", o)
	}
	l.renew(second)
}

// RFC 6749 §6: the client MUST discard the old refresh token and replace it by
// the new one. A client that keeps using the old one beside the new one is, to
// the server, two clients.
func TestRFC6749_ClientMustReplaceTheOldToken(t *testing.T) {
	l := newLife(t)
	l.renew(l.renew(l.first))
	l.now = l.now.Add(15 * time.Minute)
	l.want(l.first, rotation.Reused)
}

// RFC 6749 §10.4: refresh tokens cannot be generated, modified or guessed by
// unauthorised parties. Knowing everything that a database holds is not enough.
func TestRFC6749_CannotBeGeneratedFromStoredState(t *testing.T) {
	l := newLife(t)
	tok := l.renew(l.first)
	stolen := l.state // what a reader of the database has
	forged := rotation.Child(tok.Session, stolen.Head, tag(99))
	if rotation.Decide(l.state, forged, rfcPolicy, l.now).Outcome != rotation.Advanced {
		t.Fatal("the forged token would not even be useful: the test shows nothing")
	}
	for _, guess := range []rotation.Key{{ID: 1}, {ID: 1, Secret: [32]byte{1}}} {
		refused(t, "made from the database", rotation.Seal(guess, forged), ring(testKey(1)))
	}
}

// A client that confirms its new token kills the copy of the old one within one
// overlap; without the confirmation the copy lives until the next renewal.
func TestConfirmKillsTheParent(t *testing.T) {
	for _, confirms := range []bool{true, false} {
		l := newLife(t)
		second := l.renew(l.first)
		want := rotation.Retried
		if confirms {
			l.want(second, rotation.Advanced)
			l.want(l.first, rotation.Overlapped)
			want = rotation.Reused
		}
		l.now = l.now.Add(rfcPolicy.Overlap)
		l.want(l.first, want)
	}
}
