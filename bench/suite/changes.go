package suite

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/bench/report"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

const (
	changesPerRound = 10
	streamsPerUser  = 16 // as many as a server allows a session
	changedRole     = "everybody"
	benchAdmin      = "admin"
	feedSecret      = "benchmark-resource-server-secret"

	// changeWithin bounds the wait for one change, which would else be for ever.
	changeWithin = 30 * time.Second
	// pollEvery is how often the verifier is asked.
	pollEvery = 100 * time.Microsecond
)

// changeTimes are times since an administrator's call was sent, in nanoseconds.
type changeTimes struct {
	Answered []time.Duration `json:"answered"` // the call itself
	Enforced []time.Duration `json:"enforced"` // one per user
	Visible  []time.Duration `json:"visible"`  // one per stream
}

func runChanges(ctx context.Context, e *Env, sec *report.Section) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f, err := e.startChanges(ctx)
	if err != nil {
		return err
	}
	defer f.server.Stop()
	var all changeTimes
	for round := range e.Rounds {
		for range changesPerRound {
			t, err := f.change(ctx)
			if err != nil {
				return err
			}
			all.Answered = append(all.Answered, t.Answered...)
			all.Enforced = append(all.Enforced, t.Enforced...)
			all.Visible = append(all.Visible, t.Visible...)
		}
		e.Progress("changes round %d  enforced p99 %s ms, visible p99 %s ms so far", round+1,
			report.Millis(percentile(all.Enforced, 99)), report.Millis(percentile(all.Visible, 99)))
	}
	if err := f.server.Stop(); err != nil {
		return err
	}
	writeChanges(e, sec, len(f.tokens), all)
	return nil
}

func writeChanges(e *Env, sec *report.Section, users int, all changeTimes) {
	t := report.Table{Header: []string{"ms after the call was sent", "p50", "p99", "max", "samples"}}
	for _, r := range []struct {
		name  string
		times []time.Duration
	}{
		{"the call itself is answered", all.Answered},
		{"enforced at a verifier in another process", all.Enforced},
		{"in an open page", all.Visible},
	} {
		t.Rows = append(t.Rows, []string{r.name, report.Millis(percentile(r.times, 50)), report.Millis(percentile(r.times, 99)),
			report.Millis(percentile(r.times, 100)), report.Count(float64(len(r.times)))})
	}
	sec.Tables = []report.Table{t}
	sec.Samples = map[string]any{"answered": all.Answered, "enforced": all.Enforced} // of pages there are too many
	sec.Settings = fmt.Sprintf("%d changes with %s open event streams.", len(all.Answered), report.Count(float64(e.Streams)))
	sec.Notes = []string{
		fmt.Sprintf("An administrator changes the permissions of a role that %d users hold, over HTTP; each user has up to %d pages open. "+
			"Every page is told, and a verifier that is fed by the server (verify.Feed) refuses every user's token.", users, streamsPerUser),
		"The verifier and the readers of the streams share one process, which is not the server's. The server writes durably (SQLite).",
	}
	under := func(what string, times []time.Duration) report.Target {
		p99 := percentile(times, 99)
		return report.Target{What: what, Reference: "–", Goal: "p99 < 250 ms", Measured: report.Millis(p99) + " ms", Met: p99 < float64(250*time.Millisecond)}
	}
	with := " (" + report.Count(float64(e.Streams)) + " subscribers)"
	sec.Targets = []report.Target{under("grants change → enforced at a verifier"+with, all.Enforced), under("grants change → visible in an open page"+with, all.Visible)}
}

// percentile is in nanoseconds; p = 100 is the longest.
func percentile(times []time.Duration, p int) float64 {
	sorted := slices.Sorted(slices.Values(times))
	return float64(sorted[(len(sorted)-1)*p/100])
}

// changesFixture is a server, its users' pages and a resource server.
type changesFixture struct {
	server   *Running
	base     string
	admin    string // access token
	tokens   []wire.TokenResponse
	verifier *verify.Verifier
	told     chan time.Time // when a page was told
	streams  int
	write    bool // what the role may do now
}

func (e *Env) startChanges(ctx context.Context) (f *changesFixture, err error) {
	program, err := e.program(ctx, "tacet")
	if err != nil {
		return nil, err
	}
	data, err := e.tempDir("tacet")
	if err != nil {
		return nil, err
	}
	users := (e.Streams + streamsPerUser - 1) / streamsPerUser
	if err := seedChanges(ctx, program, data, users); err != nil {
		return nil, err
	}
	secret := filepath.Join(data, "feed-token")
	if err := os.WriteFile(secret, []byte(feedSecret+"\n"), 0o600); err != nil {
		return nil, err
	}
	f = &changesFixture{told: make(chan time.Time, e.Streams), streams: e.Streams}
	server, err := startServer(ctx, "tacet", program, "serve", "--listen", "127.0.0.1:0", "--data", data, "--feed-token-file", secret)
	if err != nil {
		return nil, err
	}
	f.server = server
	defer func() {
		if err != nil {
			server.Stop()
		}
	}()
	f.base = "http://" + server.Addr + wire.DefaultBasePath
	e.Progress("sign in %d users and open %d streams", users, e.Streams)
	if err := f.signIn(ctx, users); err != nil {
		return nil, err
	}
	for i := range e.Streams {
		if err := f.open(ctx, f.tokens[i%users].AccessToken); err != nil {
			return nil, fmt.Errorf("stream %d: %w", i, err)
		}
	}
	return f, f.startVerifier(ctx)
}

