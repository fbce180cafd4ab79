package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/rs/cors"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/gateway"
	"github.com/tacet-dev/tacet/internal/httpapi/profiles"
	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Keys is what the surface needs of the key ring beside what sessions use.
type Keys interface {
	// JWKS is the published key set (RFC 7517), JSON.
	JWKS() []byte
	// Current waits until JWKS has what was stored before the call.
	Current(ctx context.Context) error
	// SignLabelled and VerifyLabelled authenticate small messages under a
	// label of their own.
	SignLabelled(label string, msg []byte) (kid uint32, sum []byte)
	VerifyLabelled(label string, kid uint32, msg, sum []byte) bool
	// SealLabelled and OpenLabelled encrypt small messages likewise.
	SealLabelled(label string, plain []byte) string
	OpenLabelled(ctx context.Context, label, sealed string) (plain []byte, ok bool)
	// Sign makes an access token (RFC 9068).
	Sign(c wire.AccessClaims) (string, error)
	// List and Rotate are for administrators (keys.Ring).
	List() []keys.Info
	Rotate(ctx context.Context, atOnce bool) ([]keys.Info, error)
}

// Config is what the surface needs. All fields but Accounts, TrustedProxies,
// CORSOrigins, SameSite, FeedToken and Measure are required.
type Config struct {
	Sessions  *session.Service
	Directory session.Directory
	// Accounts is the administration of users. Nil: they are kept elsewhere, and
	// the calls for it are not there.
	Accounts *accounts.Accounts
	Keys     Keys
	// Protect verifies access tokens: verify.Verifier.Middleware.
	Protect func(http.Handler) http.Handler
	// Require is Protect for callers who also need permissions:
	// verify.Verifier.Require.
	Require func(permissions ...string) func(http.Handler) http.Handler
	// Gateway gets all requests that are not for this surface. Nil: there is
	// none.
	Gateway *gateway.Gateway
	// OAuth is the standard surface (wire.md §2). Nil: there is none.
	OAuth *oauth.Server
	// Providers are identity providers by which users sign in. Nil: none.
	Providers *idp.Service
	// Encryption decrypts requests. Nil: it is not switched on.
	Encryption *verify.Encryption
	// Profiles are the dialects that are spoken beside our own. Nil: none. What
	// follows is needed for them only.
	Profiles *profiles.Set
	// Verify checks an access token; Issued only that it is one of ours, however
	// old (profiles.Config).
	Verify, Issued func(ctx context.Context, raw string) (*verify.Token, error)
	// Known are all permissions that exist. Nil: unknown.
	Known func(context.Context) []string
	// Events hands out what is committed.
	Events *events.Hub
	// FeedToken is the secret of resource servers that read the feed. Empty:
	// there is no feed.
	FeedToken string
	// BasePath is the path that all but the JWKS lie under, "/auth".
	BasePath string
	// PublicOrigin is scheme://host[:port] of the public URL.
	PublicOrigin string
	// Secure is whether browsers reach the server over TLS.
	Secure bool
	// SameSite is Lax (default) or Strict.
	SameSite http.SameSite
	// CORSOrigins may call with credentials from other origins.
	CORSOrigins []string
	// TrustedProxies may set X-Forwarded-For.
	TrustedProxies []netip.Prefix
	// ClientID is the client_id of sessions that are started here (RFC 9068).
	ClientID string
	// Measure puts a measurement before the handler of a route (telemetry). Nil:
	// none.
	Measure func(method, route string, next http.Handler) http.Handler
	// Ready reports why the server can't serve, or nil.
	Ready  func(context.Context) error
	Logger *slog.Logger
}

type api struct {
	Config
	csrf    csrfTokens
	origins *http.CrossOriginProtection
	proofs  dpop.Replays // at the token endpoint

	outages        outages
	streams, feeds atomic.Int64 // open ones
	stops          stops
}

