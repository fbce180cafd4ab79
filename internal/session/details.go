package session

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// Details are what a session remembers of its sign-in for its access tokens. The
// zero Details, which most sessions have: nothing.
type Details struct {
	// Limited is whether access tokens grant what Scope has, and no more.
	Limited bool
	Scope   string // separated by spaces (RFC 6749 §3.3)
	// Audience is the aud of access tokens (RFC 8707). Empty: that of the service.
	Audience string
	// How and when the user has signed in (RFC 9068 §2.2.1, OpenID Connect Core
	// §2). AMR is separated by spaces; AuthTime is in whole seconds.
	ACR, AMR string
	AuthTime time.Time
}

type storedDetails struct {
	Scope    *string `json:"scope,omitempty"` // nil: not limited
	Audience string  `json:"aud,omitempty"`
	ACR      string  `json:"acr,omitempty"`
	AMR      string  `json:"amr,omitempty"`
	AuthTime int64   `json:"auth_time,omitempty"`
}

// Encode is the form in which a [Session] keeps Details: JSON, or "" for the zero
// Details.
func (d Details) Encode() string {
	if d == (Details{}) {
		return ""
	}
	s := storedDetails{Audience: d.Audience, ACR: d.ACR, AMR: d.AMR}
	if d.Limited {
		s.Scope = &d.Scope
	}
	if !d.AuthTime.IsZero() {
		s.AuthTime = d.AuthTime.Unix()
	}
	return string(mustJSON(s))
}

// DecodeDetails reads what Encode made.
func DecodeDetails(text string) (d Details, err error) {
	if text == "" {
		return d, nil
	}
	var s storedDetails
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return d, fmt.Errorf("session: the stored details of a session can't be read: %w", err)
	}
	d = Details{Audience: s.Audience, ACR: s.ACR, AMR: s.AMR}
	if s.Scope != nil {
		d.Limited, d.Scope = true, *s.Scope
	}
	if s.AuthTime != 0 {
		d.AuthTime = time.Unix(s.AuthTime, 0).UTC()
	}
	return d, nil
}

// limit is what a session grants at its start: never more later on, whatever the
// user is granted then (RFC 6749 §6).
func (d *Details) limit(u User) {
	if d.Limited {
		d.Scope = Narrow(d.Scope, withIdentity(u.Scope))
	}
}

// apply puts the details of a session into the claims of an access token. asked is
// the scope that the request asks for; empty: all.
func (d Details) apply(c *wire.AccessClaims, asked string) {
	if d.Limited {
		c.Scope = Narrow(d.Scope, withIdentity(c.Scope))
	}
	if !d.Limited { // stock clients repeat openid, which says nothing here
		asked = permissions(asked)
	}
	if asked != "" {
		c.Scope = Narrow(asked, c.Scope)
	}
	if d.Limited && !hasScope(c.Scope, wire.ScopeRoles) {
		c.Roles = nil // they would say more than the scope
	}
	if d.Audience != "" {
		c.Audience = d.Audience
	}
	c.ACR, c.AMR = d.ACR, strings.Fields(d.AMR)
	if !d.AuthTime.IsZero() {
		c.AuthTime = d.AuthTime.Unix()
	}
}

// exceeds reports whether a request asks for more than the session grants.
func (d Details) exceeds(asked string) bool {
	if !d.Limited {
		return false // the user's grants of now are the limit
	}
	for p := range strings.FieldsSeq(asked) {
		if !slices.ContainsFunc(strings.Fields(d.Scope), func(q string) bool { return covers(q, p) }) {
			return true
		}
	}
	return false
}

// SameAudience compares audiences, of which those that are URIs may end in a slash
// or not: clients write an origin in both ways.
func SameAudience(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") }

// withIdentity is a scope with the identity scopes, which no user is granted: what
// is told of the user is between the client and the administrator.
func withIdentity(scope string) string {
	return scope + " " + strings.Join(wire.IdentityScopes, " ")
}

// permissions is a scope without the identity scopes.
func permissions(scope string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(scope), func(s string) bool { return slices.Contains(wire.IdentityScopes, s) }), " ")
}

func hasScope(scope, one string) bool { return slices.Contains(strings.Fields(scope), one) }

// Narrow is the part of the scope asked that has grants, in the order of asked.
// Permissions are compared by the rule of [wire.Covers], and the identity scopes as
// they are: no wildcard stands for them.
func Narrow(asked, has string) string {
	var both []string
	add := func(p string) {
		if !slices.Contains(both, p) {
			both = append(both, p)
		}
	}
	for p := range strings.FieldsSeq(asked) {
		for q := range strings.FieldsSeq(has) {
			switch {
			case covers(q, p):
				add(p)
			case covers(p, q):
				add(q)
			}
		}
	}
	return strings.Join(both, " ")
}

// covers is [wire.Covers] in a scope.
func covers(granted, wanted string) bool {
	if slices.Contains(wire.IdentityScopes, granted) || slices.Contains(wire.IdentityScopes, wanted) {
		return granted == wanted
	}
	return wire.Covers(granted, wanted)
}
