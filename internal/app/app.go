package app

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/doors"
	"github.com/tacet-dev/tacet/internal/encryption"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/gate"
	"github.com/tacet-dev/tacet/internal/gateway"
	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/profiles"
	"github.com/tacet-dev/tacet/internal/remoteusers"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/bounded"
	"github.com/tacet-dev/tacet/internal/telemetry"
	"github.com/tacet-dev/tacet/internal/webhooks"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// readTimeout bounds readings that no request waits for.
const readTimeout = 5 * time.Second

// App is a running Tacet without a listener.
type App struct {
	Config    Config
	DB        Store
	Keys      *keys.Ring
	Directory *directory.Directory // embedded; unused where Config.Directory is set
	Accounts  *accounts.Accounts   // of Directory
	Sessions  *session.Service
	Events    *events.Hub
	Live      *verify.LiveSet // what Verifier enforces without asking the store
	Verifier  *verify.Verifier
	OAuth     *oauth.Server
	Doors     *doors.Doors
	Providers *idp.Service     // nil: there are none
	Gateway   *gateway.Gateway // nil: there are no upstreams
	// Encryption decrypts requests; nil: it is not switched on.
	Encryption *verify.Encryption
	Handler    http.Handler
	Metrics    *telemetry.Metrics

	bounds *bounded.Config
	gates  struct{ renewals, others, signIns *gate.Gate }

	users     session.Directory
	throttle  session.Throttle
	documents documents.Store // of DB, within bounds
	wings     []httpapi.Wing
	caches    atomic.Pointer[directory.Directory]
	stop      context.CancelFunc
	work      sync.WaitGroup
}

// Open builds an App on its store, creating what is missing. The
// background work (key rotation, events, sweeping) starts with Start.
func Open(ctx context.Context, cfg Config) (_ *App, err error) {
	if err := cfg.Normalize(); err != nil {
		return nil, err
	}
	a := &App{Config: cfg, stop: func() {}}
	defer func() {
		if err != nil {
			_ = a.Close()
		}
	}()
	feedToken, err := cfg.feedToken()
	if err != nil {
		return nil, err
	}
	committed := make(chan struct{}, 1)
	notify := func() {
		select {
		case committed <- struct{}{}:
		default: // it will look anyway
		}
	}
	a.watch()
	if a.DB, err = openStore(ctx, &cfg, Hooks{Notify: notify, Elsewhere: a.forget, Committed: a.committed}, a.Metrics.Batch); err != nil {
		return nil, err
	}
	a.documents = a.bounds.Documents("documents", a.gates.others, a.DB.Documents())
	if err := a.openKeys(ctx); err != nil {
		return nil, err
	}
	if err := a.openEvents(ctx, committed); err != nil {
		return nil, err
	}
	a.openSessions()
	if err := a.openVerifier(); err != nil {
		return nil, err
	}
	if err := a.openEncryption(); err != nil {
		return nil, err
	}
	a.openGateway()
	a.openOAuth()
	a.openDoors()
	a.openProviders()
	if err := a.openSurface(feedToken); err != nil {
		return nil, err
	}
	a.Metrics.Watch(a.state)
	return a, nil
}

// openSessions makes the directory and the sessions of its users.
func (a *App) openSessions() {
	cfg := &a.Config
	a.Directory = directory.New(directory.Config{Store: directory.NewStore(a.documents), Clock: cfg.Clock, Rand: rand.Reader, Parallel: passwordsAtOnce()})
	a.caches.Store(a.Directory)
	a.users = cfg.Directory
	authenticator := cfg.Authenticator
	if a.users == nil {
		a.users, authenticator = embedded{a.Directory}, embedded{a.Directory}
	}
	a.throttle = countedThrottle{directory.NewThrottle(directory.ThrottleConfig{Clock: cfg.Clock}), a.Metrics.SignedIn}
	sessions := session.Config{
		Store:         a.bounds.Sessions(a.DB.Sessions()),
		Links:         session.NewLinks(a.documents),
		Keys:          a.Keys,
		Directory:     a.users,
		Authenticator: boundedSignIns{authenticator, a.gates.signIns},
		Throttle:      a.throttle,
		Lifetimes: session.Lifetimes{Access: cfg.AccessTTL, Longest: cfg.longestAccess(),
			Policy: rotation.Policy{Overlap: *cfg.Overlap, Idle: cfg.IdleTTL, Absolute: cfg.AbsoluteTTL}},
		Issuer:   cfg.Issuer(),
		Audience: cfg.Audience,
		Clock:    cfg.Clock,
		Rand:     rand.Reader,
		Logger:   cfg.Logger,
		Observe:  a.decided,

		Undecided: a.undecided,
	}
	if cfg.Sessions != nil {
		cfg.Sessions(&sessions)
	}
	a.Sessions = session.New(sessions)
	a.Accounts = accounts.New(a.Directory, a.Sessions)
}

// openVerifier makes what checks access tokens in this process.
func (a *App) openVerifier() (err error) {
	cfg := &a.Config
	a.Verifier, err = verify.New(verify.Config{
		Issuer:   cfg.Issuer(),
		Audience: cfg.Audience,
		Keys:     localKeys(a.Keys),
		Liveness: a.Live,
		Grants:   a.grantsNow,
		Clock:    cfg.Clock,
		Leeway:   -1, // what clients are told of a token's end is so
		// Another node made the token, or this one before its clock was set back:
		// whoever has just renewed must not be refused.
		Ahead:        keys.DefaultSkew,
		WriteProblem: cfg.writeProblem(),
		Origin:       cfg.Issuer(),
	})
	return err
}