// New returns the handler of the native surface (wire.md §1).
func New(cfg Config) (http.Handler, error) {
	a := &api{Config: cfg, csrf: csrfTokens{cfg.Keys}, origins: http.NewCrossOriginProtection()}
	for _, o := range append([]string{cfg.PublicOrigin}, cfg.CORSOrigins...) {
		if err := a.origins.AddTrustedOrigin(o); err != nil {
			return nil, err
		}
	}
	if a.Measure == nil {
		a.Measure = func(_, _ string, next http.Handler) http.Handler { return next }
	}
	mux := http.NewServeMux()
	routes, surface := a.routes(), a.bindProfiles()
	theirs, err := a.addProfiles(routes, surface)
	if err != nil {
		return nil, err
	}
	for path, methods := range routes {
		ofProfile := slices.Contains(theirs, path)
		if !ofProfile && !strings.HasPrefix(path, cfg.BasePath+"/") && !slices.Contains(OwnPaths, path) {
			return nil, fmt.Errorf("httpapi: the route %s must be in OwnPaths, so that no upstream is put before it", path)
		}
		var allow []string
		for method, h := range methods {
			mux.Handle(method+" "+path, a.Measure(method, path, h))
			allow = append(allow, method)
		}
		if ofProfile && a.Gateway != nil {
			continue // a page of the application may be there: GET /login
		}
		mux.Handle(path, a.Measure(anyMethod, path, a.methodNotAllowed(allow)))
	}
	mux.Handle(cfg.BasePath+"/", a.Measure(anyMethod, routeNone, problemHandler(a, errNotFound)))

	var h http.Handler = a.limits(a.decrypted(mux))
	if len(cfg.CORSOrigins) > 0 {
		h = cors.New(cors.Options{
			AllowedOrigins:   cfg.CORSOrigins,
			AllowCredentials: true,
			AllowedMethods:   []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
			AllowedHeaders:   append([]string{"Authorization", "Content-Type", "Accept-Language", "If-None-Match", "Last-Event-ID", dpop.Header, wire.HeaderCSRF, wire.HeaderSeal}, a.Profiles.RequestHeaders()...),
			ExposedHeaders:   append([]string{"ETag", "Location", "Retry-After", "WWW-Authenticate", "Date", wire.HeaderSeal}, a.Profiles.ResponseHeaders()...),
			MaxAge:           600,
		}).Handler(h)
	}
	return a.recovered(surface.Middleware(a.dispatch(mux, h))), nil
}

// Names for measurements where there is no route of ours.
const (
	anyMethod    = "*"
	routeNone    = "(none)"
	routeGateway = "(gateway)"
)

// routes is the route table: path → method → handler.
func (a *api) routes() map[string]map[string]http.Handler {
	b := a.BasePath
	type m = map[string]http.Handler
	routes := map[string]m{
		b + wire.PathLogin:              {"POST": a.handler((*api).login)},
		b + wire.PathRefresh:            {"POST": a.handler((*api).refresh)},
		b + wire.PathConfirm:            {"POST": a.handler((*api).confirm)},
		b + wire.PathLogout:             {"POST": a.handler((*api).logout)},
		b + wire.PathEncryption:         {"POST": a.encryptionRoute()},
		b + wire.PathMe:                 {"GET": a.Protect(a.handler((*api).me))},
		b + wire.PathSessions:           {"GET": a.Protect(a.handler((*api).sessions))},
		b + wire.PathSessions + "/{id}": {"DELETE": a.Protect(a.handler((*api).endSession))},
		b + wire.PathEvents:             {"GET": a.eventsRoute()},
		b + wire.PathOpenAPI:            {"GET": a.handler((*api).openapi)},
		wire.PathJWKS:                   {"GET": a.handler((*api).jwks)},
		"/livez":                        {"GET": a.handler((*api).livez)},
		"/readyz":                       {"GET": a.handler((*api).readyz)},
	}
	if a.FeedToken != "" {
		routes[b+wire.PathFeed] = m{"GET": a.handler((*api).feed)}
	}
	maps.Copy(routes, a.adminRoutes())
	maps.Copy(routes, a.oauthRoutes())
	maps.Copy(routes, a.providerRoutes())
	return routes
}

// handler turns a method that returns an error into an http.Handler. All
// errors pass one table.
func (a *api) handler(f func(*api, http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(a, w, r); err != nil {
			a.fail(w, r, err)
		}
	})
}

func problemHandler(a *api, p *problem) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.fail(w, r, p) })
}

func (a *api) methodNotAllowed(allow []string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		a.fail(w, r, errMethod)
	})
}

// maxBody bounds every request body of this surface, in bytes.
const maxBody = 64 << 10

func (a *api) limits(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Cache-Control"] = noStore
		h["X-Content-Type-Options"] = noSniff
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
)

func (a *api) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				a.Logger.Error("a request made the server panic; this is a bug, please report it", "method", r.Method, "path", r.URL.Path, "panic", v)
				a.fail(w, r, errServer)
			}
		}()
		next.ServeHTTP(w, r)
	})
}
