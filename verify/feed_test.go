package verify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// inBubble runs a feed against a fake issuer in fake time.
func inBubble(t *testing.T, f *feedIssuer, c verify.FeedConfig, test func(*testing.T, *verify.Feed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		feed := newFeed(t, f, c)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- feed.Run(ctx) }()
		test(t, feed)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run ended with %v", err)
		}
		f.cut()
		time.Sleep(2 * time.Minute) // the fake's goroutines end
	})
}

// tokenAt is a verified token, issued at that time by the issuer's clock.
func tokenAt(t testing.TB, issued time.Time, changes object) *verify.Token {
	t.Helper()
	c := claims(object{"iat": issued.Unix(), "exp": issued.Add(time.Hour).Unix()})
	tok, err := newVerifier(t, verify.Config{Clock: func() time.Time { return issued }}).
		Verify(t.Context(), signEd(header(nil), changed(c, changes)))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func wantLive(t *testing.T, what string, feed *verify.Feed, tok *verify.Token, want error) {
	t.Helper()
	if err := feed.Live(t.Context(), tok); !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestFeedEndsSessionsAndStalesGrants(t *testing.T) {
	f := &feedIssuer{}
	var told []string
	inBubble(t, f, verify.FeedConfig{OnEnded: func(id string) { told = append(told, id) }}, func(t *testing.T, feed *verify.Feed) {
		ours := tokenAt(t, time.Now(), nil)
		newer := tokenAt(t, time.Now(), object{"grants_version": 8})
		other := tokenAt(t, time.Now(), object{"sid": "ses_2", "sub": "usr_2"})
		wantLive(t, "a feed that nobody runs", newFeed(t, f, verify.FeedConfig{}), ours, verify.ErrFeedLost)
		if err := feed.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantLive(t, "at first", feed, ours, nil)
		f.change("usr_1", 8)
		time.Sleep(time.Second)
		wantLive(t, "grants changed", feed, ours, verify.ErrStaleGrants)
		wantLive(t, "token with the new grants", feed, newer, nil)
		f.change("usr_1", 7) // late: versions never go down
		f.commit("something.new", object{"a": 1})
		f.end("ses_1")
		f.end("ses_1")
		time.Sleep(time.Second)
		wantLive(t, "older change", feed, tokenAt(t, time.Now(), object{"sid": "ses_3"}), verify.ErrStaleGrants)
		wantLive(t, "session ended", feed, ours, verify.ErrSessionEnded)
		wantLive(t, "session ended, new token", feed, newer, verify.ErrSessionEnded)
		wantLive(t, "another session", feed, other, nil)
		if len(told) != 1 || told[0] != "ses_1" {
			t.Errorf("told of %v", told)
		}
		if s := feed.Stats(); s.Ended != 1 || s.Changed != 1 || s.Connections != 1 || s.Resets != 1 || s.Overflows != 0 || s.Lag > 5*time.Second {
			t.Errorf("%+v", s)
		}
		if err := feed.Run(t.Context()); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("a second Run: %v", err)
		}
	})
}

func TestFeedForgetsWhatCanMatterNoMore(t *testing.T) {
	f := &feedIssuer{ttl: 10 * time.Minute}
	inBubble(t, f, verify.FeedConfig{}, func(t *testing.T, feed *verify.Feed) {
		for i := range 99 {
			f.end(fmt.Sprint("s", i))
			f.change(fmt.Sprint("u", i), 1)
		}
		f.end("s99")
		f.commit(wire.EventGrantsChanged, wire.FeedGrantsChanged{UserID: "u99", GrantsVersion: 1, At: "9999-01-01T00:00:00Z"}) // absurd
		time.Sleep(10*time.Minute + (wire.FeedMargin-1)*time.Second)
		if s := feed.Stats(); s.Ended != 100 || s.Changed != 100 {
			t.Errorf("forgot too early: %+v", s)
		}
		time.Sleep(2 * time.Minute)
		if s := feed.Stats(); s.Ended != 0 || s.Changed != 0 {
			t.Errorf("kept: %+v", s)
		}
		if s := feed.Stats(); s.Connections != 1 || s.Lag > 5*time.Second {
			t.Errorf("a quiet connection was given up: %+v", s)
		}
	})
}

func TestFeedPolicies(t *testing.T) {
	for _, lost := range []verify.LostPolicy{verify.OpenThenClosed, verify.ClosedThenOpen} {
		for _, atStart := range []bool{true, false} {
			t.Run(fmt.Sprint(lost, atStart), func(t *testing.T) {
				f := &feedIssuer{down: atStart}
				inBubble(t, f, verify.FeedConfig{Lost: lost, MaxLag: 40 * time.Second}, func(t *testing.T, feed *verify.Feed) {
					tok := tokenAt(t, time.Now(), nil)
					if !atStart {
						time.Sleep(time.Second) // the tick was at 0 s
						wantLive(t, "at first", feed, tok, nil)
						f.with(func(f *feedIssuer) { f.down = true })
						f.cut()
					}
					for began := time.Now().Add(-time.Second); time.Since(began) < 100*time.Second; time.Sleep(time.Second) {
						lag := feed.Lag()
						var refuse bool
						switch {
						case lost == verify.OpenThenClosed:
							refuse = atStart || lag > 40*time.Second
						default:
							refuse = (atStart || lag > 15*time.Second) && lag <= 40*time.Second
						}
						want := error(nil)
						if refuse {
							want = verify.ErrFeedLost
						}
						wantLive(t, fmt.Sprintf("after %v", lag), feed, tok, want)
						if gone := time.Since(began); lag > gone || !atStart && lag < gone-time.Second {
							t.Fatalf("Lag says %v after %v", lag, gone)
						}
					}
					f.with(func(f *feedIssuer) { f.down = false })
					time.Sleep(20 * time.Second)
					wantLive(t, "restored", feed, tok, nil)
				})
			})
		}
	}
}

func TestFeedResumesFromTheLastTick(t *testing.T) {
	f := &feedIssuer{}
	inBubble(t, f, verify.FeedConfig{}, func(t *testing.T, feed *verify.Feed) {
		tok := tokenAt(t, time.Now(), nil)
		f.end("a")
		f.end("b")
		time.Sleep(6 * time.Second) // a tick with seq 2
		f.end("c")                  // arrives, but is not ticked off: will be sent again
		time.Sleep(time.Second)
		f.with(func(f *feedIssuer) { f.down = true })
		f.cut()
		f.end("ses_1")
		time.Sleep(5 * time.Second)
		wantLive(t, "while cut off", feed, tok, nil)
		f.with(func(f *feedIssuer) { f.down = false })
		time.Sleep(11 * time.Second)
		wantLive(t, "after it", feed, tok, verify.ErrSessionEnded)
		last := f.asked[len(f.asked)-1]
		if f.asked[0].Get("Last-Event-ID") != "" || last.Get("Last-Event-ID") != "2" || last.Get("Accept") != "text/event-stream" {
			t.Errorf("asked with %v", f.asked)
		}
		if s := feed.Stats(); s.Resets != 1 || s.Connections != 2 || s.Ended != 4 {
			t.Errorf("%+v", s)
		}
		// Away for so long that the issuer has forgotten where we were.
		f.with(func(f *feedIssuer) { f.down = true })
		f.cut()
		f.end("d")
		f.end("e")
		f.with(func(f *feedIssuer) { f.pruned, f.log, f.down = 5, f.log[5:], false })
		time.Sleep(11 * time.Second)
		if s := feed.Stats(); s.Resets != 2 || s.Ended != 5 { // d was pruned before we came: the issuer broke its promise, we know e
			t.Errorf("%+v", s)
		}
	})
}

func TestFeedReconnectsWhenTheLineIsSilentOrCrawls(t *testing.T) {
	for name, fault := range map[string]func(*feedIssuer){
		"comments only": func(f *feedIssuer) { f.mute = true },
		"a minute late": func(f *feedIssuer) { f.delay = time.Minute },
	} {
		t.Run(name, func(t *testing.T) {
			f := &feedIssuer{}
			inBubble(t, f, verify.FeedConfig{}, func(t *testing.T, feed *verify.Feed) {
				tok := tokenAt(t, time.Now(), nil)
				time.Sleep(time.Second)
				f.with(fault)
				f.end("ses_1")
				time.Sleep(30 * time.Second)
				wantLive(t, "half a minute later", feed, tok, nil)
				if s := feed.Stats(); s.Connections < 2 {
					t.Errorf("sits on a dead connection: %+v", s)
				}
				time.Sleep(31 * time.Second)
				if err := feed.Live(t.Context(), tok); err == nil {
					t.Error("an ended session is accepted for longer than MaxLag")
				}
				f.with(func(f *feedIssuer) { f.mute, f.delay = false, 0 })
				time.Sleep(45 * time.Second)
				wantLive(t, "restored", feed, tok, verify.ErrSessionEnded)
			})
		})
	}
}

// A stream that is read in full but late must not pass for a fresh one.
func TestFeedLagCountsTransit(t *testing.T) {
	f := &feedIssuer{delay: 4 * time.Second, skew: -time.Hour}
	inBubble(t, f, verify.FeedConfig{}, func(t *testing.T, feed *verify.Feed) {
		if err := feed.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if lag := feed.Lag(); lag < 4*time.Second || lag > 9*time.Second {
			t.Errorf("Lag is %v", lag)
		}
		if off := feed.Now().Sub(f.now()); off > 0 || off < -4*time.Second {
			t.Errorf("Now is off by %v", off)
		}
		f.with(func(f *feedIssuer) { f.delay = 0 })
		time.Sleep(20 * time.Second) // a tick that is quicker tells the time better
		if off := feed.Now().Sub(f.now()); off > 0 || off < -time.Second {
			t.Errorf("Now is off by %v", off)
		}
	})
}

func TestFeedFollowsTheIssuersClock(t *testing.T) {
	f := &feedIssuer{skew: 60 * time.Second}
	inBubble(t, f, verify.FeedConfig{}, func(t *testing.T, feed *verify.Feed) {
		tok := tokenAt(t, time.Now(), nil)
		for _, skew := range []time.Duration{60 * time.Second, -60 * time.Second, time.Hour, -time.Hour} {
			f.with(func(f *feedIssuer) { f.skew = skew })
			time.Sleep(30 * time.Second)
			wantLive(t, fmt.Sprint(skew), feed, tok, nil)
			if off := feed.Now().Sub(f.now()); off > 0 || off < -time.Second {
				t.Errorf("skew %v: Now is off by %v", skew, off)
			}
			if lag := feed.Lag(); lag > 6*time.Second {
				t.Errorf("skew %v: Lag is %v", skew, lag)
			}
		}
	})
}

// The issuer's clock is set back and then it says no more: its last tick seems to
// lie in the future, and yet the feed is late.
func TestFeedLagGrowsAlsoWhenTheIssuersClockWasSetBack(t *testing.T) {
	f := &feedIssuer{}
	inBubble(t, f, verify.FeedConfig{}, func(t *testing.T, feed *verify.Feed) {
		tok := tokenAt(t, time.Now(), nil)
		time.Sleep(time.Second)
		f.with(func(f *feedIssuer) { f.skew, f.mute = -time.Hour, true })
		f.cut()
		f.end("ses_1")
		time.Sleep(2 * time.Minute)
		wantLive(t, "two minutes without a tick", feed, tok, verify.ErrFeedLost)
	})
}

func TestFeedOverflowMakesEverybodyRenew(t *testing.T) {
	f := &feedIssuer{}
	inBubble(t, f, verify.FeedConfig{MaxMarks: 100}, func(t *testing.T, feed *verify.Feed) {
		old := tokenAt(t, time.Now(), nil)
		time.Sleep(10 * time.Second)
		for i := range 150 {
			f.end(fmt.Sprint("s", i))
		}
		ended := tokenAt(t, time.Now(), object{"sid": "s3"})
		time.Sleep(5 * time.Second)
		if s := feed.Stats(); s.Overflows != 1 || s.Ended > 100 {
			t.Errorf("%+v", s)
		}
		wantLive(t, "a session that is no longer kept", feed, ended, verify.ErrInvalidToken)
		wantLive(t, "an honest old token", feed, old, verify.ErrStaleGrants)
		wantLive(t, "its renewal", feed, tokenAt(t, time.Now(), nil), nil)
	})
}

func TestFeedRefreshesKeys(t *testing.T) {
	f := &feedIssuer{}
	var refreshed atomic.Int64
	inBubble(t, f, verify.FeedConfig{Keys: refresher(func() { refreshed.Add(1) })}, func(t *testing.T, feed *verify.Feed) {
		time.Sleep(time.Second)
		f.commit(wire.EventKeysRotated, object{})
		time.Sleep(time.Second)
		if refreshed.Load() != 1 {
			t.Errorf("%d refreshes", refreshed.Load())
		}
	})
}

type refresher func()

func (r refresher) Refresh(context.Context) error { r(); return nil }

// What is not the feed, or not understood, must not pass for one.
func TestFeedRefusesWhatItDoesNotUnderstand(t *testing.T) {
	stream := func(lines ...string) func() (*http.Response, error) {
		return func() (*http.Response, error) {
			return respond(200, "text/event-stream", io.NopCloser(strings.NewReader(strings.Join(lines, "\n")+"\n"))), nil
		}
	}
	hello := "event: hello\ndata: " + text(wire.FeedHello{Now: stamp(t0), AccessTTL: 900, Tick: 5}) + "\n"
	for name, c := range map[string]struct {
		answer func() (*http.Response, error)
		want   string
	}{
		"wrong secret":         {func() (*http.Response, error) { return respond(401, "", nil), nil }, "compare FeedConfig.Secret"},
		"not found":            {func() (*http.Response, error) { return respond(404, "text/html", nil), nil }, "404"},
		"HTML":                 {func() (*http.Response, error) { return respond(200, "text/html", nil), nil }, "text/html"},
		"empty":                {stream(), "ended the feed"},
		"no hello":             {stream("event: tick", "data: "+text(wire.FeedTick{Now: stamp(t0), Seq: 9}), ""), `began with "tick"`},
		"hello without data":   {stream("event: hello", "data: {}", ""), "malformed hello"},
		"hello without ttl":    {stream("event: hello", "data: "+text(wire.FeedHello{Now: stamp(t0), Tick: 5}), ""), "access_ttl"},
		"hello with huge tick": {stream("event: hello", "data: "+text(wire.FeedHello{Now: stamp(t0), AccessTTL: 900, Tick: 1 << 60}), ""), "tick"},
		"session without id":   {stream(hello, "event: session.ended", "data: "+text(wire.FeedSessionEnded{At: stamp(t0)}), ""), "malformed session.ended"},
		"session without time": {stream(hello, "event: session.ended", `data: {"session_id":"x"}`, ""), "malformed session.ended"},
		"grants without user":  {stream(hello, "event: grants.changed", "data: "+text(wire.FeedGrantsChanged{At: stamp(t0)}), ""), "malformed grants.changed"},
		"grants not JSON":      {stream(hello, "event: grants.changed", "data: usr_1", ""), "malformed grants.changed"},
		"tick without time":    {stream(hello, "event: tick", `data: {"seq":1}`, ""), "malformed tick"},
		"a huge line":          {stream(hello, "data: "+strings.Repeat("x", 1<<17), ""), "too large"},
		"a huge event":         {stream(hello, strings.Repeat("data: xxxxxxxxxxxxxxx\n", 1<<13), ""), "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &feedIssuer{}
			f.answers = append(f.answers, c.answer)
			var told []error
			inBubble(t, f, verify.FeedConfig{OnError: func(err error) { told = append(told, err) }}, func(t *testing.T, feed *verify.Feed) {
				synctest.Wait()
				if len(told) != 1 || !strings.Contains(told[0].Error(), c.want) || strings.Contains(told[0].Error(), secret) {
					t.Errorf("told %v, want %q", told, c.want)
				}
				if err := feed.Live(t.Context(), tokenAt(t, time.Now(), nil)); !errors.Is(err, verify.ErrFeedLost) {
					t.Errorf("took that for a feed: %v", err)
				}
				time.Sleep(10 * time.Second) // and the next connection is good
				if err := feed.Live(t.Context(), tokenAt(t, time.Now(), nil)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestNewFeedChecksItsConfiguration(t *testing.T) {
	ok := verify.FeedConfig{URL: issuer + "/auth/feed", Secret: secret}
	for want, change := range map[string]func(*verify.FeedConfig){
		"plain http": func(c *verify.FeedConfig) { c.URL = "http://auth.example.com/auth/feed" },
		"Secret is ": func(c *verify.FeedConfig) { c.Secret = "" },
		"printable":  func(c *verify.FeedConfig) { c.Secret = "a\nb" },
		"negative":   func(c *verify.FeedConfig) { c.MaxLag = -1 },
		"policy":     func(c *verify.FeedConfig) { c.Lost = 7 },
	} {
		c := ok
		change(&c)
		if _, err := verify.NewFeed(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	feed, err := verify.NewFeed(ok)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := feed.Ready(ctx); !errors.Is(err, verify.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := feed.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestLiveAllocatesNothing(t *testing.T) {
	f := &feedIssuer{}
	inBubble(t, f, verify.FeedConfig{}, func(t *testing.T, feed *verify.Feed) {
		f.end("ses_9")
		f.change("usr_1", 3)
		time.Sleep(time.Second)
		v := newVerifier(t, verify.Config{Liveness: feed, Clock: func() time.Time { return t0 }})
		raw, ctx := goodToken(), t.Context()
		if n := testing.AllocsPerRun(1000, func() {
			if _, err := v.Verify(ctx, raw); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
