// Package tacet is the session layer that nobody notices, as a Go library:
// people sign in once and stay signed in, silently, until they sign out or are
// signed out, and the use of a stolen token ends the session.
//
//	srv, err := tacet.New(ctx, tacet.Config{PublicURL: "https://app.example.com", DataDir: "data"})
//	mux.Handle("/auth/", srv)             // sign-in, refresh, sign-out
//	mux.Handle("/.well-known/", srv)      // keys for other resource servers
//	mux.Handle("/api/", srv.Protect(api)) // everything else
//
// The same server runs by itself as the program cmd/tacet. Its responses are
// described in package wire, and its decisions in package rotation and
// PROTOCOL.md. Resource servers in other processes use package verify.
package tacet

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/telemetry"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Config is what a Server needs. PublicURL and DataDir or DatabaseURL are required; zero
// values of the rest mean the defaults in brackets.
type Config struct {
	// PublicURL is where browsers reach the server, scheme://host[:port]. It is
	// the issuer of access tokens, and its scheme decides on Secure cookies.
	// Plain http is refused on hosts that are not loopback unless InsecureHTTP.
	PublicURL string
	// DataDir holds the embedded store and, unless the key is given here, the
	// master key. It is made if missing.
	DataDir string
	// DatabaseURL is that of a PostgreSQL database, postgres://user:password@
	// host:5432/database?sslmode=verify-full, which takes the place of the
	// store in DataDir. Any number of servers may share it, with one master
	// key; DataDir is then needed only if the master key is to be kept there.
	DatabaseURL string
	// BasePath is what the session calls lie under ["/auth"].
	BasePath string

	AccessTTL   time.Duration // lifetime of an access token [15 min]
	IdleTTL     time.Duration // life of a session without renewal [14 days]
	AbsoluteTTL time.Duration // life of a session since sign-in [90 days]
	// Overlap is rotation.Policy.Overlap; new(time.Duration) for none [10 s].
	Overlap *time.Duration

	SameSite       string   // of the cookies, "lax" or "strict" ["lax"]
	Algorithm      string   // signature of access tokens, "EdDSA" or "ES256" ["EdDSA"]
	Audience       string   // aud of access tokens [PublicURL]
	ClientID       string   // client_id of access tokens ["tacet-web"]
	CORSOrigins    []string // other origins that may call with credentials [none]
	TrustedProxies []string // addresses or networks whose X-Forwarded-For is believed [none]
	InsecureHTTP   bool

	// Profiles are dialects of front-ends that exist, which are served beside
	// the native calls: names of built-in ones, or paths of files (docs/profiles.md)
	// [none]. Mount the Server at their paths too.
	Profiles []string

	// Encryption also takes requests with encrypted bodies (docs/encryption.md), at
	// the session calls and below Protect and Require [false].
	Encryption bool

	// MasterKey seals the key ring: 32 bytes, in base64 or hexadecimal. If it
	// is empty the key is read from MasterKeyFile [DataDir/master.key, made if
	// there is none].
	MasterKey     string
	MasterKeyFile string
	// FeedToken is the secret with which resource servers in other processes
	// read the feed (verify.FeedConfig.Secret): at least 16 characters [no feed].
	FeedToken string

	// Providers are identity providers (OpenID Connect) by which users may sign
	// in beside their passwords; docs/identity-provider.md [none].
	Providers []Provider

	// Users replaces the embedded directory by users of your own [embedded].
	Users Users
	// Logger gets structured logs, never a token or a password [slog.Default].
	Logger *slog.Logger
	// Traces makes spans of requests and of calls to the store with
	// OpenTelemetry's global TracerProvider [none].
	Traces bool
	// Clock is the time [time.Now].
	Clock func() time.Time
}

// User is a person of your own directory.
type User struct {
	ID          string // stable and unique; the sub of access tokens
	Username    string
	DisplayName string
	Email       string
	Roles       []string
	Permissions []string // like "orders:read"; "orders:*" covers every action
	// GrantsVersion must grow with every change of Roles or Permissions. Call
	// Server.GrantsChanged with it, and tokens with an older version are refused
	// until they are renewed; else the change waits for the next renewal.
	GrantsVersion int64
	// CredentialsVersion, if you keep one, must move with every new password, and
	// whenever else what the user has approved before is void: devices and
	// applications that wait for their tokens get none. Without it, codes that were
	// approved before stay good for their one or ten minutes.
	CredentialsVersion int64
	// Settings are passed on to the application by GET /auth/me.
	Settings map[string]any
}

// Users is a directory of your own.
type Users interface {
	// Authenticate returns the user whose name and password these are, or
	// ErrInvalidCredentials. Any other error is taken for an outage.
	Authenticate(ctx context.Context, username, password string) (User, error)
	// User returns a user who may hold sessions, or ErrNoUser: then the session
	// ends. Any other error is taken for an outage. It is called at every
	// renewal.
	User(ctx context.Context, id string) (User, error)
}

// Errors that a Users returns.
var (
	ErrInvalidCredentials = session.ErrInvalidCredentials
	ErrNoUser             = session.ErrNoUser
)

// Server serves the session calls. It is safe for concurrent use.
type Server struct{ app *app.App }

