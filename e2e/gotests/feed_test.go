package gotests

import (
	"errors"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/e2e/proxy"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// resource is a resource server in another place, with a clock of its own.
type resource struct {
	clock *clock
	v     *verify.Verifier
	feed  *verify.Feed
}

func (s *stack) resource(skew time.Duration) resource {
	r := resource{clock: &clock{}}
	r.clock.advance(skew)
	keys := s.keySet(r.clock.Now)
	var err error
	r.feed, err = verify.NewFeed(verify.FeedConfig{URL: s.url + feedPath, Secret: feedToken, Keys: keys, Clock: r.clock.Now})
	must(s.t, err)
	follow(s.t, r.feed)
	r.v = s.verifier(keys, r.feed, r.clock.Now)
	return r
}

func (r resource) check(t *testing.T, src *client.Source) error {
	t.Helper()
	tok, err := src.Token(t.Context())
	must(t, err)
	_, err = r.v.Verify(t.Context(), tok.AccessToken)
	return err
}

func (r resource) serves(t *testing.T, src *client.Source) {
	t.Helper()
	if err := r.check(t, src); err != nil {
		t.Errorf("an honest token was refused: %v", err)
	}
}

// end ends the session of src and no other.
func (s *stack) end(src *client.Source) {
	s.t.Helper()
	session, err := src.Session(s.t.Context())
	must(s.t, err)
	id, err := rotation.ParseSessionID(session.ID)
	must(s.t, err)
	must(s.t, s.app.Sessions.End(s.t.Context(), id, wire.ReasonEndedByAdmin))
}

// Clocks that are wrong by a minute either way: an ended session is refused, an
// honest one never.
func TestSkewedResourceServersFollowTheFeed(t *testing.T) {
	t.Parallel()
	s := startStack(t, nil)
	ends, stays := s.signIn(nil), s.signIn(nil)
	for _, skew := range []time.Duration{-time.Minute, 0, time.Minute} {
		r := s.resource(skew)
		r.serves(t, ends)
		r.serves(t, stays)
	}
	all := []resource{s.resource(-time.Minute), s.resource(0), s.resource(time.Minute)}
	s.end(ends)
	for _, r := range all {
		waitFor(t, "the end of the session", func() bool { return errors.Is(r.check(t, ends), verify.ErrSessionEnded) })
		r.serves(t, stays)
	}
	late := s.resource(-time.Minute) // it was not there when it happened
	if err := late.check(t, ends); !errors.Is(err, verify.ErrSessionEnded) {
		t.Errorf("a resource server that has just started: %v", err)
	}
	must(t, s.app.Directory.AddRole(t.Context(), "clerk", "orders:write"))
	must(t, s.app.Directory.GrantRole(t.Context(), s.user, "clerk"))
	for _, r := range all {
		waitFor(t, "the new grants", func() bool { return errors.Is(r.check(t, stays), verify.ErrStaleGrants) })
	}
	_, err := renewal(t.Context(), stays)
	must(t, err)
	for _, r := range append(all, late) {
		r.serves(t, stays)
	}
}

// The way to the auth server is cut: what is known stays in force, then nobody is
// served, and when it is restored everything is as it should be.
func TestTheFeedIsCutAndRestored(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	before, during, stays := s.signIn(nil), s.signIn(nil), s.signIn(nil)
	r := s.resource(0)
	for _, src := range []*client.Source{before, during, stays} {
		r.serves(t, src)
	}
	s.end(before)
	waitFor(t, "the end of the session", func() bool { return r.check(t, before) != nil })

	s.proxy.Add(proxy.Fault{Path: feedPath, Count: 1_000_000, Kind: "drop-request"})
	s.front.CloseClientConnections()
	s.end(during)
	r.serves(t, during) // it cannot know
	r.serves(t, stays)
	r.clock.advance(verify.DefaultMaxLag + time.Second)
	for _, src := range []*client.Source{during, stays} {
		if err := r.check(t, src); !errors.Is(err, verify.ErrUnavailable) {
			t.Errorf("longer than MaxLag without the feed: %v", err)
		}
	}
	if err := r.check(t, before); !errors.Is(err, verify.ErrSessionEnded) {
		t.Errorf("what was known before: %v", err)
	}

	s.proxy.Reset()
	waitFor(t, "the feed", func() bool { return r.check(t, stays) == nil })
	for _, src := range []*client.Source{before, during} {
		if err := r.check(t, src); !errors.Is(err, verify.ErrSessionEnded) {
			t.Errorf("after the feed came back: %v", err)
		}
	}
}
