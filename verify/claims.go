package verify

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/wire/jose"
)

// parseClaims reads the claims set of an access token whose signature is good
// (RFC 9068 §2.2) and checks what does not change with time.
func (v *Verifier) parseClaims(c *jose.JWS) (*Token, error) {
	t := &Token{kid: c.KeyID, by: v}
	if payload, ok := c.Payload(); !ok || !jose.Members(payload, t.claim) {
		return nil, ErrMalformed
	}
	if name := t.missing(); name != "" {
		return nil, &cause{"the access token has no claim " + name + " (RFC 9068 §2.2)", ErrMalformed}
	}
	switch {
	case t.issuer != v.issuer:
		return nil, ErrIssuer
	case v.audience != "" && !slices.Contains(t.audience, v.audience):
		return nil, ErrAudience
	}
	return t, nil
}

// missing is a claim that an access token must have and this one has not. sid is not
// among them: other issuers than Tacet have none.
func (t *Token) missing() string {
	switch {
	case t.subject == "":
		return "sub"
	case t.client == "":
		return "client_id"
	case t.id == "":
		return "jti"
	case t.issuedAt.IsZero():
		return "iat"
	case t.expiresAt.IsZero():
		return "exp"
	}
	return ""
}

// claim takes in one claim; claims that it does not know are left alone.
func (t *Token) claim(name, value string) (ok bool) {
	ok = true
	switch name {
	case "iss":
		t.issuer, ok = jose.String(value)
	case "sub":
		t.subject, ok = jose.String(value)
	case "jti":
		t.id, ok = jose.String(value)
	case "client_id":
		t.client, ok = jose.String(value)
	case "sid":
		t.session, ok = jose.String(value)
	case "aud": // one string or several (RFC 7519 §4.1.3)
		if t.audience, ok = jose.Strings(value); !ok {
			var one string
			one, ok = jose.String(value)
			t.audience = []string{one}
		}
	case "exp":
		t.expiresAt, ok = jose.Date(value)
	case "iat":
		t.issuedAt, ok = jose.Date(value)
	case "nbf":
		t.notBefore, ok = jose.Date(value)
	case "roles":
		t.roles, ok = jose.Strings(value)
	case "scope":
		var scope string
		scope, ok = jose.String(value)
		t.permissions = strings.Fields(scope)
	case "acr":
		t.acr, ok = jose.String(value)
	case "amr":
		t.amr, ok = jose.Strings(value)
	case "auth_time":
		t.authTime, ok = jose.Date(value)
	case "cnf":
		// A confirmation that is not understood must not make a bearer token of it.
		return t.confirmation(value)
	case "enc_jkt":
		t.encryptionKey, ok = jose.String(value)
		ok = ok && t.encryptionKey != ""
	case "chain":
		t.chain, _ = jose.String(value) // of other issuers, it may be anything
	case "keeps_grants":
		t.keepsGrants = value == "true"
	case "grants_version":
		var err error
		t.grantsVersion, err = strconv.ParseInt(value, 10, 64)
		ok = err == nil && t.grantsVersion >= 0
	}
	return ok
}

// confirmation takes in cnf (RFC 7800 §3.1), of which jkt is known.
func (t *Token) confirmation(value string) bool {
	return jose.Members([]byte(value), func(name, value string) (ok bool) {
		t.proofKey, ok = jose.String(value)
		return ok && name == "jkt"
	}) && t.proofKey != ""
}

// checkTimes applies exp, iat and nbf.
func (v *Verifier) checkTimes(t *Token, now time.Time) error {
	early := now.Add(v.ahead)
	switch {
	case !now.Add(-v.leeway).Before(t.expiresAt):
		return ErrExpired
	case early.Before(t.issuedAt), early.Before(t.notBefore):
		return ErrNotYetValid
	}
	return nil
}