// seedChanges makes an administrator, and users who hold the role that changes.
func seedChanges(ctx context.Context, program, data string, users int) error {
	commands := [][]string{
		{"role", "add", changedRole, "--permission", "orders:read"},
		{"role", "add", "admins", "--permission", "admin:*", "--permission", "orders:*"},
		{"user", "add", benchAdmin, "--role", "admins", "--password-stdin"},
	}
	for i := range users {
		commands = append(commands, []string{"user", "add", userName(i), "--role", changedRole, "--password-stdin"})
	}
	for _, args := range commands {
		cmd := exec.CommandContext(ctx, program, append(args, "--data", data)...)
		cmd.Stdin = strings.NewReader(benchPassword + "\n")
		if said, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("tacet %s: %w\n%s", strings.Join(args, " "), err, said)
		}
	}
	return nil
}

func userName(i int) string { return fmt.Sprint("user", i) }

func (f *changesFixture) signIn(ctx context.Context, users int) error {
	f.tokens = make([]wire.TokenResponse, users)
	login := func(name string, to *wire.TokenResponse) error {
		return f.call(ctx, "POST", wire.PathLogin, wire.LoginRequest{Username: name, Password: benchPassword, Delivery: wire.DeliveryBody}, to)
	}
	for i := range f.tokens {
		if err := login(userName(i), &f.tokens[i]); err != nil {
			return err
		}
	}
	var admin wire.TokenResponse
	err := login(benchAdmin, &admin)
	f.admin = admin.AccessToken
	return err
}

// call sends JSON as the administrator, which matters where it is asked for.
func (f *changesFixture) call(ctx context.Context, method, path string, body, answer any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, f.base+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if f.admin != "" {
		req.Header.Set("Authorization", "Bearer "+f.admin)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if data, err = io.ReadAll(resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s got %s: %s", method, path, resp.Status, data)
	}
	return json.Unmarshal(data, answer)
}

// open opens a page's event stream. It ends with ctx.
func (f *changesFixture) open(ctx context.Context, access string) error {
	req, err := http.NewRequestWithContext(ctx, "GET", f.base+wire.PathEvents, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+access)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return fmt.Errorf("responded with %s", resp.Status)
	}
	go func() {
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if lines.Text() == "event: "+wire.EventGrantsChanged {
				f.told <- time.Now()
			}
		}
	}()
	return nil
}

// startVerifier is the resource server: it hears of changes from the feed.
func (f *changesFixture) startVerifier(ctx context.Context) error {
	issuer := strings.TrimSuffix(f.base, wire.DefaultBasePath)
	keys, err := verify.NewKeySet(verify.KeySetConfig{URL: issuer + wire.PathJWKS})
	if err != nil {
		return err
	}
	feed, err := verify.NewFeed(verify.FeedConfig{URL: f.base + wire.PathFeed, Secret: feedSecret, Keys: keys})
	if err != nil {
		return err
	}
	if f.verifier, err = verify.New(verify.Config{Issuer: issuer, Audience: issuer, Keys: keys, Liveness: feed}); err != nil {
		return err
	}
	go feed.Run(ctx)
	ready, cancel := context.WithTimeout(ctx, changeWithin)
	defer cancel()
	return feed.Ready(ready)
}

// change makes one change and waits until it is everywhere.
func (f *changesFixture) change(ctx context.Context) (t changeTimes, err error) {
	ctx, cancel := context.WithTimeout(ctx, changeWithin)
	defer cancel()
	for i := range f.tokens {
		if err := f.call(ctx, "POST", wire.PathRefresh, wire.RefreshRequest{RefreshToken: f.tokens[i].RefreshToken}, &f.tokens[i]); err != nil {
			return t, err
		}
		if _, err := f.verifier.Verify(ctx, f.tokens[i].AccessToken); err != nil {
			return t, fmt.Errorf("a token with the present grants: %w", err)
		}
	}
	change := wire.RoleChange{Add: []string{"orders:write"}}
	if f.write {
		change = wire.RoleChange{Remove: change.Add}
	}
	f.write = !f.write
	answered := make(chan error, 1)
	var took time.Duration // valid when answered
	start := time.Now()
	go func() {
		err := f.call(ctx, "PATCH", wire.PathAdminRoles+"/"+changedRole, change, &wire.Role{})
		took = time.Since(start)
		answered <- err
	}()
	if t.Enforced, err = f.enforced(ctx, start); err != nil {
		return t, err
	}
	for range f.streams {
		select {
		case at := <-f.told:
			t.Visible = append(t.Visible, at.Sub(start))
		case <-ctx.Done():
			return t, fmt.Errorf("%d of %d streams told of a change within %v", len(t.Visible), f.streams, changeWithin)
		}
	}
	err = <-answered
	t.Answered = []time.Duration{took}
	return t, err
}

// enforced asks the verifier until it refuses every user's token.
func (f *changesFixture) enforced(ctx context.Context, start time.Time) (times []time.Duration, err error) {
	left := make([]string, len(f.tokens))
	for i, t := range f.tokens {
		left[i] = t.AccessToken
	}
	for len(left) > 0 {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("a verifier still accepts %d of %d tokens %v after their grants have changed", len(left), len(f.tokens), changeWithin)
		}
		left = slices.DeleteFunc(left, func(token string) bool {
			_, e := f.verifier.Verify(ctx, token)
			if e != nil && !errors.Is(e, verify.ErrStaleGrants) {
				err = e
			}
			if e != nil {
				times = append(times, time.Since(start))
			}
			return e != nil
		})
		time.Sleep(pollEvery)
	}
	return times, err
}
