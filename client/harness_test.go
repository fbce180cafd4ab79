package client_test

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/internal/fakeauth"
	"github.com/tacet-dev/tacet/wire"
)

// authority is what these tests need of an auth server and its API. To run them
// against another server, make newAuthority return it.
type authority interface {
	http.Handler // the native surface below /auth
	API() http.Handler
	ForgetAccess() // every access token that is out is invalid
	ChangeGrants() // every access token that is out answers grants_changed
	EndAll()       // every session has ended
	Living() int   // sessions that have not
	Refused() int  // presentations that were refused for good
}

var newAuthority = func(access time.Duration) authority {
	s := fakeauth.New()
	s.Access = access
	return s
}

const (
	authURL = "https://auth.test/auth"
	apiURL  = "https://api.test"

	refreshPath = wire.DefaultBasePath + wire.PathRefresh
	confirmPath = wire.DefaultBasePath + wire.PathConfirm
	logoutPath  = wire.DefaultBasePath + wire.PathLogout
)

// world is a server, an API and one client, without a network: it lives in
// simulated time as well.
type world struct {
	t      testing.TB
	auth   authority
	watch  *fakeauth.Watch // around auth
	api    *fakeauth.Watch // around the API
	store  client.TokenStore
	source *client.Source
	http   *http.Client
	ended  chan *client.SignedOutError // what OnSignedOut was told
}

func newWorld(t testing.TB, change func(*client.Config)) *world {
	w := &world{t: t, auth: newAuthority(15 * time.Minute), store: client.NewMemoryStore(), ended: make(chan *client.SignedOutError, 100)}
	w.watch, w.api = fakeauth.NewWatch(w.auth), fakeauth.NewWatch(w.auth.API())
	w.source = w.newSource(change)
	w.http = w.client(w.source)
	return w
}

// newSource is another source on the same server and store, as in another
// process.
func (w *world) newSource(change func(*client.Config)) *client.Source {
	cfg := client.Config{
		URL: authURL, Store: w.store, HTTP: fakeauth.RoundTripper{Handler: w.watch},
		OnSignedOut: func(err *client.SignedOutError) { w.ended <- err },
	}
	if change != nil {
		change(&cfg)
	}
	s, err := client.New(cfg)
	must(w.t, err)
	w.t.Cleanup(s.Close)
	return s
}

func (w *world) client(s *client.Source) *http.Client {
	tr, err := client.NewTransport(s, fakeauth.RoundTripper{Handler: w.api}, apiURL)
	must(w.t, err)
	return &http.Client{Transport: tr}
}

func (w *world) signIn() *world {
	w.t.Helper()
	_, err := w.source.SignIn(context.Background(), fakeauth.Username, fakeauth.Password)
	must(w.t, err)
	return w
}

func (w *world) token() client.Token {
	w.t.Helper()
	tok, err := w.source.Token(context.Background())
	must(w.t, err)
	return tok
}

// get asks the API and returns the status.
func (w *world) get(path string) int {
	w.t.Helper()
	res, err := w.http.Get(apiURL + path)
	must(w.t, err)
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	must(w.t, err)
	return res.StatusCode
}

func (w *world) renewals(want int) {
	w.t.Helper()
	if got := w.watch.Good(refreshPath); got != want {
		w.t.Fatalf("%d renewals, want %d", got, want)
	}
}

// loseAll makes every call to the auth server fail.
func (w *world) loseAll() {
	w.watch.Plan(func(*http.Request) fakeauth.Fault { return fakeauth.Fault{Kind: fakeauth.LoseRequest} })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr[E error](t testing.TB, err error) E {
	t.Helper()
	e, ok := errors.AsType[E](err)
	if !ok {
		t.Fatalf("error %T %v, want a %T", err, err, e)
	}
	return e
}

// TestMain looks for goroutines of this package that outlive the tests. (In
// simulated time testing/synctest does so by itself.)
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	// The command line overrides these.
	_ = flag.Set("rapid.checks", "1000")
	_ = flag.Set("rapid.nofailfile", "true")
	code := m.Run()
	for i := 0; code == 0 && i < 200; i++ {
		buf := make([]byte, 1<<20)
		stacks := string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "tacet/client.(*Source)") {
			os.Exit(0)
		}
		if i == 199 {
			os.Stderr.WriteString("goroutines left behind:\n" + stacks)
			code = 1
		}
		time.Sleep(10 * time.Millisecond)
	}
	os.Exit(code)
}
