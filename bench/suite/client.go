package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/tacet-dev/tacet/bench/report"
	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/wire"
)

// Names of what the suite compares.
const (
	ourTransport    = "client.Transport"
	oauth2Transport = "oauth2.Transport"
	clientHerd      = "client.Source, each with a context of its own"
	sharedHerd      = "client.Source, all with one context"
	channelHerd     = "a bare channel"
)

const (
	herdOfGoroutines = 10_000
	// roundTrip is how long a renewal takes in the herd: a server that is not
	// in the same building.
	roundTrip = 50 * time.Millisecond
	apiURL    = "https://api.test"
)

func runClient(ctx context.Context, e *Env, sec *report.Section) error {
	f := &clientFixture{}
	rounds, err := e.race(ctx, sec, &f.failed, contender{ourTransport, f.ours}, contender{oauth2Transport, f.oauth2})
	if err != nil {
		return err
	}
	herds, err := e.goroutineHerds(ctx)
	if err != nil {
		return err
	}
	size := report.Count(herdOfGoroutines)
	sec.Tables = []report.Table{{
		Title: "A request while the token is fresh", Header: []string{"transport", "ns", "× oauth2", "allocations", "B allocated"},
		Rows: rounds.rows(oauth2Transport, ourTransport, oauth2Transport),
	}, {
		Title:  size + " goroutines on one expired token",
		Header: []string{"they wait on", "renewals", "the renewal itself, ms", "p99 wait, ms", "× the renewal", "longest wait, ms"},
		Rows:   [][]string{herds[clientHerd].row(clientHerd), herds[sharedHerd].row(sharedHerd), herds[channelHerd].row(channelHerd)},
	}}
	sec.Samples = map[string]any{"transport": rounds, "herd": herds}
	sec.Notes = []string{
		"Both transports add an access token to a request with three headers; what sends it answers at once.",
		fmt.Sprintf("Herd: the response to a renewal takes %v and a little for the sleep to end, which is measured. "+
			"The same herd on a channel that is closed after as long shows what the scheduler alone takes to wake it.", roundTrip),
	}
	ours, theirs := rounds.last(ourTransport), rounds.last(oauth2Transport)
	renewals := herds[clientHerd].renewals()
	sec.Targets = []report.Target{
		report.AtMost("`client.Transport`, fresh token: ns", "oauth2.Transport of golang.org/x/oauth2", 0.8, rounds.versus(ourTransport, oauth2Transport)),
		report.AtMost("`client.Transport`, fresh token: allocations", "oauth2.Transport of golang.org/x/oauth2", 0.8,
			float64(ours.AllocsPerOp)/float64(theirs.AllocsPerOp)),
		{What: size + " goroutines on one expired token: renewals", Reference: "–", Goal: "1", Measured: fmt.Sprint(renewals), Met: renewals == 1},
		report.AtMost(size+" goroutines on one expired token: p99 wait", "the renewal itself", 1.2, herds[clientHerd].median(goroutineHerd.ofRenewal)),
	}
	return nil
}

// clientFixture is what the transports need: a base that answers at once.
type clientFixture struct{ failed error }

// RoundTrip is http.RoundTripper.
func (*clientFixture) RoundTrip(*http.Request) (*http.Response, error) { return okResponse, nil }

var okResponse = &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}

func (f *clientFixture) ours(b *testing.B) {
	source, err := signedIn(b.Context(), &authServer{lifetime: 3600})
	if f.fail(err) {
		return
	}
	defer source.Close()
	tr, err := client.NewTransport(source, f, apiURL)
	if !f.fail(err) {
		f.measure(b, tr)
	}
}

func (f *clientFixture) oauth2(b *testing.B) {
	tok := &oauth2.Token{AccessToken: accessToken(0), TokenType: "Bearer", Expiry: time.Now().Add(time.Hour)}
	f.measure(b, &oauth2.Transport{Source: oauth2.ReuseTokenSource(tok, oauth2.StaticTokenSource(tok)), Base: f})
}

func (f *clientFixture) measure(b *testing.B, rt http.RoundTripper) {
	req, err := http.NewRequest("GET", apiURL+"/orders?page=2", nil)
	if f.fail(err) {
		return
	}
	req.Header = http.Header{"Accept": {"application/json"}, "Accept-Language": {"en"}, "User-Agent": {"bench"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rt.RoundTrip(req); f.fail(err) {
			return
		}
	}
}

func (f *clientFixture) fail(err error) bool {
	if err != nil {
		f.failed = err
	}
	return err != nil
}

// authServer answers sign-ins and renewals without a network.
type authServer struct {
	lifetime int64 // of access tokens, seconds
	delay    time.Duration

	mu       sync.Mutex
	signIns  int
	renewals int
	took     time.Duration // by the last renewal
}

// RoundTrip is http.RoundTripper.
func (s *authServer) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	if r.Body != nil {
		r.Body.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	resp := wire.TokenResponse{TokenType: "Bearer", ExpiresIn: s.lifetime, Session: wire.TokenSession{ID: "01963a5e-7c1b-7a52-9d0e-3b4c5d6e7f80"}}
	if strings.HasSuffix(r.URL.Path, wire.PathRefresh) {
		s.renewals++
		time.Sleep(s.delay)
	} else {
		s.signIns++
		resp.User = &wire.User{ID: "usr_1", Username: benchUser}
	}
	resp.AccessToken, resp.RefreshToken = accessToken(s.signIns+s.renewals), fmt.Sprint("refresh", s.signIns+s.renewals)
	body, err := json.Marshal(resp)
	s.took = time.Since(began)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r}, err
}

