package demo

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// Config is what the demo needs of the server it stands in front of.
type Config struct {
	// Auth is the whole of Tacet: the base path, /.well-known, profiles. Required.
	Auth http.Handler
	// Protect lets only requests with a valid access token through and answers
	// the others as wire.md says. Required.
	Protect func(http.Handler) http.Handler
	// Decisions is where the server's decisions come from: its Observe method
	// must be the session.Config.Observe of Auth. Required.
	Decisions *Decisions
	// BasePath is where Auth has its routes; default wire.DefaultBasePath.
	BasePath string
	// AccessTTL and Overlap are the policy in force, for the page to show.
	AccessTTL time.Duration
	Overlap   time.Duration
	// Version is shown in the page's footer.
	Version string
	Clock   func() time.Time // default time.Now
	Rand    io.Reader        // default crypto/rand
	Logger  *slog.Logger     // default: none
}

// Decisions passes what the server decides on to the demo, which is made after
// the server. The zero value is ready.
type Decisions struct {
	to atomic.Pointer[Server]
}

// Observe is for session.Config.Observe.
func (d *Decisions) Observe(seen session.Decided) {
	if s := d.to.Load(); s != nil {
		s.decided(seen)
	}
}

// Server is the demo. It must be the outermost handler that touches the response
// (a response is lost by panicking with http.ErrAbortHandler), and Close ends
// its streams so that a graceful shutdown need not wait for them.
type Server struct {
	cfg Config
	mux *http.ServeMux
	api http.Handler

	mu       sync.Mutex
	browsers map[string]*browser
	owners   map[rotation.SessionID]*browser
	closed   chan struct{}
	closing  sync.Once
}

// New returns the demo in front of a server. An error names the missing field.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.Auth == nil:
		return nil, errors.New("demo: Config.Auth is missing")
	case cfg.Protect == nil:
		return nil, errors.New("demo: Config.Protect is missing")
	case cfg.Decisions == nil:
		return nil, errors.New("demo: Config.Decisions is missing")
	}
	if cfg.BasePath == "" {
		cfg.BasePath = wire.DefaultBasePath
	}
	cfg.BasePath = "/" + strings.Trim(cfg.BasePath, "/")
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg:      cfg,
		browsers: make(map[string]*browser),
		owners:   make(map[rotation.SessionID]*browser),
		closed:   make(chan struct{}),
	}
	s.api = cfg.Protect(s.apiHandler())
	s.routes()
	cfg.Decisions.to.Store(s)
	return s, nil
}

func (s *Server) routes() {
	// State changes are for the page itself: Sec-Fetch-Site and Origin are
	// checked before the demo cookie is looked at.
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusForbidden, wire.CodeCSRF, "The demo's buttons work from its own page only.")
	}))
	control := func(pattern string, h func(http.ResponseWriter, *http.Request, *browser)) {
		s.mux.Handle(pattern, guard.Handler(s.withBrowser(h)))
	}
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /{$}", s.servePage)
	s.mux.HandleFunc("GET /assets/", s.serveAsset)
	s.mux.Handle("GET /demo/stream", s.withBrowser(s.serveStream))
	control("POST /demo/faults", s.setFaults)
	control("POST /demo/expire", s.expire)
	control("POST /demo/thief/renew", s.thiefRenew)
	control("POST /demo/thief/read", s.thiefRead)
	control("POST "+s.cfg.BasePath+"/demo/steal", s.steal)
	s.mux.Handle("/api/demo/", s.api)
	for _, path := range []string{wire.PathLogin, wire.PathRefresh, wire.PathConfirm, wire.PathLogout} {
		s.mux.HandleFunc("POST "+s.cfg.BasePath+path, s.watched(path[1:]))
	}
	s.mux.Handle("/", s.cfg.Auth)
}

// ServeHTTP serves the demo's own routes and passes everything else on.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Close ends all streams. It may be called more than once.
func (s *Server) Close() {
	s.closing.Do(func() {
		s.cfg.Decisions.to.CompareAndSwap(s, nil)
		close(s.closed)
	})
}
