package verify

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// parseClaims reads the claims set of an access token whose signature is good
// (RFC 9068 §2.2) and checks what does not change with time.
func (v *Verifier) parseClaims(c *compact) (*Token, error) {
	payload, err := b64.DecodeString(c.payload)
	if err != nil {
		return nil, ErrMalformed
	}
	t := &Token{kid: c.kid, by: v}
	if err := members(payload, t.claim); err != nil {
		return nil, err
	}
	switch {
	case t.subject == "", t.client == "", t.id == "", t.session == "", t.issuedAt.IsZero(), t.expiresAt.IsZero():
		return nil, ErrMalformed
	case t.issuer != v.issuer:
		return nil, ErrIssuer
	case !slices.Contains(t.audience, v.audience):
		return nil, ErrAudience
	}
	return t, nil
}

// claim takes in one claim; claims that it does not know are left alone.
func (t *Token) claim(name, value string) (err error) {
	ok := true
	switch name {
	case "iss":
		t.issuer, ok = stringValue(value)
	case "sub":
		t.subject, ok = stringValue(value)
	case "jti":
		t.id, ok = stringValue(value)
	case "client_id":
		t.client, ok = stringValue(value)
	case "sid":
		t.session, ok = stringValue(value)
	case "aud": // one string or several (RFC 7519 §4.1.3)
		if t.audience, ok = stringsValue(value); !ok {
			var one string
			one, ok = stringValue(value)
			t.audience = []string{one}
		}
	case "exp":
		t.expiresAt, ok = dateValue(value)
	case "iat":
		t.issuedAt, ok = dateValue(value)
	case "nbf":
		t.notBefore, ok = dateValue(value)
	case "roles":
		t.roles, ok = stringsValue(value)
	case "scope":
		var scope string
		scope, ok = stringValue(value)
		t.permissions = strings.Fields(scope)
	case "cnf":
		// A confirmation that is not understood must not make a bearer token of it.
		return t.confirmation(value)
	case "enc_jkt":
		t.encryptionKey, ok = stringValue(value)
		ok = ok && t.encryptionKey != ""
	case "chain":
		t.chain, _ = stringValue(value) // of other issuers, it may be anything
	case "grants_version":
		t.grantsVersion, err = strconv.ParseInt(value, 10, 64)
		ok = err == nil && t.grantsVersion >= 0
	}
	if !ok {
		return ErrMalformed
	}
	return nil
}

// confirmation takes in cnf (RFC 7800 §3.1), of which jkt is known.
func (t *Token) confirmation(value string) error {
	err := members([]byte(value), func(name, value string) error {
		var ok bool
		if name != "jkt" {
			return ErrMalformed
		}
		if t.proofKey, ok = stringValue(value); !ok {
			return ErrMalformed
		}
		return nil
	})
	if err != nil || t.proofKey == "" {
		return ErrMalformed
	}
	return nil
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
