package app

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/tacet-dev/tacet/internal/encryption"
	"github.com/tacet-dev/tacet/internal/gateway"
	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/profiles"
	"github.com/tacet-dev/tacet/internal/remoteusers"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/webhooks"
	"github.com/tacet-dev/tacet/wire"
)

// Config is everything that can be set. Zero values mean the defaults that
// [Config.Normalize] fills in. Fields with a help text are settings: flags of
// tacet serve, TACET_… variables and keys of its file, by the same name. Wings
// declare their own.
type Config struct {
	BasePath       string         `help:"Path that the session calls lie under (${default})." placeholder:"PATH" default:"/auth"`
	AccessTTL      time.Duration  `name:"access-ttl" help:"Lifetime of an access token (${default})." placeholder:"TIME" default:"15m"`
	IdleTTL        time.Duration  `name:"idle-ttl" help:"A session that is not refreshed for this long is over (${default})." placeholder:"TIME" default:"336h"`
	AbsoluteTTL    time.Duration  `name:"absolute-ttl" help:"A session is over this long after its sign-in (${default})." placeholder:"TIME" default:"2160h"`
	Overlap        *time.Duration `help:"How long a slow duplicate of a refresh still gets a response (${default})." placeholder:"TIME" default:"10s"` // zero: none; nil: DefaultOverlap
	SameSite       string         `help:"SameSite of the cookies: ${enum}." enum:"lax,strict" default:"lax"`
	Algorithm      string         `help:"Signature of access tokens: ${enum}." enum:"EdDSA,ES256" default:"EdDSA"`
	Audience       string         `help:"aud of access tokens (default: the public URL)." placeholder:"NAME"`
	ClientID       string         `name:"client-id" help:"client_id of access tokens (${default})." placeholder:"ID" default:"tacet-web"`
	CORSOrigins    []string       `name:"cors-origin" help:"Other origins whose pages may call with credentials." placeholder:"URL"`
	TrustedProxies []string       `name:"trusted-proxy" help:"Addresses or networks of proxies whose X-Forwarded-For is trusted." placeholder:"CIDR"`
	FeedTokenFile  string         `name:"feed-token-file" help:"File with the secret that resource servers present for the feed of ended sessions and changed grants; the secret itself may be given in TACET_FEED_TOKEN. Without either there is no feed." placeholder:"FILE" type:"path"`
	// How renewals are sent to a PostgreSQL database, and where it is listened to.
	DatabaseRenewals      string `name:"database-renewals" help:"How refreshes are sent to the database: many in one statement, or each in its own, for databases that are spread over several machines: ${enum}." enum:"batch,single" default:"batch"`
	DatabaseListenURL     string `name:"database-listen-url" help:"URL of the database itself, for the one connection on which this node gets notifications, if database-url is that of a pooler; without it nodes poll for changes once a second." placeholder:"URL"`
	DatabaseListenURLFile string `name:"database-listen-url-file" help:"File that holds database-listen-url." placeholder:"FILE" type:"path"`
	InsecureHTTP          bool   `name:"insecure-http" help:"Allow plain http on hosts that are not loopback."`

	Profiles    profiles.Settings    `embed:""`
	Gateway     gateway.Settings     `embed:""`
	Encryption  encryption.Settings  `embed:""`
	RemoteUsers remoteusers.Settings `embed:""`
	Webhooks    webhooks.Settings    `embed:""`
	Provider    idp.Flags            `embed:""` // of the command line; Go programs set Providers

	PublicURL string `kong:"-"`
	DataDir   string `kong:"-"`
	// DatabaseURL, or the file that holds it, is that of a PostgreSQL database
	// which takes the place of the store in DataDir (internal/store/postgres).
	DatabaseURL     string        `kong:"-"`
	DatabaseURLFile string        `kong:"-"`
	DatabaseConns   int           `kong:"-"` // of this node, at most
	DatabaseTimeout time.Duration `kong:"-"` // of one call to the database
	MasterKey       string        `kong:"-"` // text of the key; takes precedence over the file
	MasterKeyFile   string        `kong:"-"`
	FeedToken       string        `kong:"-"` // takes precedence over FeedTokenFile
	// Providers are identity providers by which users sign in. ProviderUsers
	// takes their people in; nil: the embedded directory does.
	Providers     []idp.Settings `kong:"-"`
	ProviderUsers idp.Users      `kong:"-"`

	// Directory and Authenticator replace the embedded directory, together.
	Directory     session.Directory     `kong:"-"`
	Authenticator session.Authenticator `kong:"-"`
	// OpenStore, if set, opens the store, in place of those that the program has:
	// internal/sim has one without files.
	OpenStore func(Hooks) (Store, error) `kong:"-"`
	// Sessions, if set, changes what the sessions are made of: internal/sim has
	// random numbers and a directory of its own.
	Sessions func(*session.Config) `kong:"-"`
	// Existing opens a store that is there and makes none, for commands that look
	// something up: ErrNothing.
	Existing bool `kong:"-"`
	// EventPoll is how often the store is asked for what other nodes have
	// committed. Zero: events.DefaultPoll.
	EventPoll time.Duration `kong:"-"`
	// Observe is told of every decision (session.Config.Observe).
	Observe func(session.Decided) `kong:"-"`
	// Tracer makes spans. Nil: none.
	Tracer  trace.Tracer     `kong:"-"`
	Version string           `kong:"-"` // of the program, for metrics
	Logger  *slog.Logger     `kong:"-"`
	Clock   func() time.Time `kong:"-"`

	publicURL     *url.URL
	proxies       []netip.Prefix
	gateway       *gateway.Table // nil: no upstreams
	profiles      *profiles.Set
	webhookSecret []byte
	users         *remoteusers.Users // nil: RemoteUsers is not set
}

