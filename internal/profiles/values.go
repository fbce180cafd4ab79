package profiles

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// values is what the references of a template stand for in one answer.
type values struct {
	grant    *session.Grant // sign-ins and renewals
	issuedAt time.Time      // of the grant
	user     session.User
	sess     session.Session
	expires  time.Time // of the access token
	ends     time.Time // of the session; zero: no limit
	known    func() []string
	keptName string // instead of a refresh token (kept.go)
	problem  Problem
	language string
	data     any // of the envelope
}

// kind is what a value can be used for.
type kind uint8

const (
	kString kind = iota + 1
	kNumber
	kTime // must pass a function before it can be written
	kList // of strings
	kAny
)

// where says in which answers a reference has a value.
type where uint8

const (
	inGrant    where = 1 << iota // login, refresh, renew
	inUser                       // user, config with a credential
	inRefusal                    // refusals
	inEnvelope                   // the envelope itself
	anywhere   where = 0xff
)

// absent is the value of a member that is then left out.
type absentType struct{}

var absent any = absentType{}

// reference is one name between ${ and }.
type reference struct {
	kind  kind
	where where
	get   func(*values) any
}

var references = map[string]reference{
	"access.token":      {kString, inGrant, func(v *values) any { return v.grant.AccessToken }},
	"access.expires_in": {kNumber, inGrant, func(v *values) any { return v.grant.ExpiresIn }},
	"access.expires_at": {kTime, inGrant | inUser, func(v *values) any { return v.expires }},
	"refresh.token": {kString, inGrant, func(v *values) any {
		switch {
		case v.grant.RefreshToken != "":
			return v.grant.RefreshToken
		case v.keptName != "":
			return v.keptName
		}
		return absent // a slow duplicate: keep the one that you have
	}},
	"session.id": {kString, inGrant | inUser, func(v *values) any { return v.sess.ID.String() }},
	"session.expires_in": {kNumber, inGrant, func(v *values) any {
		if v.ends.IsZero() {
			return absent
		}
		return int64(v.ends.Sub(v.expires)/time.Second) + v.grant.ExpiresIn
	}},
	"session.expires_at": {kTime, inGrant | inUser, func(v *values) any { return v.ends }},

	"user.id":          {kString, inGrant | inUser, func(v *values) any { return v.user.ID }},
	"user.username":    {kString, inGrant | inUser, func(v *values) any { return v.user.Username }},
	"user.name":        {kString, inGrant | inUser, func(v *values) any { return displayName(v.user) }},
	"user.email":       {kString, inGrant | inUser, func(v *values) any { return v.user.Email }},
	"user.roles":       {kList, inGrant | inUser, func(v *values) any { return v.user.Roles }},
	"user.permissions": {kList, inGrant | inUser, func(v *values) any { return v.user.Permissions }},
	"user.settings": {kAny, inGrant | inUser, func(v *values) any {
		if v.user.Settings == nil {
			return map[string]any{}
		}
		return v.user.Settings
	}},

	"error.message":     {kString, inRefusal, func(v *values) any { return v.problem.Detail }},
	"error.title":       {kString, inRefusal, func(v *values) any { return v.problem.Title }},
	"error.code":        {kString, inRefusal, func(v *values) any { return v.problem.Code }},
	"error.kind":        {kString, inRefusal, func(v *values) any { return v.problem.Kind }},
	"error.status":      {kNumber, inRefusal, func(v *values) any { return v.problem.Status }},
	"error.missing":     {kList, inRefusal, func(v *values) any { return v.problem.Missing }},
	"error.validations": {kAny, inRefusal, validations},

	"data":             {kAny, inEnvelope, func(v *values) any { return v.data }},
	"request.language": {kString, anywhere, func(v *values) any { return v.language }},
}

// profileReferences need more of the user than renewals look up.
var profileReferences = []string{"user.username", "user.name", "user.email", "user.settings"}

func displayName(u session.User) string {
	if u.DisplayName != "" {
		return u.DisplayName
	}
	return u.Username
}

// validations is [{"message","members"}], one entry for every missing member. It
// is never empty: there are front-ends that look at the first without asking.
func validations(v *values) any {
	if len(v.problem.Missing) == 0 {
		return []any{object{{"message", v.problem.Detail}, {"members", []string{}}}}
	}
	var out []any
	for _, m := range v.problem.Missing {
		out = append(out, object{{"message", v.problem.Detail}, {"members", []string{m}}})
	}
	return out
}

