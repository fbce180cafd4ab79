package httpapi_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/wire"
)

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// proof is for one request; a resource request also names its access token.
func (h *oauthHarness) proof(key crypto.Signer, method, path string, token ...string) string {
	h.Helper()
	raw, err := dpop.Sign(key, dpop.Request{Method: method, URI: h.URL + path, AccessToken: strings.Join(token, "")}, h.Clock.Now())
	if err != nil {
		h.Fatal(err)
	}
	return raw
}

// token is a request to the token endpoint with a proof of the key.
func (h *oauthHarness) tokenWith(key crypto.Signer, pairs ...string) answer {
	h.Helper()
	return h.form(wire.PathToken, values(pairs...), dpop.Header, h.proof(key, "POST", wire.PathToken))
}

func (h *oauthHarness) exchangeWith(key crypto.Signer, code string) answer {
	h.Helper()
	return h.tokenWith(key, "grant_type", "authorization_code", "code", code, "client_id", "spa", "redirect_uri", callback, "code_verifier", verifier)
}

func (h *oauthHarness) renewWith(key crypto.Signer, token string) answer {
	h.Helper()
	return h.tokenWith(key, "grant_type", "refresh_token", "refresh_token", token, "client_id", "spa")
}

func (a answer) bound() (g oauth.Answer) {
	a.t.Helper()
	a.want(200)
	a.json(&g)
	if g.TokenType != "DPoP" || g.AccessToken == "" {
		a.t.Fatalf("not bound: %s", a.body)
	}
	return g
}

func (h *oauthHarness) userInfo(headers ...string) answer {
	h.Helper()
	return h.call(http.DefaultClient, "GET", wire.PathUserInfo, "", headers...)
}

func (h *oauthHarness) userInfoWith(key crypto.Signer, token string) answer {
	h.Helper()
	return h.userInfo("Authorization", "DPoP "+token, dpop.Header, h.proof(key, "GET", wire.PathUserInfo, token))
}

func TestRFC9449_5_TokensAreBound(t *testing.T) {
	h := newOAuthHarness(t)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for name, key := range map[string]crypto.Signer{"ES256": newKey(t), "EdDSA": ed} {
		t.Run(name, func(t *testing.T) {
			g := h.exchangeWith(key, h.code(request())).bound()
			h.userInfoWith(key, g.AccessToken).want(200)
			for range 3 {
				h.Clock.Advance(time.Hour)
				g = h.renewWith(key, g.RefreshToken).bound()
				h.userInfoWith(key, g.AccessToken).want(200)
			}
		})
	}
	var m wire.OAuthMetadata
	h.call(http.DefaultClient, "GET", wire.PathOAuthMetadata, "").json(&m)
	if strings.Join(m.DPoPAlgorithms, " ") != "ES256 Ed25519 EdDSA" {
		t.Errorf("metadata: %v", m.DPoPAlgorithms)
	}
}

// A stolen refresh token is worth nothing without the key, wherever it is
// presented, and presenting it takes nothing from its owner: not even an old copy,
// which would end any other session.
func TestRFC9449_5_AStolenRefreshToken(t *testing.T) {
	h := newOAuthHarness(t)
	key := newKey(t)
	first := h.exchangeWith(key, h.code(request())).bound()
	g := first
	for range 3 {
		g = h.renewWith(key, g.RefreshToken).bound()
	}
	h.Clock.Advance(time.Minute)
	for _, stolen := range []string{first.RefreshToken, g.RefreshToken} {
		h.renew(stolen, "client_id", "spa").oauthError(400, "invalid_grant")
		h.renew(stolen).oauthError(400, "invalid_grant")
		h.renewWith(newKey(t), stolen).oauthError(400, "invalid_grant")
		h.form(wire.PathToken, values("grant_type", "refresh_token", "refresh_token", stolen), dpop.Header, "x").oauthError(400, "invalid_dpop_proof")
		for _, path := range []string{"/auth/refresh", "/auth/confirm"} {
			body, _ := json.Marshal(wire.RefreshRequest{RefreshToken: stolen})
			h.call(http.DefaultClient, "POST", path, string(body)).problem(400, wire.CodeInvalidGrant)
		}
	}
	if strings.Contains(h.Logged.String(), wire.EventReuseDetected) {
		t.Error("an old copy without the key has ended the session")
	}
	g = h.renewWith(key, g.RefreshToken).bound()
	// Whoever has the key as well is found out as anywhere else.
	h.renewWith(key, first.RefreshToken).oauthError(400, "invalid_grant")
	h.renewWith(key, g.RefreshToken).oauthError(400, "invalid_grant")
}

