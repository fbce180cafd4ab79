package cli

import (
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/config"
	"github.com/tacet-dev/tacet/internal/idp"
)

// dataFlags say where the state is. All commands have them.
type dataFlags struct {
	DatabaseURL     string        `name:"database-url" help:"Keep everything in this PostgreSQL database, which several nodes may share: postgres://user:password@host:5432/database?sslmode=verify-full. A command line shows in the list of processes: better say it in TACET_DATABASE_URL or in a file." placeholder:"URL"`
	DatabaseURLFile string        `name:"database-url-file" help:"File that holds database-url." placeholder:"FILE" type:"path"`
	DatabaseConns   int           `help:"Connections that this node opens to the database at most (${default})." placeholder:"N" default:"12"`
	DatabaseTimeout time.Duration `help:"How long one call to the database may take (${default})." placeholder:"TIME" default:"5s"`

	Data          string `help:"Data directory of the embedded store; made if missing (${default})." placeholder:"DIR" default:"tacet-data" type:"path"`
	MasterKeyFile string `help:"File with the master key that seals the key ring (default: master.key in the data directory, made with mode 0600). The key itself may be given in TACET_MASTER_KEY." placeholder:"FILE" type:"path"`
}

// serverFlags are the settings of a running server.
type serverFlags struct {
	BasePath        string        `help:"Path that the session calls lie under (${default})." placeholder:"PATH" default:"/auth"`
	AccessTTL       time.Duration `name:"access-ttl" help:"Lifetime of an access token (${default})." placeholder:"TIME" default:"15m"`
	IdleTTL         time.Duration `name:"idle-ttl" help:"A session that is not renewed for this long is over (${default})." placeholder:"TIME" default:"336h"`
	AbsoluteTTL     time.Duration `name:"absolute-ttl" help:"A session is over this long after its sign-in (${default})." placeholder:"TIME" default:"2160h"`
	Overlap         time.Duration `help:"How long a slow duplicate of a renewal is still answered (${default})." placeholder:"TIME" default:"10s"`
	SameSite        string        `help:"SameSite of the cookies: ${enum}." enum:"lax,strict" default:"lax"`
	Algorithm       string        `help:"Signature of access tokens: ${enum}." enum:"EdDSA,ES256" default:"EdDSA"`
	Audience        string        `help:"aud of access tokens (default: the public URL)." placeholder:"NAME"`
	ClientID        string        `name:"client-id" help:"client_id of access tokens (${default})." placeholder:"ID" default:"tacet-web"`
	CORSOrigin      []string      `name:"cors-origin" help:"Other origins whose pages may call with credentials." placeholder:"URL"`
	Profile         []string      `help:"Also speak the dialects of front-ends that exist, so that they need no change: names as tacet profile list has them, or paths of files of your own." placeholder:"NAME"`
	TrustedProxy    []string      `help:"Addresses or networks of proxies whose X-Forwarded-For is believed." placeholder:"CIDR"`
	FeedTokenFile   string        `name:"feed-token-file" help:"File with the secret that resource servers present for the feed of ended sessions and changed grants; the secret itself may be given in TACET_FEED_TOKEN. Without either there is no feed." placeholder:"FILE" type:"path"`
	Upstream        []string      `help:"Pass requests below a path on to an API, if they carry a good access token; like /api=http://127.0.0.1:9000. A path in the URL takes the place of the prefix." placeholder:"PREFIX=URL"`
	Require         []string      `help:"Below this path, the access token must also grant a permission; like /admin=admin:*. The longest prefix counts." placeholder:"PREFIX=PERMISSION"`
	Public          []string      `help:"Below this path, an upstream is reached without an access token." placeholder:"PREFIX"`
	UpstreamLimit   time.Duration `name:"upstream-timeout" help:"How long an upstream may take to begin its answer (${default})." placeholder:"TIME" default:"1m"`
	Encryption      bool          `help:"Take encrypted bodies from clients that ask for them; see docs/encryption.md."`
	Encrypt         []string      `help:"Below this path, the gateway takes encrypted requests only." placeholder:"PREFIX"`
	SignIdentity    bool          `name:"identity-signature" help:"Add a signed header that upstreams can check, X-Tacet-Identity."`
	OIDCIssuer      string        `name:"oidc-issuer" help:"Let users sign in at this OpenID provider too; its issuer, exactly as it writes it." placeholder:"URL"`
	OIDCID          string        `name:"oidc-id" help:"What the provider is called in addresses and user names (${default}). Register PUBLIC-URL/auth/oidc/ID/callback there." placeholder:"ID" default:"sso"`
	OIDCName        string        `name:"oidc-name" help:"What it is called on the sign-in page (default: the host of the issuer)." placeholder:"NAME"`
	OIDCClientID    string        `name:"oidc-client-id" help:"client_id of this server at the provider." placeholder:"ID"`
	OIDCSecretFile  string        `name:"oidc-client-secret-file" help:"File with the secret of that client; the secret itself may be given in TACET_OIDC_CLIENT_SECRET. Without either it is a public client." placeholder:"FILE" type:"path"`
	OIDCScopes      []string      `name:"oidc-scopes" help:"Scopes that the provider is asked for beside openid (${default})." placeholder:"SCOPE" default:"profile,email"`
	OIDCRolesClaim  string        `name:"oidc-roles-claim" help:"Claim that oidc-role is about, like groups or realm_access.roles." placeholder:"CLAIM"`
	OIDCRole        []string      `name:"oidc-role" help:"Whoever has this value in the claim gets this role; like staff=viewer." placeholder:"VALUE=ROLE"`
	OIDCRequireRole bool          `name:"oidc-require-role" help:"Let nobody in to whom oidc-role gives no role."`

	InsecureHTTP bool `name:"insecure-http" help:"Allow plain http on hosts that are not loopback."`
}

