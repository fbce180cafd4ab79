// Package exampletest runs the examples' APIs against a real Tacet server.
package exampletest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/examples/internal/resource"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

const feedToken = "a-secret-of-these-tests"

// Server is the auth server, on a port of its own. Alice has every permission
// that the examples know of, bob may read orders; their passwords are
// "alice-password" and "bob-password".
type Server struct {
	URL string

	t   *testing.T
	app *app.App
	ids map[string]string
}

// New starts a server that ends with the test.
func New(t *testing.T) *Server {
	t.Helper()
	ln := listen(t)
	s := &Server{URL: "http://" + ln.Addr().String(), t: t, ids: map[string]string{}}
	a, err := app.Open(t.Context(), app.Config{
		PublicURL: s.URL, DataDir: t.TempDir(), FeedToken: feedToken, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	s.app = a
	for role, permissions := range map[string][]string{
		"viewer": {"orders:read"}, "clerk": {"orders:*"}, "admin": {"admin:*", "orders:*"}} {
		must(t, a.Directory.AddRole(t.Context(), role, permissions...))
	}
	for name, role := range map[string]string{"alice": "admin", "bob": "viewer"} {
		u, err := a.Directory.Add(t.Context(), directory.NewUser{Name: name, Password: name + "-password", Roles: []string{role}})
		must(t, err)
		s.ids[name] = u.ID
	}
	a.Start()
	srv := &http.Server{Handler: a.Handler}
	go func() { _ = srv.Serve(ln) }() // until the test closes it
	t.Cleanup(func() {
		_ = srv.Close()
		must(t, a.Close())
	})
	return s
}

// GrantRole gives a user a role.
func (s *Server) GrantRole(name, role string) {
	s.t.Helper()
	must(s.t, s.app.Directory.GrantRole(s.t.Context(), s.ids[name], role))
}

// RevokeRole takes a role from a user.
func (s *Server) RevokeRole(name, role string) {
	s.t.Helper()
	must(s.t, s.app.Directory.RevokeRole(s.t.Context(), s.ids[name], role))
}

// EndSessions signs a user out everywhere.
func (s *Server) EndSessions(name string) {
	s.t.Helper()
	must(s.t, s.app.Sessions.EndAll(s.t.Context(), s.ids[name], wire.ReasonEndedByAdmin, rotation.SessionID{}))
}

// ID is a user's id.
func (s *Server) ID(name string) string { return s.ids[name] }

// SignIn returns a source on a new session.
func (s *Server) SignIn(name string) *client.Source {
	s.t.Helper()
	src, err := client.New(client.Config{URL: s.URL + wire.DefaultBasePath})
	must(s.t, err)
	s.t.Cleanup(src.Close)
	_, err = src.SignIn(s.t.Context(), name, name+"-password")
	must(s.t, err)
	return src
}

// API serves an API with a verifier as the examples' programs have it, with the
// feed, and returns its URL.
func (s *Server) API(serve func(net.Listener, *verify.Verifier) error) string {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.t.Cleanup(cancel)
	v, err := resource.Verifier(ctx, resource.Config{Issuer: s.URL, FeedToken: feedToken})
	must(s.t, err)
	return s.serve(serve, v)
}

// CutOffAPI serves an API that cannot know which sessions have ended.
func (s *Server) CutOffAPI(serve func(net.Listener, *verify.Verifier) error) string {
	s.t.Helper()
	keys, err := verify.NewKeySet(verify.KeySetConfig{URL: s.URL + wire.PathJWKS})
	must(s.t, err)
	v, err := verify.New(verify.Config{Issuer: s.URL, Audience: s.URL, Keys: keys,
		Liveness: verify.LivenessFunc(func(context.Context, *verify.Token) error { return verify.ErrFeedLost })})
	must(s.t, err)
	return s.serve(serve, v)
}

func (s *Server) serve(serve func(net.Listener, *verify.Verifier) error, v *verify.Verifier) string {
	ln := listen(s.t)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = serve(ln, v) // until the listener is closed
	}()
	s.t.Cleanup(func() {
		_ = ln.Close()
		<-ended
	})
	return "http://" + ln.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return ln
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, res *http.Response) string {
	t.Helper()
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	must(t, err)
	return string(b)
}
