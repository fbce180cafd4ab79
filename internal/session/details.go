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

// apply puts the details of a session into the claims of an access token.
func (d Details) apply(c *wire.AccessClaims) {
	if d.Limited {
		c.Scope = intersect(d.Scope, c.Scope)
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

// intersect is what both scopes grant, by the rule of [wire.Covers].
func intersect(a, b string) string {
	var both []string
	add := func(p string) {
		if !slices.Contains(both, p) {
			both = append(both, p)
		}
	}
	for p := range strings.FieldsSeq(a) {
		for q := range strings.FieldsSeq(b) {
			switch {
			case wire.Covers(q, p):
				add(p)
			case wire.Covers(p, q):
				add(q)
			}
		}
	}
	return strings.Join(both, " ")
}