// function is what may follow a reference, behind a colon.
type function struct {
	in, out kind
	call    func(v *values, in any) any
}

var functions = map[string]function{
	// iso is 2026-11-21T12:00:00.000Z.
	"iso": {kTime, kString, onTime(func(t time.Time) any { return t.UTC().Format("2006-01-02T15:04:05.000Z") })},
	// early is up to half a minute, a tenth of an access token's life, before: for
	// front-ends that renew by the clock, and only when it is too late.
	"early": {kTime, kTime, func(v *values, in any) any {
		if v.grant == nil {
			return in
		}
		return in.(time.Time).Add(-min(30*time.Second, time.Duration(v.grant.ExpiresIn)*time.Second/10))
	}},
	// ms and seconds count from the epoch.
	"ms":      {kTime, kNumber, onTime(func(t time.Time) any { return t.UnixMilli() })},
	"seconds": {kTime, kNumber, onTime(func(t time.Time) any { return t.Unix() })},
	// map is {"a:b":true,"a":true}: each item, its parents, and what it covers.
	"map": {kList, kAny, func(v *values, in any) any { return permissionMap(in.([]string), v.known) }},
	// first is the first item of a list, or the empty string.
	"first": {kList, kString, func(_ *values, in any) any {
		if l := in.([]string); len(l) > 0 {
			return l[0]
		}
		return ""
	}},
	// guid gives any id the form of a GUID, always the same one.
	"guid": {kString, kString, func(_ *values, in any) any { return GUID(in.(string)) }},
	// or_null is null for an empty string.
	"or_null": {kString, kAny, func(_ *values, in any) any {
		if in.(string) == "" {
			return nil
		}
		return in
	}},
}

func onTime(f func(time.Time) any) func(*values, any) any {
	return func(_ *values, in any) any {
		if t := in.(time.Time); !t.IsZero() {
			return f(t)
		}
		return absent
	}
}

// permissionMap has the value true for every granted name, for its parents (a
// menu is shown if anything below it may be used), and for every known name that
// is covered by a wildcard, because front-ends look names up and know none.
func permissionMap(granted []string, known func() []string) object {
	names := slices.Clone(granted)
	if known != nil {
		for _, k := range known() {
			if slices.ContainsFunc(granted, func(g string) bool { return wire.Covers(g, k) }) {
				names = append(names, k)
			}
		}
	}
	seen := map[string]bool{}
	for _, n := range names {
		seen[n] = true
		for i, c := range n {
			if (c == ':' || c == '.') && i > 0 {
				seen[n[:i]] = true
			}
		}
	}
	out := make(object, 0, len(seen))
	for n := range seen {
		out = append(out, field{n, true})
	}
	slices.SortFunc(out, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return out
}

var (
	guidForm = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	ownID    = base32.StdEncoding.WithPadding(base32.NoPadding)
)

// GUID is a user id in the form 8-4-4-4-12 that front-ends of .NET systems
// expect: the id itself if it has that form, the 128 bits of an id of the
// embedded directory, and a UUID of version 8 (RFC 9562 §5.8) over any other.
func GUID(id string) string {
	if guidForm.MatchString(id) {
		return strings.ToLower(id)
	}
	var b []byte
	if text, ok := strings.CutPrefix(id, "usr_"); ok {
		if raw, err := ownID.DecodeString(strings.ToUpper(text)); err == nil && len(raw) == 16 {
			b = raw
		}
	}
	if b == nil {
		sum := sha256.Sum256([]byte("tacet user id\x00" + id))
		b = sum[:16]
		b[6] = b[6]&0x0f | 0x80
		b[8] = b[8]&0x3f | 0x80
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// sample is a set of values with which Load tries out every answer.
func sample(p Problem) *values {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	u := session.User{Roles: []string{"role"}, Permissions: []string{"area:read"}}
	u.ID, u.Username, u.DisplayName, u.Email = "id", "username", "name", "mail@example.com"
	return &values{
		grant:    &session.Grant{AccessToken: "access", ExpiresIn: 900, RefreshToken: "refresh", User: u},
		issuedAt: now, user: u, expires: now.Add(time.Hour), ends: now.Add(24 * time.Hour),
		problem: p, language: "en",
	}
}