// New opens the data directory, creating what is missing, and starts the
// background work. Errors name the setting or the file, and what to do.
func New(ctx context.Context, c Config) (*Server, error) {
	ac := settings(c)
	for _, p := range c.Providers {
		ac.Providers = append(ac.Providers, idp.Settings(p))
	}
	if c.DataDir == "" && c.DatabaseURL == "" {
		return nil, errors.New("tacet: Config.DataDir is empty: name a directory that survives restarts, or a database in Config.DatabaseURL")
	}
	if u, ok := c.Users.(ProviderUsers); ok {
		ac.ProviderUsers = ownProvided{u}
	}
	if c.Users != nil {
		ac.Directory, ac.Authenticator = own{c.Users}, own{c.Users}
	}
	if c.Traces {
		ac.Tracer = otel.Tracer(telemetry.TracerName)
	}
	a, err := app.Open(ctx, ac)
	if err != nil {
		return nil, err
	}
	a.Start()
	return &Server{a}, nil
}

// settings is the configuration of the same settings: fields of one name are one
// setting.
func settings(c Config) app.Config {
	var ac app.Config
	from, to := reflect.ValueOf(c), reflect.ValueOf(&ac).Elem()
	for i := range from.NumField() {
		f := to.FieldByName(from.Type().Field(i).Name)
		if f.IsValid() && from.Field(i).Type().AssignableTo(f.Type()) {
			f.Set(from.Field(i))
		}
	}
	ac.Profiles.Names = c.Profiles
	ac.Encryption.Encryption = c.Encryption
	return ac
}

// ServeHTTP serves everything below BasePath, the key set at
// /.well-known/jwks.json, and /livez and /readyz.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.app.Handler.ServeHTTP(w, r) }

// Protect lets only requests with a good access token through to next, which
// finds it with verify.FromContext. Sessions that have ended and grants that
// have changed are enforced from the next request on, without asking the store.
// Refusals are as in RFC 6750 §3.
func (s *Server) Protect(next http.Handler) http.Handler {
	return s.decrypted(s.app.Verifier.Middleware(next))
}

// decrypted is nothing unless encryption is switched on.
func (s *Server) decrypted(next http.Handler) http.Handler {
	if s.app.Encryption == nil {
		return next
	}
	return s.app.Encryption.Middleware(next)
}

// RequireEncryption lets only requests through to next that came encrypted; it
// belongs below Protect or Require. Without Config.Encryption there are none.
func (s *Server) RequireEncryption(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := verify.EncryptedWith(r.Context()); !ok {
			s.app.Verifier.WriteError(w, r, verify.ErrEncryptionRequired)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Require is Protect for requests that also need all of the permissions.
func (s *Server) Require(permissions ...string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return s.decrypted(s.app.Verifier.Require(permissions...)(next))
	}
}

// RequireAuth is Protect for requests whose user must have signed in strongly or
// recently enough; others are refused with 401 insufficient_user_authentication (RFC
// 9470). Begin keeps how and when a user was identified.
func (s *Server) RequireAuth(u verify.StepUp) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return s.decrypted(s.app.Verifier.RequireAuth(u)(next)) }
}

// Verifier is what Protect checks with.
func (s *Server) Verifier() *verify.Verifier { return s.app.Verifier }

// GrantsChanged tells that one of your own users has new roles or permissions:
// access tokens whose grants_version is lower are refused from the next request
// on (401 grants_changed, which clients respond to with a silent renewal), here at
// once and at resource servers as soon as their feed says so; open pages are
// told. The embedded directory does this by itself.
func (s *Server) GrantsChanged(ctx context.Context, userID string, version int64) error {
	return s.app.GrantsChanged(ctx, userID, version)
}

// EndSessions signs a user out everywhere.
func (s *Server) EndSessions(ctx context.Context, userID string) error {
	return s.app.Sessions.EndAll(ctx, userID, wire.ReasonEndedByAdmin, rotation.SessionID{})
}

// Metrics is the page of this server that Prometheus reads (docs/operate.md).
// Mount it where only operators get to.
func (s *Server) Metrics() http.Handler { return s.app.Metrics.Handler() }

// Close stops the background work and closes the store. Let running requests
// end first (http.Server.Shutdown, at which event streams end by themselves).
func (s *Server) Close() error { return s.app.Close() }

// own adapts a Users to what sessions want.
type own struct{ users Users }

func (o own) Authenticate(ctx context.Context, username, password string, _ session.Contact) (session.Identity, error) {
	u, err := o.users.Authenticate(ctx, username, password)
	return session.Identity{UserID: u.ID, Credentials: u.CredentialsVersion}, err
}

func (o own) User(ctx context.Context, id string) (session.User, error) {
	u, err := o.users.User(ctx, id)
	return session.User{
		User:          wire.User{ID: u.ID, Username: u.Username, DisplayName: u.DisplayName, Email: u.Email},
		Roles:         u.Roles,
		Permissions:   u.Permissions,
		Scope:         strings.Join(u.Permissions, " "),
		GrantsVersion: u.GrantsVersion,
		Credentials:   u.CredentialsVersion,
		Settings:      u.Settings,
	}, err
}

func (o own) Grants(ctx context.Context, id string) (session.User, error) { return o.User(ctx, id) }
