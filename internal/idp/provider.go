package idp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"
)

const (
	// callTimeout bounds one call to a provider; a person waits for it.
	callTimeout = 10 * time.Second
	// maxAnswer bounds what is read of a response, in bytes.
	maxAnswer = 1 << 20
	// metadataAge is how long metadata are good without another look.
	metadataAge = time.Hour
	// downPause is how long a provider that could not be reached is left alone.
	downPause = 2 * time.Second
)

// Provider is one provider. What is known of it beyond its settings is read when
// it is first needed, so that it may be down when the server starts.
type Provider struct {
	Settings
	http     *http.Client
	clock    func() time.Time
	redirect string
	flight   singleflight.Group

	mu      sync.Mutex
	known   *known // nil: nothing yet
	triedAt time.Time
	failure error // of the last try
}

// known is what a provider publishes of itself.
type known struct {
	at         time.Time
	oidc       *oidc.Provider
	oauth      oauth2.Config
	keys       *keySet
	algorithms []string
	tokens     *oidc.IDTokenVerifier
	answersIss bool // RFC 9207: its answers say who gives them
}

func newProvider(s Settings, transport http.RoundTripper, clock func() time.Time, redirect string) *Provider {
	if transport == nil {
		transport = http.DefaultTransport
	}
	return &Provider{Settings: s, clock: clock, redirect: redirect, http: &http.Client{
		Transport: bounded{transport}, Timeout: callTimeout,
		// What a provider publishes is where it says; nothing may lead elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// bounded cuts answers off that are longer than maxAnswer.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}

// discover returns what is known of the provider. The error is a *DownError.
func (p *Provider) discover(ctx context.Context) (*known, error) {
	now := p.clock()
	p.mu.Lock()
	k, triedAt, failure := p.known, p.triedAt, p.failure
	p.mu.Unlock()
	rested := now.Sub(triedAt).Abs() >= downPause
	switch {
	case k != nil && (now.Sub(k.at).Abs() < metadataAge || !rested):
		return k, nil
	case k == nil && failure != nil && !rested:
		return nil, &DownError{p.Name, failure}
	}
	// One look for all who wait, whoever of them goes away.
	_, err, _ := p.flight.Do("", func() (any, error) {
		found, err := p.look(context.WithoutCancel(ctx))
		p.mu.Lock()
		defer p.mu.Unlock()
		p.triedAt, p.failure = p.clock(), err
		if err == nil {
			p.known = found
		}
		return nil, err
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known != nil { // if this look failed, what was read before is still good
		return p.known, nil
	}
	return nil, &DownError{p.Name, err}
}

// look reads the provider's metadata (OpenID Connect Discovery §4).
func (p *Provider) look(ctx context.Context) (*known, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.http), p.Issuer)
	if err != nil {
		return nil, err
	}
	var meta struct {
		Auth       string   `json:"authorization_endpoint"`
		Token      string   `json:"token_endpoint"`
		UserInfo   string   `json:"userinfo_endpoint"`
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
		Methods    []string `json:"token_endpoint_auth_methods_supported"`
		AnswersIss bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&meta); err != nil {
		return nil, fmt.Errorf("its metadata can't be read: %w", err)
	}
	issuer, _ := url.Parse(p.Issuer)
	for name, endpoint := range map[string]string{"authorization_endpoint": meta.Auth, "token_endpoint": meta.Token, "jwks_uri": meta.Keys, "userinfo_endpoint": meta.UserInfo} {
		u, err := url.Parse(endpoint)
		if endpoint == "" && name == "userinfo_endpoint" {
			continue
		}
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != issuer.Scheme {
			return nil, fmt.Errorf("its metadata have the %s %q, which is no URL with https", name, endpoint)
		}
	}
	k := &known{at: p.clock(), oidc: found, answersIss: meta.AnswersIss}
	for _, a := range meta.Algorithms {
		if slices.Contains(everyAlgorithm, jose.SignatureAlgorithm(a)) {
			k.algorithms = append(k.algorithms, a)
		}
	}
	if len(k.algorithms) == 0 {
		return nil, errors.New("its metadata name no signature of ID tokens that can be checked with a public key (id_token_signing_alg_values_supported)")
	}
	k.oauth = oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: found.Endpoint(), RedirectURL: p.redirect, Scopes: p.scopes()}
	k.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInHeader // the default of Discovery §3
	if p.ClientSecret == "" || len(meta.Methods) > 0 && !slices.Contains(meta.Methods, "client_secret_basic") {
		k.oauth.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	k.keys = p.keysOf(meta.Keys)
	k.tokens = oidc.NewVerifier(p.Issuer, k.keys, &oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: k.algorithms, Now: p.clock})
	return k, nil
}

// keysOf keeps the keys that were read as long as they are at the same address.
func (p *Provider) keysOf(url string) *keySet {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known != nil && p.known.keys.url == url {
		return p.known.keys
	}
	return &keySet{url: url, http: p.http, clock: p.clock}
}