func (f *serverFlags) config(e *env, d dataFlags, publicURL string) app.Config {
	c := d.config(e)
	c.PublicURL = publicURL
	c.BasePath = f.BasePath
	c.AccessTTL, c.IdleTTL, c.AbsoluteTTL, c.Overlap = f.AccessTTL, f.IdleTTL, f.AbsoluteTTL, &f.Overlap
	c.FeedTokenFile = f.FeedTokenFile
	c.Providers = f.providers(e)
	c.Profiles = f.Profile
	c.SameSite, c.Algorithm, c.Audience, c.ClientID = f.SameSite, f.Algorithm, f.Audience, f.ClientID
	c.Upstreams, c.Require, c.Public = f.Upstream, f.Require, f.Public
	c.UpstreamTimeout, c.IdentitySignature = f.UpstreamLimit, f.SignIdentity
	c.Encryption, c.Encrypt = f.Encryption, f.Encrypt
	c.CORSOrigins, c.TrustedProxies, c.InsecureHTTP = f.CORSOrigin, f.TrustedProxy, f.InsecureHTTP
	return c
}

// providers is the identity provider of the settings, if one is set.
func (f *serverFlags) providers(e *env) []idp.Settings {
	if f.OIDCIssuer == "" && f.OIDCClientID == "" && f.OIDCSecretFile == "" && len(f.OIDCRole) == 0 {
		return nil // what is set without the issuer is a mistake, which the check names
	}
	secret, _ := e.lookup(config.EnvName("oidc-client-secret"))
	return []idp.Settings{{ID: f.OIDCID, Name: f.OIDCName, Issuer: f.OIDCIssuer, ClientID: f.OIDCClientID,
		ClientSecret: secret, ClientSecretFile: f.OIDCSecretFile, Scopes: f.OIDCScopes,
		RolesClaim: f.OIDCRolesClaim, Roles: f.OIDCRole, RequireRole: f.OIDCRequireRole}}
}

// config is enough to open the data directory for a tool. A tool serves
// nobody, so any public URL will do.
func (d dataFlags) config(e *env) app.Config {
	key, _ := e.lookup(config.EnvName("master-key"))
	feed, _ := e.lookup(config.EnvName("feed-token"))
	return app.Config{
		Version:     version(),
		PublicURL:   "http://localhost",
		DataDir:     d.Data,
		DatabaseURL: d.DatabaseURL, DatabaseURLFile: d.DatabaseURLFile,
		DatabaseConns: d.DatabaseConns, DatabaseTimeout: d.DatabaseTimeout,
		MasterKey:     key,
		MasterKeyFile: d.MasterKeyFile,
		FeedToken:     feed,
		Logger:        e.log,
	}
}

// with opens the data directory, runs f and closes it again.
func (d dataFlags) with(e *env, f func(*app.App) error) (err error) {
	a, err := app.Open(e.ctx, d.config(e))
	if err != nil {
		return err
	}
	defer func() {
		if cerr := a.Close(); err == nil {
			err = cerr
		}
	}()
	return f(a)
}

// outputFlag is on commands that print a list.
type outputFlag struct {
	Output string `help:"Form of the list: ${enum}." enum:"table,json" default:"table" short:"o"`
}
