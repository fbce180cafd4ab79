package profiles

import (
	"slices"
	"strings"
	"time"
)

// MaxLifetime is the longest life of an access token.
const MaxLifetime = 24 * time.Hour

// Profile is one dialect. It is made by Load and not changed afterwards.
type Profile struct {
	Name  string
	About string // one line for lists
	File  string // where it was read; "builtin/…" for our own

	// RequestHeaders may be sent by pages of other origins, beside the usual ones.
	RequestHeaders []string
	// Credential is the request header with the access token.
	Credential string
	// Bare is whether the access token stands alone in it. Otherwise it follows "Bearer",
	// in Authorization.
	Bare bool
	// KeepsGrants is for front-ends that can't renew when a call is refused: their
	// tokens stay good for what old and new grants both allow.
	KeepsGrants bool
	// Lifetime is how long access tokens of this dialect live; 0: as all others.
	Lifetime time.Duration
	Refresh  Travel
	// NoLogout is whether the front-end signs out without a call, and can't be taught one.
	NoLogout bool
	Routes   []*Route
	// API are the paths below which the front-end's own API lies.
	API []string

	envelope *node // around data; nil: none
	refusals refusals
	renew    *renewal
	never    []constraint
}

// Travel says where the refresh token travels. Exactly one is set.
type Travel struct {
	Cookie  string // name, or DefaultCookie
	Body    string // member of the JSON body, or of an object in it: "headers.refresh_token"
	Query   string // parameter
	Carried bool   // in the access token (session.Binding)
	None    bool   // the front-end has no use for one: it signs in again
}

// DefaultCookie stands for the name that the native surface uses.
const DefaultCookie = "default"

func (t Travel) inCookie() bool { return t.Cookie != "" }

// String says it in words, for lists.
func (t Travel) String() string {
	switch {
	case t.Cookie == DefaultCookie:
		return "cookie"
	case t.Cookie != "":
		return "cookie " + t.Cookie
	case t.Body != "":
		return "body " + t.Body
	case t.Query != "":
		return "query " + t.Query
	case t.None:
		return "nowhere: the access token is the only one"
	}
	return "in the access token"
}

// Operation is what a route does.
type Operation string

// Operations.
const (
	OpLogin   Operation = "login"   // session.SignIn
	OpRefresh Operation = "refresh" // session.Refresh
	OpLogout  Operation = "logout"  // session.End; succeeds with dead tokens
	OpUser    Operation = "user"    // who is signed in; needs an access token
	OpConfig  Operation = "config"  // the same for anonymous callers too
	OpFixed   Operation = "fixed"   // one answer for everybody
	opRenew   Operation = "renew"   // the headers of a dialect without OpRefresh
	opAPI     Operation = "api"     // a refusal of an API behind us
)

var operations = []string{string(OpLogin), string(OpRefresh), string(OpLogout), string(OpUser), string(OpConfig), string(OpFixed)}

// Route is one path of a dialect.
type Route struct {
	Method, Path string
	Operation    Operation

	username, password string // members of a login's body
	markedBy           string // member of the body by which its requests are known; "": the usual one
	user               string // member that must name the token's owner; "": none
	form               bool   // a login that may come as a form

	answer    answer
	anonymous *answer
	refusals  refusals
	line      int
}

// answer is how an outcome looks.
type answer struct {
	status  int // 0: that of the error
	headers []member
	body    *node // JSON; nil: none
	text    *node // plain text instead
	data    bool  // body goes into the envelope
}

// refusals are answers by kind, class of kinds or "default".
type refusals map[string]*answer

// renewal hands out new tokens in the headers of other answers.
type renewal struct {
	last    int // per cent of the token's life
	headers []member
}

// constraint is something that would harm the clients of a dialect.
type constraint struct {
	on     string // an operation, or "any"
	status []int  // of a refusal
	member string // of the body of a refusal
	is     []any
	text   bool // an answer, also a success, that is not JSON
	why    string
	line   int
}

// refusal finds the answer to an error on a route: the nearest and most exact.
func (p *Profile) refusal(r *Route, kind string) *answer {
	for _, table := range []refusals{r.refusals, p.refusals} {
		for _, name := range []string{kind, classOf(kind), "default"} {
			if a := table[name]; a != nil {
				return a
			}
		}
	}
	return nil // Load makes sure that there is a default
}

// mark is the body member by which a request on a path that several dialects
// share is known to be for this route; empty: there is none.
func (p *Profile) mark(r *Route) string {
	if r.markedBy != "" {
		return r.markedBy
	}
	switch r.Operation {
	case OpLogin:
		return r.username
	case OpRefresh, OpLogout:
		name, _, _ := strings.Cut(p.Refresh.Body, ".")
		return name
	}
	return ""
}

func (p *Profile) routeOf(op Operation) *Route {
	if i := slices.IndexFunc(p.Routes, func(r *Route) bool { return r.Operation == op }); i >= 0 {
		return p.Routes[i]
	}
	return nil
}
