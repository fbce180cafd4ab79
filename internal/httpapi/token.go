package httpapi

import (
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// deliveryOf says how a refresh token came: in the body, if it is there.
func deliveryOf(fromBody string) wire.Delivery {
	if fromBody != "" {
		return wire.DeliveryBody
	}
	return wire.DeliveryCookie
}

// present calls use with the refresh token of a request, from the body or else from
// the cookies, and with what the request shows beside it. sessionID is that of the
// session that the caller means; empty: it does not say.
func (a *API) present(r *http.Request, fromBody, sessionID string, use func(session.Presentation) error) error {
	raw := []string{fromBody}
	if fromBody == "" {
		raw = a.refreshCookies(r)
	}
	if len(raw) == 0 {
		return ErrNoRefreshToken
	}
	tokens, err := a.Sessions.OpenAll(r.Context(), raw)
	if err != nil {
		return err
	}
	p := session.Presentation{Token: tokens[0], Contact: a.Contact(r)}
	if fromBody == "" {
		if p.Token, p.Forged = a.tokenOfPage(r, tokens); p.Forged != nil {
			return use(p)
		}
	}
	if sessionID != "" && sessionID != p.Token.Session.String() {
		return errOtherSession
	}
	return a.WithProof(r, func(b session.Binding) error {
		p.Binding = b
		return use(p)
	})
}

// Encrypted is the binding of tokens to the key that a request is encrypted with,
// if it is (docs/encryption.md).
func Encrypted(r *http.Request) session.Binding {
	key, _ := verify.EncryptedWith(r.Context())
	return session.Binding{EncryptionKey: key}
}

// WithProof calls use with the binding of a request that may carry a proof of
// possession (RFC 9449 §5) beside its encryption. A replay is refused before use is
// called, so that a proof serves one request at most. One that use refuses is
// forgotten: only those who are granted something fill the memory of proofs.
func (a *API) WithProof(r *http.Request, use func(session.Binding) error) error {
	b := Encrypted(r)
	values := r.Header.Values(dpop.Header)
	if values == nil {
		return use(b)
	}
	now := a.Sessions.Now()
	p, err := dpop.Parse(values, dpop.Request{Method: r.Method, URI: a.PublicOrigin + r.URL.Path}, now)
	if err == nil {
		err = a.proofs.Use(p, now)
	}
	if err != nil {
		return err
	}
	b.ProofKey = p.Key
	if err = use(b); err != nil {
		a.proofs.Release(p)
	}
	return err
}

// Response puts the refresh token of a grant where it belongs, into cookies or into
// the body of the response, which it returns.
func (a *API) Response(w http.ResponseWriter, g session.Grant, d wire.Delivery) wire.TokenResponse {
	resp := wire.TokenResponse{
		AccessToken:  g.AccessToken,
		TokenType:    g.TokenType,
		ExpiresIn:    g.ExpiresIn,
		RefreshToken: g.RefreshToken,
		Session:      tokenSession(g.Session.ID, g.ExpiresAt),
	}
	if d == wire.DeliveryCookie {
		if g.RefreshToken != "" {
			a.SetCookies(w, g, a.Sessions.Now())
		}
		resp.RefreshToken = ""
	}
	return resp
}

// SignedIn is Response for a sign-in: it has the user, too.
func (a *API) SignedIn(w http.ResponseWriter, g session.Grant, d wire.Delivery) wire.TokenResponse {
	resp := a.Response(w, g, d)
	resp.User = &g.User.User
	return resp
}

func tokenSession(id rotation.SessionID, expires time.Time) wire.TokenSession {
	return wire.TokenSession{ID: id.String(), ExpiresAt: Timestamp(expires)}
}

// Timestamp is RFC 3339 in UTC, or empty for the zero time.
func Timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
