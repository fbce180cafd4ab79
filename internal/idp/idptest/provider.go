// Package idptest is an identity provider for tests: small, strict with what it
// is sent, and able to make every mistake on request.
package idptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// What clients are registered with.
const (
	ClientID     = "tacet"
	ClientSecret = "secret of tacet"
)

// Provider is a running provider. Its fields may be changed between calls, by
// [Provider.Change].
type Provider struct {
	URL   string // also its issuer
	Clock func() time.Time

	mu       sync.Mutex
	Settings Settings
	keys     []jose.JSONWebKey // the first signs
	codes    map[string]grant
	access   map[string]map[string]any // access token → claims
	Calls    map[string]int            // by path
	serial   int
}

// Settings are who signs in, and what goes wrong. The zero value: nothing.
type Settings struct {
	// Person are the claims of whoever signs in next; sub is required.
	Person map[string]any
	// AtUserInfo keeps all but sub and sid out of the ID token (Core §5.4).
	AtUserInfo bool
	// AnswersIss is RFC 9207; Iss overrides what is answered.
	AnswersIss bool
	Iss        string
	// Error is answered in place of a code.
	Error string
	// Claims changes the claims of ID tokens.
	Claims func(map[string]any)
	// UserInfo changes those of the UserInfo endpoint.
	UserInfo func(map[string]any)
	// Sign makes a JWT in another way than by the published key.
	Sign func(claims map[string]any, typ string) string
	// Status, by path, is answered in place of what should be.
	Status map[string]int
	// Down breaks every connection off; Slow holds answers back until it is closed.
	Down bool
	Slow chan struct{}
	// Metadata changes what is published.
	Metadata func(map[string]any)
	// Replayable codes can be redeemed more than once.
	Replayable bool
}

type grant struct {
	redirect, challenge, nonce string
	claims                     map[string]any
}

// New starts a provider that ends with the test.
func New(t testing.TB, person map[string]any) *Provider {
	t.Helper()
	p := &Provider{Clock: time.Now, codes: map[string]grant{}, access: map[string]map[string]any{}, Calls: map[string]int{}}
	p.Settings.Person = person
	p.RotateKeys()
	srv := httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(srv.Close)
	p.URL = srv.URL
	return p
}

// Change alters the settings.
func (p *Provider) Change(f func(*Settings)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.Settings)
}

// Called is how often a path was called.
func (p *Provider) Called(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.Calls[path]
}

// RotateKeys replaces the published key by a new one.
func (p *Provider) RotateKeys() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serial++
	p.keys = []jose.JSONWebKey{{Key: private, KeyID: fmt.Sprint("key-", p.serial), Algorithm: "ES256", Use: "sig"}}
}

// JWT signs claims with the published key.
func (p *Provider) JWT(claims map[string]any, typ string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.jwt(claims, typ)
}

func (p *Provider) jwt(claims map[string]any, typ string) string {
	if p.Settings.Sign != nil {
		return p.Settings.Sign(claims, typ)
	}
	return Sign(jose.ES256, p.keys[0], claims, typ)
}