// Defaults (wire.md §1).
const (
	DefaultAccessTTL   = 15 * time.Minute
	DefaultIdleTTL     = 14 * 24 * time.Hour
	DefaultAbsoluteTTL = 90 * 24 * time.Hour
	DefaultOverlap     = 10 * time.Second
	DefaultClientID    = "tacet-web"

	DefaultUpstreamTimeout = time.Minute
)

// Normalize fills in defaults and reports every setting that can't be right,
// each with what to do about it.
func (c *Config) Normalize() error {
	def(&c.BasePath, wire.DefaultBasePath)
	def(&c.SameSite, "lax")
	def(&c.Algorithm, keys.EdDSA)
	def(&c.ClientID, DefaultClientID)
	def(&c.AccessTTL, DefaultAccessTTL)
	def(&c.IdleTTL, DefaultIdleTTL)
	def(&c.AbsoluteTTL, DefaultAbsoluteTTL)
	def(&c.Gateway.UpstreamTimeout, DefaultUpstreamTimeout)
	if c.Overlap == nil {
		c.Overlap = new(DefaultOverlap)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	err := errors.Join(c.checkURL(), c.checkLifetimes(), c.checkOrigins(), c.checkProxies(), c.checkChoices(), c.checkDatabase(), c.checkProfiles(), c.checkUsers(), c.checkWebhook())
	if err == nil {
		def(&c.Audience, c.Issuer())
		err = errors.Join(c.checkGateway(), c.checkProviders())
	}
	return err
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func (c *Config) checkURL() error {
	if c.PublicURL == "" {
		return errors.New("public-url is not set: give the URL under which browsers reach this server, like https://app.example.com")
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("public-url %q is not an http or https URL of the form https://host[:port]", c.PublicURL)
	}
	if strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("public-url %q has a path: give only https://host[:port] and set base-path for the rest", c.PublicURL)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) && !c.InsecureHTTP {
		return fmt.Errorf("public-url %q is plain http on a host that is not loopback: passwords and tokens would travel in clear. Use https, or say insecure-http if you know that the network is safe", c.PublicURL)
	}
	u.Path = ""
	c.publicURL = u
	if b := c.BasePath; !strings.HasPrefix(b, "/") || strings.HasSuffix(b, "/") || strings.ContainsAny(b, "?#{} ;") || strings.Contains(b, "//") {
		return fmt.Errorf("base-path %q must start with a slash, not end with one, and name a plain path, like /auth", b)
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (c *Config) checkLifetimes() error {
	var errs []error
	if c.AccessTTL < time.Second || c.AccessTTL > 24*time.Hour {
		errs = append(errs, fmt.Errorf("access-ttl %s: must be between 1s and 24h", c.AccessTTL))
	}
	if c.IdleTTL < c.AccessTTL {
		errs = append(errs, fmt.Errorf("idle-ttl %s is shorter than access-ttl %s: a session would be over before it could be renewed", c.IdleTTL, c.AccessTTL))
	}
	if c.AbsoluteTTL < c.IdleTTL {
		errs = append(errs, fmt.Errorf("absolute-ttl %s is shorter than idle-ttl %s: lower idle-ttl or raise absolute-ttl", c.AbsoluteTTL, c.IdleTTL))
	}
	if *c.Overlap < 0 || *c.Overlap > 10*time.Minute {
		errs = append(errs, fmt.Errorf("overlap %s: must be between 0s and 10m", *c.Overlap))
	}
	return errors.Join(errs...)
}

func (c *Config) checkOrigins() error {
	var errs []error
	for _, o := range c.CORSOrigins {
		u, err := url.Parse(o)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || strings.Contains(o, "*") {
			errs = append(errs, fmt.Errorf("cors-origin %q is not an origin: give scheme://host[:port] with nothing behind it, each origin by itself (no *, because calls carry credentials)", o))
		} else if u.Scheme == "http" && !isLoopback(u.Hostname()) && !c.InsecureHTTP {
			errs = append(errs, fmt.Errorf("cors-origin %q is plain http on a host that is not loopback: use https, or say insecure-http", o))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) checkProxies() error {
	c.proxies = nil
	var errs []error
	for _, p := range c.TrustedProxies {
		prefix, err := netip.ParsePrefix(p)
		if addr, e := netip.ParseAddr(p); e == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("trusted-proxy %q is neither an address nor a network like 10.0.0.0/8", p))
			continue
		}
		if tooWide(prefix) {
			errs = append(errs, fmt.Errorf("trusted-proxy %q takes in a large part of the Internet, and whoever is in it can say that they call from any address: name your own proxies, by address or by a network of at most /8 (IPv6: /16)", p))
			continue
		}
		c.proxies = append(c.proxies, prefix)
	}
	return errors.Join(errs...)
}

// tooWide reports whether a network can't be that of somebody's proxies. fc00::/7
// and fe80::/10 are private (RFC 4193, RFC 4291); ::ffff:0:0/96 is all of IPv4.
func tooWide(p netip.Prefix) bool {
	switch a := p.Addr(); {
	case a.Is4():
		return p.Bits() < 8
	case a.Is4In6():
		return p.Bits() < 96+8
	default:
		return p.Bits() < 16 && !(a.IsPrivate() && p.Bits() >= 7) && !(a.IsLinkLocalUnicast() && p.Bits() >= 10)
	}
}

func (c *Config) checkChoices() error {
	var errs []error
	if c.SameSite = strings.ToLower(c.SameSite); c.SameSite != "lax" && c.SameSite != "strict" {
		errs = append(errs, fmt.Errorf("same-site %q: must be lax or strict", c.SameSite))
	}
	if c.Algorithm != keys.EdDSA && c.Algorithm != keys.ES256 {
		errs = append(errs, fmt.Errorf("algorithm %q: must be %s or %s", c.Algorithm, keys.EdDSA, keys.ES256))
	}
	if (c.Directory == nil) != (c.Authenticator == nil) {
		errs = append(errs, errors.New("a directory of your own needs both the look-up and the password check"))
	}
	return errors.Join(errs...)
}

// Issuer is the iss of access tokens: the public URL without a trailing slash.
func (c *Config) Issuer() string { return c.publicURL.String() }

// Secure is whether browsers come over TLS.
func (c *Config) Secure() bool { return c.publicURL.Scheme == "https" }

func (c *Config) sameSite() http.SameSite {
	if c.SameSite == "strict" {
		return http.SameSiteStrictMode
	}
	return http.SameSiteLaxMode
}
