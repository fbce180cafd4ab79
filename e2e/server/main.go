// Command server is what the browser tests run against: the real Tacet, a small
// API behind it, and a real proxy in front that loses, delays and forges
// answers. Its clock can be moved. It is a test tool and listens on loopback
// only.
//
// It prints one line of JSON, {"url","tls","control"}: browsers go to url, or to
// tls for HTTP/2 under a certificate of its own (both through the proxy); the
// test steers it over control.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tacet-dev/tacet/e2e/proxy"
	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/encryption"
	"github.com/tacet-dev/tacet/internal/profiles"
	"github.com/tacet-dev/tacet/internal/session"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "e2e server:", err)
		os.Exit(1)
	}
}

// movingClock is the time of day plus an offset that tests add to.
type movingClock struct{ offset atomic.Int64 }

func (c *movingClock) Now() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) }

type server struct {
	app   *app.App
	clock *movingClock
	proxy *proxy.Proxy

	mu        sync.Mutex
	decisions []decision
}

// decision is one presentation of a refresh token, as tests read it.
type decision struct {
	Session    string `json:"session"`
	Outcome    string `json:"outcome"`
	Started    bool   `json:"started"`
	Generation uint32 `json:"generation"`
	UserAgent  string `json:"user_agent"`
}

func run(ctx context.Context) error {
	static := flag.String("static", ".", "directory of the pages")
	sdk := flag.String("sdk", "../sdk/dist", "directory of the built SDK")
	apps := flag.String("apps", "", "directory of built applications, served under /apps/")
	accessTTL := flag.Duration("access-ttl", 15*time.Minute, "lifetime of an access token")
	profile := flag.String("profile", "", "dialects to speak, separated by commas")
	encrypt := flag.Bool("encryption", false, "take encrypted bodies")
	data := flag.String("data", "", "data directory (default: a temporary one)")
	flag.Parse()

	dir := *data
	if dir == "" {
		tmp, err := os.MkdirTemp("", "tacet-e2e-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	back, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	secure, err := listenTLS()
	if err != nil {
		return err
	}
	s := &server{clock: &movingClock{}}
	s.app, err = app.Open(ctx, app.Config{
		PublicURL: "http://" + front.Addr().String(), DataDir: dir, AccessTTL: *accessTTL, Clock: s.clock.Now,
		TrustedProxies: []string{"127.0.0.0/8"}, Observe: s.observe, Encryption: encryption.Settings{Encryption: *encrypt}, Profiles: profiles.Settings{Names: strings.FieldsFunc(*profile, func(c rune) bool { return c == ',' }), TTL: *accessTTL}, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	defer s.app.Close()
	if err := s.addUsers(ctx); err != nil {
		return err
	}
	s.app.Start()
	s.proxy = proxy.New("http://" + back.Addr().String())

	mux := http.NewServeMux()
	mux.Handle("/auth/", s.app.Handler)
	mux.Handle("/.well-known/", s.app.Handler)
	for _, path := range profilePaths {
		mux.Handle(path, s.app.Handler)
	}
	decrypted := func(h http.Handler) http.Handler { return h }
	if *encrypt {
		decrypted = s.app.Encryption.Middleware
	}
	mux.Handle("/api/", decrypted(s.app.Verifier.Middleware(api())))
	mux.Handle("/wrapped/", wrapped(s.app.Verifier))
	mux.Handle("/broken/", http.HandlerFunc(always401))
	if *apps != "" {
		mux.Handle("/apps/", http.StripPrefix("/apps/", noCache(http.FileServer(http.Dir(*apps)))))
	}
	mux.Handle("POST /api/orders", s.app.Verifier.Require("orders:write")(http.HandlerFunc(created)))
	mux.Handle("/sdk/", http.StripPrefix("/sdk/", noCache(http.FileServer(http.Dir(*sdk)))))
	mux.Handle("/", noCache(http.FileServer(http.Dir(*static))))

	var work sync.WaitGroup
	for ln, h := range map[net.Listener]http.Handler{front: s.proxy, back: mux, control: s.control()} {
		work.Go(func() { _ = s.app.Serve(ctx, ln, h) })
	}
	// App.Serve wraps connections, and net/http speaks HTTP/2 only on those of crypto/tls.
	overTLS := &http.Server{Handler: s.proxy}
	context.AfterFunc(ctx, func() { _ = overTLS.Close() })
	work.Go(func() { _ = overTLS.Serve(secure) })
	_ = json.NewEncoder(os.Stdout).Encode(map[string]string{
		"url": "http://" + front.Addr().String(), "tls": "https://" + secure.Addr().String(), "control": "http://" + control.Addr().String()})
	work.Wait()
	return nil
}

// profilePaths are those of the profiles; the rest of /api/ is the API's.
var profilePaths = []string{
	"/api/Auth/", "/api/app/", "/api/abp/", "/api/auth/", "/api/user/", "/api/v1/", "/admin-api/", "/base/", "/jwt/", "/user/",
	"/login", "/logout", "/refresh-token", "/mine", "/updateToken", "/revokeToken", "/getUserInfo",
}

func (s *server) addUsers(ctx context.Context) error {
	if err := s.app.Directory.AddRole(ctx, "viewer", "orders:read"); err != nil {
		return err
	}
	if err := s.app.Directory.AddRole(ctx, "editor", "orders:write"); err != nil {
		return err
	}
	for _, name := range []string{"alice", "bob"} {
		if _, err := s.app.Directory.Add(ctx, directory.NewUser{Name: name, Password: name + "-password", Roles: []string{"viewer"}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) observe(d session.Decided) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decisions = append(s.decisions, decision{d.Session.String(), d.Outcome.String(), d.Started, d.Presented.Generation, d.Contact.UserAgent})
}

// control is how tests steer.
func (s *server) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /clock", func(w http.ResponseWriter, r *http.Request) { // {"advance_ms": n}
		var req struct {
			AdvanceMS int64 `json:"advance_ms"`
		}
		if !decode(w, r, &req) {
			return
		}
		s.clock.offset.Add(int64(time.Duration(req.AdvanceMS) * time.Millisecond))
	})
	mux.HandleFunc("POST /fault", func(w http.ResponseWriter, r *http.Request) { // see proxy.Fault
		var f proxy.Fault
		if decode(w, r, &f) {
			s.proxy.Add(f)
		}
	})
	mux.HandleFunc("POST /reset", func(http.ResponseWriter, *http.Request) { // forgets faults and what was seen
		s.proxy.Reset()
		s.mu.Lock()
		s.decisions = nil
		s.mu.Unlock()
	})
	mux.HandleFunc("GET /seen", func(w http.ResponseWriter, _ *http.Request) { // what went through, in order
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(map[string]any{"requests": s.proxy.Seen(), "decisions": append([]decision{}, s.decisions...)})
	})
	mux.HandleFunc("POST /end", func(w http.ResponseWriter, r *http.Request) { // {"user": name}: ends all sessions
		var req struct {
			User string `json:"user"`
		}
		if !decode(w, r, &req) {
			return
		}
		u, err := s.app.Directory.UserByName(r.Context(), req.User)
		if err == nil {
			err = s.app.Sessions.EndAll(r.Context(), u.ID, "ended_by_admin", [16]byte{})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /grant", s.grant)
	mux.HandleFunc("POST /disable", s.disable)
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) { // the committed events
		list, err := s.app.DB.Events().Since(r.Context(), 0, 1000)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		type event struct {
			Kind string          `json:"kind"`
			Data json.RawMessage `json:"data"`
		}
		out := []event{}
		for _, e := range list {
			out = append(out, event{e.Kind, e.Data})
		}
		_ = json.NewEncoder(w).Encode(out)
	})
	return mux
}

// grant gives a role to a user or takes it away: {"user": name, "role": name, "on": bool}.
func (s *server) grant(w http.ResponseWriter, r *http.Request) {
	var req struct {
		User string `json:"user"`
		Role string `json:"role"`
		On   bool   `json:"on"`
	}
	if !decode(w, r, &req) {
		return
	}
	u, err := s.app.Directory.UserByName(r.Context(), req.User)
	if err == nil && req.On {
		err = s.app.Directory.GrantRole(r.Context(), u.ID, req.Role)
	} else if err == nil {
		err = s.app.Directory.RevokeRole(r.Context(), u.ID, req.Role)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// disable lets a user in no longer, or again: {"user": name, "on": bool}.
func (s *server) disable(w http.ResponseWriter, r *http.Request) {
	var req struct {
		User string `json:"user"`
		On   bool   `json:"on"`
	}
	if !decode(w, r, &req) {
		return
	}
	u, err := s.app.Directory.UserByName(r.Context(), req.User)
	if err == nil {
		err = s.app.Accounts.UpdateUser(r.Context(), accounts.Operator, u.ID, directory.Profile{Disabled: &req.On})
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err == nil {
		err = json.Unmarshal(body, v)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}

func noCache(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		next.ServeHTTP(w, r)
	})
}
