package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

const feedToken = "feed-token-of-the-tests-0123456789"

// run runs a command of the program as another process and returns its output.
func (p *program) run(args ...string) string {
	p.t.Helper()
	out, err := p.command(args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("tacet %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// post calls the server with a refresh token in the body.
func (p *program) post(path, refreshToken string) (tokens wire.TokenResponse) {
	p.t.Helper()
	body, err := json.Marshal(wire.RefreshRequest{RefreshToken: refreshToken})
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.Post("http://"+p.addr+"/auth"+path, "application/json", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		p.t.Fatalf("%s: %d %s %v", path, resp.StatusCode, data, err)
	}
	if len(data) > 0 {
		if err := json.Unmarshal(data, &tokens); err != nil {
			p.t.Fatal(err)
		}
	}
	return tokens
}

// resource is a resource server with a clock of its own, behind the proxy.
type resource struct {
	*verify.Verifier
	feed *verify.Feed
}

func newResource(t *testing.T, issuer, via string, skew time.Duration, run *sync.WaitGroup) resource {
	clock := func() time.Time { return time.Now().Add(skew) }
	keys, err := verify.NewKeySet(verify.KeySetConfig{URL: via + wire.PathJWKS, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	feed, err := verify.NewFeed(verify.FeedConfig{URL: via + "/auth/feed", Secret: feedToken, Keys: keys, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(verify.Config{Issuer: issuer, Audience: issuer, Keys: keys, Liveness: feed, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	run.Go(func() { _ = feed.Run(t.Context()) })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := feed.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return resource{v, feed}
}

// Resource servers whose clocks are a minute off, in another process than the
// server: they hear of what the command line does, are cut off, the server is
// killed and started again, a session ends meanwhile, and when the line is back
// they know. Whoever is honest notices nothing of it.
func TestResourceServersThroughCutsAndKills(t *testing.T) {
	t.Setenv("TACET_FEED_TOKEN", feedToken)
	dir := t.TempDir()
	tokens := seedSessions(t, dir, 3)
	p := newProgram(t, dir)
	p.start()
	proxy := pgtest.NewProxy(t, p.addr)
	var run sync.WaitGroup
	t.Cleanup(run.Wait) // after the test's context has ended
	var servers []resource
	for _, skew := range []time.Duration{-time.Minute, 0, time.Minute} {
		servers = append(servers, newResource(t, "http://"+p.addr, "http://"+proxy.Addr(), skew, &run))
	}
	first, second, honest := p.post(wire.PathRefresh, tokens[0]), p.post(wire.PathRefresh, tokens[1]), p.post(wire.PathRefresh, tokens[2])
	check := func(when string, r wire.TokenResponse, want error) {
		t.Helper()
		for i, s := range servers {
			if _, err := s.Verify(t.Context(), r.AccessToken); !errors.Is(err, want) {
				t.Errorf("%s, resource server %d: %v, want %v", when, i, err, want)
			}
		}
	}
	// known waits until all have heard of the end of a session.
	known := func(what string, r wire.TokenResponse) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			check(what+", meanwhile", honest, nil)
			heard := 0
			for _, s := range servers {
				if _, err := s.Verify(t.Context(), r.AccessToken); errors.Is(err, verify.ErrSessionEnded) {
					heard++
				}
			}
			if heard == len(servers) || t.Failed() {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: heard by %d of %d:\n%s", what, heard, len(servers), p.log)
			}
		}
	}
	for _, r := range []wire.TokenResponse{first, second, honest} {
		check("at first", r, nil)
	}
	p.run("session", "end", first.Session.ID, "--data", dir)
	known("ended by the command line", first)

	proxy.Refuse(true)
	p.kill()
	p.start()
	p.post(wire.PathLogout, second.RefreshToken)
	check("ended before the cut", first, verify.ErrSessionEnded)
	check("ended while cut off", second, nil) // cannot be known yet; FeedConfig.MaxLag bounds it
	proxy.Refuse(false)
	known("ended while cut off", second)
	check("ended before the cut", first, verify.ErrSessionEnded)
	check("honest", honest, nil)
	for i, s := range servers {
		if st := s.feed.Stats(); st.Resets != 1 {
			t.Errorf("resource server %d started over %d times; once, at its start, is enough", i, st.Resets)
		}
	}
}
