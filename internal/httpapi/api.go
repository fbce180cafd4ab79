package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/httpapi/form"
	"github.com/tacet-dev/tacet/internal/httpapi/page"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/verify"
)

// Keys is what the surface and its wings need of the key ring beside what
// sessions use.
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
}

// Config is what the surface needs. All fields but TrustedProxies, CORSOrigins,
// SameSite, FeedToken and Measure are required.
type Config struct {
	Sessions  *session.Service
	Directory session.Directory
	Keys      Keys
	Verifier  *verify.Verifier
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

// API is the surface that wings are built on. Its methods are what their handlers
// share with those of the kernel.
type API struct {
	Config
	Pages page.Pages

	csrf    csrfTokens
	origins *http.CrossOriginProtection
	proofs  dpop.Replays
	wings   []Wing

	outages           outages
	streams, feeds    atomic.Int64 // open ones
	ofUser, ofSession shares       // of the streams
	stops             stops
}

// New returns the handler of the native surface (wire.md §1) with its wings, and
// the wings themselves.
func New(cfg Config, builders ...Builder) (http.Handler, []Wing, error) {
	a := &API{Config: cfg, csrf: csrfTokens{cfg.Keys}, origins: http.NewCrossOriginProtection(),
		Pages: page.Pages{Origin: cfg.PublicOrigin, Secure: cfg.Secure, Logger: cfg.Logger}}
	for _, o := range append([]string{cfg.PublicOrigin}, cfg.CORSOrigins...) {
		if err := a.origins.AddTrustedOrigin(o); err != nil {
			return nil, nil, err
		}
	}
	if a.Measure == nil {
		a.Measure = func(_, _ string, next http.Handler) http.Handler { return next }
	}
	for _, build := range builders {
		w, err := build(a)
		if err != nil {
			return nil, nil, err
		}
		a.wings = append(a.wings, w)
	}
	h, err := a.assemble()
	return h, a.wings, err
}

// Protect lets only requests with a good access token through.
func (a *API) Protect(next http.Handler) http.Handler { return a.Verifier.Middleware(next) }

// Handle turns a function that returns an error into a handler. All errors pass
// one catalogue ([API.Problem]).
func (a *API) Handle(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			a.Fail(w, r, err)
		}
	})
}

// Page is Handle for pages: errors are shown to a person.
func (a *API) Page(f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			a.FailPage(w, r, err)
		}
	})
}

// FailPage shows an error that ends the way.
func (a *API) FailPage(w http.ResponseWriter, r *http.Request, err error) {
	var refused *form.Error
	if errors.As(err, &refused) {
		v := a.Pages.New(r, "", problem.Text{EN: "This link can't be used", ZH: "此链接无法使用"})
		v.Status, v.Lead = http.StatusBadRequest, problem.Text{
			EN: "The application sent you here with a request that is not valid. Go back to it and try again; if that does not help, tell its makers:",
			ZH: "应用发来的请求无效。请返回应用重试；若仍不行，请将以下内容告知开发者："}.In(v.Tag)
		v.Client = refused.Code + ": " + refused.Description
		a.Pages.Show(w, v)
		return
	}
	p := a.PageProblem(w, r, err)
	v := a.Pages.New(r, "", p.Title)
	v.Status, v.Lead = p.Status, p.Says(v.Tag)
	a.Pages.Show(w, v)
}

// PageProblem is the row of the catalogue for an error that a page shows. It sets
// the row's headers.
func (a *API) PageProblem(w http.ResponseWriter, r *http.Request, err error) *problem.Problem {
	p := a.Problem(err)
	if p.Header != nil {
		p.Header(w.Header())
	}
	if p.Status >= http.StatusInternalServerError && r.Context().Err() == nil {
		a.Logger.Error("a page could not be shown", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	return p
}