// Sign makes a JWT; no typ, no header of that name.
func Sign(alg jose.SignatureAlgorithm, key any, claims map[string]any, typ string) string {
	opts := &jose.SignerOptions{}
	if typ != "" {
		opts = opts.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		panic(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	raw, err := jws.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return raw
}

// Unsigned is a JWT with the algorithm "none".
func Unsigned(claims map[string]any, typ string) string {
	payload, _ := json.Marshal(claims)
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"none","typ":"`+typ+`"}`)) + "." + enc(payload) + "."
}

// PublicKey is the published key as DER, for those who would use it as a secret.
func (p *Provider) PublicKey() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.publicKey()
}

func (p *Provider) publicKey() []byte {
	der, err := x509.MarshalPKIXPublicKey(p.keys[0].Key.(*ecdsa.PrivateKey).Public())
	if err != nil {
		panic(err)
	}
	return der
}

// LogoutToken makes a logout token as it should be; change, if set, alters it.
func (p *Provider) LogoutToken(change func(claims map[string]any)) string {
	return p.LogoutTokenTyped("logout+jwt", change)
}

// LogoutTokenTyped is LogoutToken with another typ.
func (p *Provider) LogoutTokenTyped(typ string, change func(claims map[string]any)) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serial++
	now := p.Clock()
	c := map[string]any{"iss": p.URL, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": fmt.Sprint("logout-", p.serial),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}
	if change != nil {
		change(c)
	}
	return p.jwt(c, typ)
}

// Paths of the provider.
const (
	PathMetadata  = "/.well-known/openid-configuration"
	PathAuthorize = "/authorize"
	PathToken     = "/token"
	PathUserInfo  = "/userinfo"
	PathKeys      = "/keys"
)

func (p *Provider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.Calls[r.URL.Path]++
	slow, down, status := p.Settings.Slow, p.Settings.Down, p.Settings.Status[r.URL.Path]
	p.mu.Unlock()
	if slow != nil {
		select {
		case <-slow:
		case <-r.Context().Done():
			return
		}
	}
	if down {
		panic(http.ErrAbortHandler)
	}
	if status != 0 {
		http.Error(w, http.StatusText(status), status)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.URL.Path {
	case PathMetadata:
		p.metadata(w)
	case PathAuthorize:
		p.authorize(w, r)
	case PathToken:
		p.token(w, r)
	case PathUserInfo:
		p.userInfo(w, r)
	case PathKeys:
		set := jose.JSONWebKeySet{}
		for _, k := range p.keys {
			set.Keys = append(set.Keys, k.Public())
		}
		answer(w, http.StatusOK, set)
	default:
		http.NotFound(w, r)
	}
}

func (p *Provider) metadata(w http.ResponseWriter) {
	m := map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + PathAuthorize, "token_endpoint": p.URL + PathToken,
		"userinfo_endpoint": p.URL + PathUserInfo, "jwks_uri": p.URL + PathKeys,
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"},
		"backchannel_logout_supported":          true, "backchannel_logout_session_supported": true,
		"authorization_response_iss_parameter_supported": p.Settings.AnswersIss,
	}
	if p.Settings.Metadata != nil {
		p.Settings.Metadata(m)
	}
	answer(w, http.StatusOK, m)
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for name, want := range map[string]string{"client_id": ClientID, "response_type": "code", "code_challenge_method": "S256"} {
		if q.Get(name) != want {
			http.Error(w, fmt.Sprintf("%s is %q, want %q", name, q.Get(name), want), http.StatusBadRequest)
			return
		}
	}
	for _, name := range []string{"redirect_uri", "state", "nonce", "code_challenge", "scope"} {
		if q.Get(name) == "" {
			http.Error(w, name+" is missing", http.StatusBadRequest)
			return
		}
	}
	back := url.Values{"state": {q.Get("state")}}
	if p.Settings.AnswersIss {
		back.Set("iss", p.URL)
	}
	if p.Settings.Iss != "" {
		back.Set("iss", p.Settings.Iss)
	}
	if p.Settings.Error != "" {
		back.Set("error", p.Settings.Error)
	} else {
		p.serial++
		code := fmt.Sprint("code-", p.serial)
		p.codes[code] = grant{q.Get("redirect_uri"), q.Get("code_challenge"), q.Get("nonce"), maps.Clone(p.Settings.Person)}
		back.Set("code", code)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if id != ClientID || secret != ClientSecret {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	g, ok := p.codes[r.PostFormValue("code")]
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || r.PostFormValue("grant_type") != "authorization_code" || r.PostFormValue("redirect_uri") != g.redirect ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge {
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant"})
		return
	}
	if !p.Settings.Replayable {
		delete(p.codes, r.PostFormValue("code"))
	}
	p.serial++
	access := fmt.Sprint("access-", p.serial)
	p.access[access] = g.claims
	now := p.Clock()
	hash := sha256.Sum256([]byte(access))
	c := map[string]any{"iss": p.URL, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "nonce": g.nonce,
		"at_hash": base64.RawURLEncoding.EncodeToString(hash[:16])}
	for name, v := range g.claims {
		if !p.Settings.AtUserInfo || name == "sub" || name == "sid" {
			c[name] = v
		}
	}
	if p.Settings.Claims != nil {
		p.Settings.Claims(c)
	}
	answer(w, http.StatusOK, map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": p.jwt(c, "JWT")})
}

func (p *Provider) userInfo(w http.ResponseWriter, r *http.Request) {
	var access string
	_, _ = fmt.Sscanf(r.Header.Get("Authorization"), "Bearer %s", &access)
	c, ok := p.access[access]
	if !ok {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	c = maps.Clone(c)
	if p.Settings.UserInfo != nil {
		p.Settings.UserInfo(c)
	}
	answer(w, http.StatusOK, c)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