// A client with a secret proves itself by that, and may change keys.
func TestRFC9449_5_ConfidentialClients(t *testing.T) {
	h := newOAuthHarness(t)
	g := h.signInWeb()
	one, two := newKey(t), newKey(t)
	for _, key := range []crypto.Signer{one, two} {
		a := h.form(wire.PathToken, values("grant_type", "refresh_token", "refresh_token", g.RefreshToken),
			append(h.asWeb(), dpop.Header, h.proof(key, "POST", wire.PathToken))...)
		g = a.bound()
		h.userInfoWith(key, g.AccessToken).want(200)
		h.userInfo("Authorization", "Bearer "+g.AccessToken).want(401)
	}
	h.userInfoWith(one, g.AccessToken).want(401)
	g = h.form(wire.PathToken, values("grant_type", "refresh_token", "refresh_token", g.RefreshToken), h.asWeb()...).granted()
	h.userInfo("Authorization", "Bearer "+g.AccessToken).want(200)
}

func TestRFC9449_10_ACodeIsBoundByDPoPJKT(t *testing.T) {
	h := newOAuthHarness(t)
	key := newKey(t)
	p, err := dpop.Parse([]string{h.proof(key, "GET", "/")}, dpop.Request{Method: "GET", URI: h.URL + "/"}, h.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	code := h.code(request("dpop_jkt", p.Key))
	h.exchange(code).oauthError(400, "invalid_grant")
	h.exchangeWith(newKey(t), code).oauthError(400, "invalid_grant")
	h.exchangeWith(key, code).bound() // nothing was consumed
	if q := h.authorize(request("dpop_jkt", "short")).redirected(callback); q.Get("error") != "invalid_request" {
		t.Errorf("%v", q)
	}
}

func TestRFC9449_11_1_ReplayAtTheTokenEndpoint(t *testing.T) {
	h := newOAuthHarness(t)
	key := newKey(t)
	g := h.exchangeWith(key, h.code(request())).bound()
	proof := h.proof(key, "POST", wire.PathToken)
	p := values("grant_type", "refresh_token", "refresh_token", g.RefreshToken, "client_id", "spa")
	h.form(wire.PathToken, p, dpop.Header, proof).bound()
	h.form(wire.PathToken, p, dpop.Header, proof).oauthError(400, "invalid_dpop_proof")
	for name, proof := range map[string]string{
		"for another endpoint": h.proof(key, "POST", wire.PathRevoke),
		"for another method":   h.proof(key, "GET", wire.PathToken),
		"empty":                "",
	} {
		t.Run(name, func(t *testing.T) {
			h.form(wire.PathToken, p, dpop.Header, proof).oauthError(400, "invalid_dpop_proof")
		})
	}
	// Who is refused for another reason fills no memory of proofs.
	fresh := h.proof(key, "POST", wire.PathToken)
	h.form(wire.PathToken, values("grant_type", "refresh_token", "refresh_token", "nonsense", "client_id", "spa"), dpop.Header, fresh).oauthError(400, "invalid_grant")
	h.form(wire.PathToken, p, dpop.Header, fresh).bound()
	h.form(wire.PathToken, p, dpop.Header, fresh).oauthError(400, "invalid_dpop_proof")
	old := h.proof(key, "POST", wire.PathToken)
	h.Clock.Advance(dpop.MaxAge + time.Second)
	h.form(wire.PathToken, p, dpop.Header, old).oauthError(400, "invalid_dpop_proof")
	h.renewWith(key, g.RefreshToken).bound()
}

// RFC 9449 §7.1: at a resource, what each mistake is answered with.
func TestRFC9449_7_1_Resources(t *testing.T) {
	h := newOAuthHarness(t)
	key := newKey(t)
	g, other := h.exchangeWith(key, h.code(request())).bound(), h.exchangeWith(key, h.code(request())).bound()
	plain := h.signIn()
	used := h.proof(key, "GET", wire.PathUserInfo, g.AccessToken)
	h.userInfo("Authorization", "DPoP "+g.AccessToken, dpop.Header, used).want(200)
	for name, c := range map[string]struct {
		token, scheme, proof, scheme2, code string
	}{
		"a bound token as Bearer":                {g.AccessToken, "Bearer", "", "DPoP", "invalid_token"},
		"as Bearer, with a good proof":           {g.AccessToken, "Bearer", h.proof(key, "GET", wire.PathUserInfo, g.AccessToken), "DPoP", "invalid_token"},
		"no proof":                               {g.AccessToken, "DPoP", "", "DPoP", "invalid_dpop_proof"},
		"a replay":                               {g.AccessToken, "DPoP", used, "DPoP", "invalid_dpop_proof"},
		"of another key":                         {g.AccessToken, "DPoP", h.proof(newKey(t), "GET", wire.PathUserInfo, g.AccessToken), "DPoP", "invalid_token"},
		"for another token":                      {g.AccessToken, "DPoP", h.proof(key, "GET", wire.PathUserInfo, other.AccessToken), "DPoP", "invalid_dpop_proof"},
		"without ath":                            {g.AccessToken, "DPoP", h.proof(key, "GET", wire.PathUserInfo), "DPoP", "invalid_dpop_proof"},
		"for another method":                     {g.AccessToken, "DPoP", h.proof(key, "POST", wire.PathUserInfo, g.AccessToken), "DPoP", "invalid_dpop_proof"},
		"for another path":                       {g.AccessToken, "DPoP", h.proof(key, "GET", "/auth/me", g.AccessToken), "DPoP", "invalid_dpop_proof"},
		"a bearer token as bound":                {plain.AccessToken, "DPoP", h.proof(key, "GET", wire.PathUserInfo, plain.AccessToken), "DPoP", "invalid_token"},
		"a token that is none, with a proof":     {"garbage", "DPoP", h.proof(key, "GET", wire.PathUserInfo, "garbage"), "Bearer", "invalid_token"},
		"the scheme in other letters, no proof":  {g.AccessToken, "dpop", "", "DPoP", "invalid_dpop_proof"},
		"the scheme in other letters, as Bearer": {g.AccessToken, "bEARER", "", "DPoP", "invalid_token"},
	} {
		headers := []string{"Authorization", c.scheme + " " + c.token}
		if c.proof != "" {
			headers = append(headers, dpop.Header, c.proof)
		}
		a := h.userInfo(headers...)
		challenge := a.Header.Get("WWW-Authenticate")
		if a.StatusCode != 401 || !strings.HasPrefix(challenge, c.scheme2+" ") || !strings.Contains(challenge, `error="`+c.code+`"`) ||
			(c.scheme2 == "DPoP") != strings.Contains(challenge, `algs="ES256 Ed25519 EdDSA"`) {
			t.Errorf("%s: %d %s", name, a.StatusCode, challenge)
		}
	}
	h.userInfoWith(key, g.AccessToken).want(200)
	h.userInfo("Authorization", "Bearer "+plain.AccessToken).want(200)
}

func TestRFC9449_6_2_Introspection(t *testing.T) {
	h := newOAuthHarness(t)
	key := newKey(t)
	g := h.exchangeWith(key, h.code(request())).bound()
	p, err := dpop.Parse([]string{h.proof(key, "GET", "/")}, dpop.Request{Method: "GET", URI: h.URL + "/"}, h.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	var state oauth.State
	h.form(wire.PathIntrospect, values("token", g.AccessToken), h.asWeb()...).want(200).json(&state)
	if !state.Active || state.TokenType != "DPoP" || state.Confirmation == nil || state.Confirmation.KeyThumbprint != p.Key {
		t.Errorf("%+v", state)
	}
	var plain oauth.State
	h.form(wire.PathIntrospect, values("token", h.signIn().AccessToken), h.asWeb()...).want(200).json(&plain)
	if !plain.Active || plain.TokenType != "Bearer" || plain.Confirmation != nil {
		t.Errorf("%+v", plain)
	}
	// Revoking by whoever has it needs no key: it ends, and gives nothing.
	h.form(wire.PathRevoke, values("token", g.RefreshToken, "client_id", "spa")).want(200)
	h.renewWith(key, g.RefreshToken).oauthError(400, "invalid_grant")
}
