// Package doors is for applications that identify their users themselves. It has
// API keys, with which their back-ends make calls of administration, and begins
// sessions for users whom they name: at once, or with a ticket that the browser
// redeems.
package doors

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// Config is what Doors needs. All fields but UserID are required.
type Config struct {
	Store    documents.Store
	Sessions *session.Service
	// UserID is the id of the user who has a name, or session.ErrNoUser. Nil: users
	// are kept elsewhere, and are known by their ids alone.
	UserID func(ctx context.Context, username string) (string, error)
	// Client is a registered client, as if it had authenticated, and what the access
	// tokens of its sessions are limited to; or ErrNoClient.
	Client func(ctx context.Context, id string) (session.Client, session.Details, error)
	Logger *slog.Logger
}

// ErrNoClient says that no client has the id.
var ErrNoClient = errors.New("doors: no such client")

// Doors is safe for concurrent use. Its errors are session.ErrNoUser,
// *problem.Problem, or wrap session.ErrUnavailable.
type Doors struct {
	Config
	api *httpapi.API // since Wing
}

// New returns the Doors of a server.
func New(c Config) *Doors { return &Doors{Config: c} }

// Wing is what d brings to the HTTP surface.
func Wing(d *Doors) httpapi.Builder {
	return func(api *httpapi.API) (httpapi.Wing, error) {
		d.api = api
		return httpapi.Wing{
			Routes: httpapi.Routes{
				api.BasePath + wire.PathAdminSessions: {"POST": api.Administration(wire.PermissionSessionsBegin, d.newSession)},
			},
			Program:          d.program,
			SignInWithTicket: d.signInWithTicket,
		}, nil
	}
}

// Begin signs a user in whom the caller has identified, in the browser that has sent
// r: it sets the cookies on w. The sessions that the browser had end. The response
// is that of POST /auth/login.
func (d *Doors) Begin(w http.ResponseWriter, r *http.Request, userID string, o Options) (wire.TokenResponse, error) {
	in, err := d.identified(r.Context(), userID, o)
	if err != nil {
		return wire.TokenResponse{}, err
	}
	if in.Client.Authenticated {
		return wire.TokenResponse{}, errSecretClient
	}
	in.Contact, in.Binding = d.api.Contact(r), httpapi.Encrypted(r)
	if in.Replaces, err = d.api.BrowserSessions(r, d.api.CookieName(wire.CookieRefresh)); err != nil {
		return wire.TokenResponse{}, err
	}
	g, err := d.start(r.Context(), in)
	if err != nil {
		return wire.TokenResponse{}, err
	}
	return d.api.SignedIn(w, g, wire.DeliveryCookie), nil
}

// BeginTokens signs a user in whom the caller has identified, and returns the tokens,
// as POST /auth/login does with the delivery "body".
func (d *Doors) BeginTokens(ctx context.Context, userID string, o Options) (wire.TokenResponse, error) {
	in, err := d.identified(ctx, userID, o)
	if err != nil {
		return wire.TokenResponse{}, err
	}
	g, err := d.start(ctx, in)
	if err != nil {
		return wire.TokenResponse{}, err
	}
	return d.api.SignedIn(nil, g, wire.DeliveryBody), nil
}

// identified is the sign-in of a user whom the caller has identified.
func (d *Doors) identified(ctx context.Context, userID string, o Options) (session.SignIn, error) {
	user, err := d.Sessions.User(ctx, userID)
	if err != nil {
		return session.SignIn{}, err
	}
	return d.signIn(ctx, user, o)
}

func (d *Doors) signIn(ctx context.Context, user session.User, o Options) (session.SignIn, error) {
	in := session.SignIn{UserID: user.ID, Credentials: user.Credentials, Client: session.Client{ID: d.api.ClientID}}
	var err error
	if in.Details, err = o.details(d.Sessions.Now()); err != nil || o.ClientID == "" {
		return in, err
	}
	var limits session.Details
	in.Client, limits, err = d.Client(ctx, o.ClientID)
	if errors.Is(err, ErrNoClient) {
		return in, errNoClient
	}
	in.Details.Limited, in.Details.Scope, in.Details.Audience = limits.Limited, limits.Scope, limits.Audience
	return in, err
}

// start is session.Service.Start for a user who was there a moment ago.
func (d *Doors) start(ctx context.Context, in session.SignIn) (session.Grant, error) {
	g, err := d.Sessions.Start(ctx, in)
	if errors.Is(err, session.ErrVoid) { // signed out everywhere in this moment
		err = session.ErrNoUser
	}
	if err == nil {
		d.Logger.Info("signed in", "user", in.UserID, "session", g.Session.ID.String(), "client", in.Client.ID, "address", in.Contact.Address.String(), "by", "application")
	}
	return g, err
}

// hashed is the key of the document of a secret, from which nobody can tell the
// secret.
func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func unavailable(err error) error { return fmt.Errorf("%w: %w", session.ErrUnavailable, err) }

var (
	errNoClient     = problem.BadRequest(problem.Text{EN: "The member client_id is none of a registered client; tacet client list shows them.", ZH: "字段 client_id 不是已注册的客户端；可用 tacet client list 查看。"})
	errSecretClient = problem.BadRequest(problem.Text{EN: "A browser can't hold a session of a client that has a secret: leave client_id out, or let the client begin the session with the delivery \"body\".", ZH: "浏览器不能持有带密钥客户端的会话：请省略 client_id，或由该客户端以 \"body\" 方式开始会话。"})
)
