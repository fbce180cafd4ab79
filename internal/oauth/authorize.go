package oauth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tacet-dev/tacet/internal/httpapi/form"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// Request is an authorization request that may be answered (RFC 6749 §4.1.1).
type Request struct {
	Client    Client
	Redirect  string // where the answer goes
	LoginHint string
	Locales   string // ui_locales

	state, nonce, challenge string
	proofKey                string // dpop_jkt
	redirectURI             string // as it was sent: empty if it was left out
	subject                 string // the user whom id_token_hint names; empty: any
	scope, resource         string
	issuer                  string
}

// RedirectError is a refusal that the client is told through the browser.
type RedirectError struct {
	Refusal  *form.Error
	Location string // of the client, with the refusal in it
}

func (e *RedirectError) Error() string { return e.Refusal.Error() }
func (e *RedirectError) Unwrap() error { return e.Refusal }

// challengeForm is the base64url text of a SHA-256 (RFC 7636 §4.2).
var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// verifierForm is RFC 7636 §4.1.
var verifierForm = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)

// Authorization reads an authorization request. A *RedirectError is for the
// client; an *form.Error for the user alone, because it is not certain to whom the
// browser would be sent (RFC 6749 §4.1.2.1).
func (s *Server) Authorization(ctx context.Context, p form.Params) (Request, error) {
	r := Request{state: p["state"], nonce: p["nonce"], challenge: p["code_challenge"], proofKey: p["dpop_jkt"], redirectURI: p["redirect_uri"],
		LoginHint: p["login_hint"], Locales: p["ui_locales"], resource: p[form.Resource], issuer: s.Sessions.Issuer()}
	id, err := p.Need("client_id")
	if err != nil {
		return Request{}, err
	}
	r.Client, err = s.client(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return Request{}, form.Refuse(form.CodeInvalidRequest, "there is no client with this client_id")
	} else if err != nil {
		return Request{}, settle(err)
	}
	r.Redirect = r.redirectURI
	switch {
	case len(r.Client.RedirectURIs) == 0:
		return Request{}, form.Refuse(form.CodeInvalidRequest, "the client has no redirect URI registered")
	case r.Redirect == "" && len(r.Client.RedirectURIs) == 1:
		r.Redirect = r.Client.RedirectURIs[0] // RFC 6749 §3.1.2.3
	case r.Redirect == "":
		return Request{}, form.Refuse(form.CodeInvalidRequest, "redirect_uri is missing, and the client has registered several")
	case !allows(r.Client.RedirectURIs, r.Redirect):
		return Request{}, form.Refuse(form.CodeInvalidRequest, "redirect_uri is not one that the client has registered; they are compared as a whole")
	}
	if err = r.check(p); err == nil {
		r.scope, err = r.Client.scope(p["scope"])
	}
	if hint := p["id_token_hint"]; err == nil && hint != "" {
		claims, ok := s.hint(hint, "")
		if r.subject = claims.Subject; !ok {
			err = form.Refuse(form.CodeInvalidRequest, "id_token_hint is not an ID token of this server")
		}
	}
	if err == nil {
		_, err = s.audience(r.Client, r.resource)
	}
	if err != nil {
		return Request{}, r.refused(err)
	}
	return r, nil
}

func (r Request) check(p form.Params) error {
	switch {
	case p["request"] != "":
		return form.Refuse(form.CodeRequestNotSupported, "send the parameters themselves")
	case p["request_uri"] != "":
		return form.Refuse(form.CodeRequestURINotSupported, "send the parameters themselves")
	case p["response_type"] == "":
		return form.Refuse(form.CodeInvalidRequest, "the parameter response_type is missing")
	case p["response_type"] != "code":
		return form.Refuse(form.CodeUnsupportedResponseType, "only response_type=code is supported")
	case p["response_mode"] != "" && p["response_mode"] != "query":
		return form.Refuse(form.CodeInvalidRequest, "only response_mode=query is supported")
	case r.redirectURI == "" && hasScope(p["scope"], wire.ScopeOpenID): // OpenID Connect Core §3.1.2.1
		return form.Refuse(form.CodeInvalidRequest, "the parameter redirect_uri is missing")
	}
	if err := r.checkChallenge(p["code_challenge_method"]); err != nil {
		return err
	}
	return checkPrompt(p)
}

