package gotests

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// mortal is "tacet serve" as a process at an address that stays.
type mortal struct {
	t   *testing.T
	url string
	dir string
	cmd *exec.Cmd
	log bytes.Buffer // of one process at a time; complete when it was waited for
}

func newMortal(t *testing.T) *mortal {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	m := &mortal{t: t, url: "http://" + ln.Addr().String(), dir: t.TempDir()}
	must(t, ln.Close())
	a, err := app.Open(t.Context(), app.Config{PublicURL: m.url, DataDir: m.dir, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	_, err = a.Directory.Add(t.Context(), directory.NewUser{Name: username, Password: password})
	must(t, err)
	must(t, a.Close())
	t.Cleanup(func() {
		m.kill()
		if t.Failed() {
			t.Logf("the server's log:\n%s", m.log.Bytes())
		}
	})
	return m
}

func (m *mortal) start() {
	m.t.Helper()
	m.cmd = program(m.t, asServer, "serve", "--listen", m.url[len("http://"):], "--public-url", m.url, "--data", m.dir)
	m.cmd.Env = append(m.cmd.Env, "TACET_FEED_TOKEN="+feedToken)
	m.cmd.Stderr = &m.log
	must(m.t, m.cmd.Start())
	waitFor(m.t, "the server", func() bool {
		res, err := http.Get(m.url + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

func (m *mortal) kill() {
	if m.cmd != nil {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait() // it was killed
		m.cmd = nil
	}
}

// The auth server dies again and again under clients that renew all the time. No
// client is signed out, and a resource server that follows the feed refuses none
// of their tokens.
func TestKillNineUnderClients(t *testing.T) {
	t.Parallel()
	const clients = 6
	m := newMortal(t)
	m.start()
	v, feed := m.resourceServer()

	var renewals atomic.Int64
	var stopped atomic.Bool
	var work sync.WaitGroup
	sources := make([]*client.Source, clients)
	for i := range sources {
		var store client.TokenStore = client.NewMemoryStore()
		if i%2 == 0 {
			var err error
			store, err = client.NewFileStore(filepath.Join(t.TempDir(), "session.json"))
			must(t, err)
		}
		src, err := client.New(client.Config{URL: m.url + wire.DefaultBasePath, Store: store, Confirm: i%3 == 0})
		must(t, err)
		defer src.Close()
		_, err = src.SignIn(t.Context(), username, password)
		must(t, err)
		sources[i] = src
		work.Go(func() {
			for !stopped.Load() {
				tok, err := renewal(t.Context(), src)
				if err != nil {
					t.Errorf("client %d after %d renewals of all: %v", i, renewals.Load(), err)
					return
				}
				if _, err := v.Verify(t.Context(), tok.AccessToken); err != nil {
					t.Errorf("an honest token was refused: %v", err)
				}
				renewals.Add(1)
			}
		})
	}
	for range rounds(3, 30) {
		from := renewals.Load()
		waitFor(t, "renewals", func() bool { return renewals.Load() >= from+50 || t.Failed() })
		m.kill()
		m.start()
	}
	stopped.Store(true)
	work.Wait()
	for i, src := range sources {
		if _, err := renewal(t.Context(), src); err != nil {
			t.Errorf("client %d after the last restart: %v", i, err)
		}
	}
	t.Logf("%d renewals; the feed: %+v", renewals.Load(), feed.Stats())

	// The resource server is still up to date: it hears of a sign-out.
	tok, err := sources[0].Token(t.Context())
	must(t, err)
	must(t, sources[0].SignOut(t.Context()))
	waitFor(t, "the feed", func() bool {
		_, err := v.Verify(t.Context(), tok.AccessToken)
		return err != nil
	})
}

// resourceServer is another program's: keys and feed over the network.
func (m *mortal) resourceServer() (*verify.Verifier, *verify.Feed) {
	keys, err := verify.NewKeySet(verify.KeySetConfig{URL: m.url + wire.PathJWKS})
	must(m.t, err)
	feed, err := verify.NewFeed(verify.FeedConfig{URL: m.url + feedPath, Secret: feedToken, Keys: keys, MaxLag: 10 * time.Minute})
	must(m.t, err)
	follow(m.t, feed)
	v, err := verify.New(verify.Config{Issuer: m.url, Audience: m.url, Keys: keys, Liveness: feed, Clock: feed.Now})
	must(m.t, err)
	return v, feed
}

// follow runs a feed to the end of the test, and waits until it is up to date.
func follow(t *testing.T, feed *verify.Feed) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = feed.Run(ctx) }) // until cancel
	t.Cleanup(func() {
		cancel()
		work.Wait()
	})
	ready, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	must(t, feed.Ready(ready))
}
