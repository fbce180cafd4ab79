package gateway

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Identify says in headers who is calling (package wire, HeaderUser and so on).
// All of them are set, those with nothing to say to an empty value, so that a
// proxy that copies them replaces whatever the caller sent.
func Identify(h http.Header, t *verify.Token) {
	h.Set(wire.HeaderUser, encode(t.Subject()))
	h.Set(wire.HeaderSession, encode(t.SessionID()))
	h.Set(wire.HeaderClient, encode(t.ClientID()))
	h.Set(wire.HeaderRoles, list(t.Roles()))
	h.Set(wire.HeaderPermissions, list(t.Permissions()))
	h.Set(wire.HeaderGrantsVersion, strconv.FormatInt(t.GrantsVersion(), 10))
}

func list(values []string) string {
	for i, v := range values {
		values[i] = encode(v)
	}
	return strings.Join(values, ",")
}

// encode percent-encodes all that a header or a list can't hold.
func encode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c > '~' || c == '%' || c == ',' {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

const hex = "0123456789ABCDEF"

// identityLife is how long a signed identity is good: long enough for clocks
// that differ, too short to be worth keeping.
const identityLife = time.Minute

// claims are what a signed identity says to the upstream with that origin.
func claims(t *verify.Token, audience string, now time.Time) wire.AccessClaims {
	return wire.AccessClaims{
		Issuer:        t.Issuer(),
		Subject:       t.Subject(),
		Audience:      audience,
		IssuedAt:      now.Unix(),
		ExpiresAt:     now.Add(identityLife).Unix(),
		ID:            t.ID(),
		ClientID:      t.ClientID(),
		SessionID:     t.SessionID(),
		Roles:         t.Roles(),
		Scope:         strings.Join(t.Permissions(), " "),
		GrantsVersion: t.GrantsVersion(),
	}
}