// checkChallenge is RFC 7636 §4.4.1. A public client must use it; one with a secret
// may rely on that, and on nonce (RFC 9700 §2.1.1).
func (r Request) checkChallenge(method string) error {
	switch {
	case r.challenge == "" && method == "" && !r.Client.Public():
	case r.challenge == "":
		return form.Refuse(form.CodeInvalidRequest, "code challenge required (RFC 7636): send code_challenge and code_challenge_method=S256")
	case method != "S256":
		return form.Refuse(form.CodeInvalidRequest, "transform algorithm not supported: code_challenge_method must be S256")
	case !challengeForm.MatchString(r.challenge):
		return form.Refuse(form.CodeInvalidRequest, "code_challenge is not a SHA-256 in base64url without padding")
	case r.proofKey != "" && !challengeForm.MatchString(r.proofKey):
		return form.Refuse(form.CodeInvalidRequest, "dpop_jkt is not a SHA-256 in base64url without padding")
	}
	return nil
}

// checkPrompt is for what says whether the user is asked (OpenID Connect Core
// §3.1.2.1). There is no session of the browser with this server, only with clients,
// so the user always signs in, and is never older than max_age.
func checkPrompt(p form.Params) error {
	prompt := strings.Fields(p["prompt"])
	_, err := strconv.ParseUint(cmp.Or(p["max_age"], "0"), 10, 31)
	switch {
	case err != nil:
		return form.Refuse(form.CodeInvalidRequest, "max_age is not a number of seconds")
	case slices.Contains(prompt, "none") && len(prompt) > 1:
		return form.Refuse(form.CodeInvalidRequest, "prompt=none stands alone")
	case slices.Contains(prompt, "none"):
		return form.Refuse(form.CodeLoginRequired, "the user has to sign in; renew with the refresh token instead")
	}
	return nil
}

// response is where the browser goes with these parameters. It always says who
// answers (RFC 9207 §2).
func (r Request) response(p url.Values) string {
	p.Set("iss", r.issuer)
	if r.state != "" {
		p.Set("state", r.state)
	}
	return withParams(r.Redirect, p)
}

// refused tells the client; an outage has the code for it (RFC 6749 §4.1.2.1).
func (r Request) refused(err error) error {
	var e *form.Error
	if !errors.As(err, &e) {
		return settle(err)
	}
	return &RedirectError{e, r.response(url.Values{"error": {e.Code}, "error_description": {e.Description}})}
}

// Deny is where the browser goes when the user does not want to sign in.
func (r Request) Deny() string {
	return r.response(url.Values{"error": {form.CodeAccessDenied}, "error_description": {"the user did not sign in"}})
}

// SignIn checks the password and returns where the browser takes the code. The
// error is one of session.Service.Authenticate.
func (s *Server) SignIn(ctx context.Context, r Request, username, password string, c session.Contact) (location string, err error) {
	who, err := s.Sessions.Authenticate(ctx, username, password, c)
	if err != nil {
		return "", err
	}
	return s.SignedIn(ctx, r, who, session.Origin{})
}

// SignedIn is SignIn for a user whom a provider has vouched for.
func (s *Server) SignedIn(ctx context.Context, r Request, who session.Identity, o session.Origin) (location string, err error) {
	if r.subject != "" && r.subject != who.UserID { // OpenID Connect Core §3.1.2.1
		return r.response(url.Values{"error": {form.CodeLoginRequired}, "error_description": {"another user than that of id_token_hint has signed in"}}), nil
	}
	code, now := s.random(), s.now()
	err = s.Store.AddFlow(ctx, Flow{
		Key: KeyOf(code), ClientID: r.Client.ID, RedirectURI: r.redirectURI, Challenge: r.challenge, ProofKey: r.proofKey,
		Scope: r.scope, Resource: r.resource, Nonce: r.nonce, UserID: who.UserID, Credentials: who.Credentials, Origin: o, SignedInAt: now, ExpiresAt: now.Add(CodeLifetime),
	})
	if err != nil {
		return "", settle(err)
	}
	return r.response(url.Values{"code": {code}}), nil
}

// proves is RFC 7636 §4.6 for S256.
func proves(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return verifierForm.MatchString(verifier) && base64.RawURLEncoding.EncodeToString(sum[:]) == challenge
}

// LogoutRedirect returns where the browser goes after signing out, or "" if the
// URI is not one of the client's.
func (c Client) LogoutRedirect(uri, state string) string {
	if uri == "" || !slices.Contains(c.LogoutURIs, uri) {
		return ""
	}
	p := url.Values{}
	if state != "" {
		p.Set("state", state)
	}
	return withParams(uri, p)
}