// done is how many renewals there were, and how long the last one took.
func (s *authServer) done() (int, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewals, s.took
}

func accessToken(n int) string { return fmt.Sprintf("%s.%08d", strings.Repeat("x", 440), n) }

func signedIn(ctx context.Context, auth *authServer) (*client.Source, error) {
	source, err := client.New(client.Config{URL: "https://auth.test" + wire.DefaultBasePath, HTTP: auth})
	if err == nil {
		_, err = source.SignIn(ctx, benchUser, benchPassword)
	}
	return source, err
}

// goroutineHerd is one herd.
type goroutineHerd struct {
	Renewals int           `json:"renewals"`
	Renewal  time.Duration `json:"renewal_ns"`
	P99      time.Duration `json:"p99_ns"`
	Max      time.Duration `json:"max_ns"`
}

func (h goroutineHerd) ofRenewal() float64 { return float64(h.P99) / float64(h.Renewal) }

type goroutineHerds []goroutineHerd

func (hs goroutineHerds) median(f func(goroutineHerd) float64) float64 {
	var xs []float64
	for _, h := range hs {
		xs = append(xs, f(h))
	}
	return report.Median(xs)
}

// renewals is the most of any herd.
func (hs goroutineHerds) renewals() (most int) {
	for _, h := range hs {
		most = max(most, h.Renewals)
	}
	return most
}

func (hs goroutineHerds) row(name string) []string {
	return []string{name, fmt.Sprint(hs.renewals()),
		report.Millis(hs.median(func(h goroutineHerd) float64 { return float64(h.Renewal) })),
		report.Millis(hs.median(func(h goroutineHerd) float64 { return float64(h.P99) })),
		report.Ratio(hs.median(goroutineHerd.ofRenewal)),
		report.Millis(hs.median(func(h goroutineHerd) float64 { return float64(h.Max) }))}
}

// herdsPerRoundOfClients: each is over quickly, and one alone says little.
const herdsPerRoundOfClients = 2

// goroutineHerds lets herds meet a token that has expired, in turns with herds
// on a bare channel.
func (e *Env) goroutineHerds(ctx context.Context) (map[string]goroutineHerds, error) {
	auth := &authServer{lifetime: 1, delay: roundTrip}
	source, err := signedIn(ctx, auth)
	if err != nil {
		return nil, err
	}
	defer source.Close()
	herds := map[string]goroutineHerds{}
	for round := range e.Rounds * herdsPerRoundOfClients {
		for _, name := range []string{clientHerd, sharedHerd} {
			h, err := sourceHerd(ctx, source, auth, name == clientHerd)
			if err != nil {
				return nil, err
			}
			herds[name] = append(herds[name], h)
		}
		h, err := bareHerd()
		if err != nil {
			return nil, err
		}
		herds[channelHerd] = append(herds[channelHerd], h)
		e.Progress("client round %d  herd of %d: %d renewals, p99 %.2f × the renewal; with one context %.2f ×, on a bare channel %.2f ×", round+1, herdOfGoroutines,
			herds[clientHerd][round].Renewals, herds[clientHerd][round].ofRenewal(), herds[sharedHerd][round].ofRenewal(), h.ofRenewal())
	}
	return herds, nil
}

// sourceHerd asks a source whose token has expired.
func sourceHerd(ctx context.Context, source *client.Source, auth *authServer, ownContexts bool) (h goroutineHerd, err error) {
	// A new session, so that no renewal ahead of need comes in between.
	if _, err := source.SignIn(ctx, benchUser, benchPassword); err != nil {
		return h, err
	}
	old, err := source.Token(ctx)
	if err != nil {
		return h, err
	}
	contexts := make([]context.Context, herdOfGoroutines)
	for i := range contexts {
		contexts[i] = ctx
		if ownContexts { // as requests have
			var cancel context.CancelFunc
			contexts[i], cancel = context.WithCancel(ctx)
			defer cancel()
		}
	}
	time.Sleep(time.Until(old.ExpiresAt))
	before, _ := auth.done()
	h, err = meet(func(i int) error {
		tok, err := source.Token(contexts[i])
		if err == nil && tok.AccessToken == old.AccessToken {
			err = fmt.Errorf("a token that has expired was handed out")
		}
		return err
	})
	h.Renewals, h.Renewal = auth.done()
	h.Renewals -= before
	return h, err
}

// bareHerd waits for a channel that is closed after as long.
func bareHerd() (h goroutineHerd, err error) {
	var took time.Duration
	done := make(chan struct{})
	start := sync.OnceFunc(func() {
		began := time.Now()
		go func() { time.Sleep(roundTrip); took = time.Since(began); close(done) }()
	})
	h, err = meet(func(int) error { start(); <-done; return nil })
	h.Renewals, h.Renewal = 1, took
	return h, err
}

// meet calls wait on all goroutines of a herd at once.
func meet(wait func(i int) error) (goroutineHerd, error) {
	waits, errs := make([]time.Duration, herdOfGoroutines), make([]error, herdOfGoroutines)
	var ready, done sync.WaitGroup
	ready.Add(herdOfGoroutines)
	gate := make(chan struct{})
	var start time.Time
	for i := range waits {
		done.Go(func() {
			ready.Done()
			<-gate
			errs[i] = wait(i)
			waits[i] = time.Since(start)
		})
	}
	ready.Wait()
	start = time.Now()
	close(gate)
	done.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return goroutineHerd{}, errs[i]
	}
	slices.Sort(waits)
	return goroutineHerd{P99: waits[len(waits)*99/100], Max: waits[len(waits)-1]}, nil
}