// openSurface makes the handler of the session calls and of all wings.
func (a *App) openSurface(feedToken string) (err error) {
	cfg := &a.Config
	a.Handler, a.wings, err = httpapi.New(httpapi.Config{
		Sessions:       a.Sessions,
		Directory:      a.users,
		Keys:           a.Keys,
		Verifier:       a.Verifier,
		Events:         a.Events,
		FeedToken:      feedToken,
		BasePath:       cfg.BasePath,
		PublicOrigin:   cfg.Issuer(),
		Secure:         cfg.Secure(),
		SameSite:       cfg.sameSite(),
		CORSOrigins:    cfg.CORSOrigins,
		TrustedProxies: cfg.proxies,
		ClientID:       cfg.ClientID,
		Measure:        a.Metrics.Routes(cfg.Tracer),
		Ready:          a.ready,
		Logger:         cfg.Logger,
	}, a.builders()...)
	return err
}

// builders are the wings of this App, in the order in which their middleware is
// put around the routes.
func (a *App) builders() []httpapi.Builder {
	list := []httpapi.Builder{
		accounts.Wing(a.administered(), a.Keys),
		oauth.Wing(a.OAuth),
		doors.Wing(a.Doors),
		gateway.Wing(a.Gateway),
		profiles.Wing(a.Config.profiles, a.known()), // behind decryption: it renews tokens
		encryption.Wing(a.Encryption),
	}
	if a.Providers != nil {
		list = append(list, idp.Wing(a.Providers))
	}
	if s := a.webhook(); s != nil {
		list = append(list, webhooks.Wing(s))
	}
	if a.Config.users != nil {
		list = append(list, remoteusers.Wing(a.Config.users, a.GrantsChanged))
	}
	return list
}

// administered is nil if users are kept elsewhere.
func (a *App) administered() *accounts.Accounts {
	if a.Config.Directory != nil {
		return nil
	}
	return a.Accounts
}

// forget is called by the store, at any time from its opening on, when another
// process has written, before the write returns that noticed it.
func (a *App) forget() {
	if d := a.caches.Load(); d != nil {
		d.Invalidate()
	}
}

func (a *App) openKeys(ctx context.Context) error {
	if a.Config.Existing {
		ring, _, err := keys.NewStore(a.DB.Documents()).Load(ctx)
		if err == nil && len(ring) == 0 {
			err = a.Config.nothing()
		}
		if err != nil {
			return err
		}
	}
	master, err := keys.LoadMaster(ctx, keys.MasterOptions{Value: a.Config.MasterKey, File: a.Config.MasterKeyFile, Dir: a.Config.DataDir, Store: keys.NewStore(a.DB.Documents())})
	if err != nil {
		return err
	}
	a.Keys, err = keys.Open(ctx, keys.Config{
		Store:  keys.NewStore(a.bounds.Documents("keys", nil, a.DB.Documents())),
		Master: master,
		Policy: keys.Policy{Algorithm: a.Config.Algorithm, Encryption: a.Config.Encryption.Encryption, Access: a.Config.longestAccess(), Refresh: a.Config.IdleTTL},
		Clock:  a.Config.Clock,
		Rand:   rand.Reader,
		Logger: a.Config.Logger,
	})
	return err
}

// openEvents reads what was committed lately, so that what ended before a
// restart stays ended after it.
func (a *App) openEvents(ctx context.Context, committed <-chan struct{}) (err error) {
	window := a.Config.longestAccess() + wire.FeedMargin*time.Second
	a.Live = verify.NewLiveSet(window, 0, a.Config.Clock)
	a.Events, err = events.Open(ctx, events.Config{
		Log:    a.bounds.Events(a.DB.Events()),
		Clock:  a.Config.Clock,
		Logger: a.Config.Logger,
		Window: window,
		Apply:  a.heard,
		Restart: func() {
			a.forget()
			a.Live.ForgetGrants()
		},
		Wake:   committed,
		Needed: a.needed(),
		Poll:   a.Config.EventPoll,
	})
	return err
}

// Start begins the background work. It ends with Close.
func (a *App) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = cancel
	a.work.Go(func() { a.Keys.Run(ctx) })
	a.work.Go(func() { a.Events.Run(ctx) })
	a.work.Go(func() { a.Sessions.RunSweeper(ctx) })
	for _, w := range a.wings {
		if w.Run != nil {
			a.work.Go(func() { w.Run(ctx) })
		}
	}
}

// Close stops the background work and closes the store, after which every
// acknowledged write is on disk.
func (a *App) Close() error {
	a.stop()
	a.work.Wait()
	if a.DB == nil {
		return nil
	}
	return a.DB.Close()
}

// ready reports whether the store responds.
func (a *App) ready(ctx context.Context) error {
	if _, err := a.DB.Sessions().Get(ctx, rotation.SessionID{}); !errors.Is(err, session.ErrNotFound) {
		return err
	}
	return nil
}
