package profiles

import (
	"net/http"
	"slices"

	"github.com/tacet-dev/tacet/wire"
)

// Problem is an error as it is explained to a person, before it takes the form
// of a dialect.
type Problem struct {
	Kind    string      // a Kind… name
	Status  int         // of the native surface
	Code    string      // wire.Code…
	Title   string      // in the caller's language
	Detail  string      // the same
	Header  http.Header // Retry-After, WWW-Authenticate
	Missing []string    // members that the body lacks
}

// Kinds of errors that a profile may tell apart. Where the native surface has a
// code for exactly that, it is the code.
const (
	KindCredentials  = wire.CodeInvalidCredentials
	KindThrottled    = wire.CodeThrottled
	KindRequest      = wire.CodeInvalidRequest
	KindMediaType    = wire.CodeUnsupportedMedia
	KindTooLarge     = wire.CodeTooLarge
	KindCSRF         = wire.CodeCSRF // from a foreign page
	KindUnavailable  = wire.CodeUnavailable
	KindServer       = wire.CodeServerError
	KindToken        = wire.CodeInvalidToken // access token missing, invalid or expired
	KindGrants       = wire.GrantsChanged    // access token older than the grants
	KindScope        = wire.CodeInsufficientScope
	KindMissing      = "missing_token" // refresh tokens from here on
	KindNotAuthentic = "not_authentic"
	KindExpired      = "expired"
	KindEnded        = "ended"
	KindReused       = "reused"
	KindForeignUser  = "foreign_user"
)

// kinds says for each kind its native status, the class that it belongs to, and
// on which operations it can come up.
var kinds = []struct {
	name   string
	status int
	class  string
	on     []Operation
}{
	{KindCredentials, http.StatusBadRequest, "", []Operation{OpLogin}},
	{KindThrottled, http.StatusTooManyRequests, "", []Operation{OpLogin}},
	{KindMissing, http.StatusBadRequest, wire.CodeInvalidGrant, []Operation{OpRefresh}},
	{KindNotAuthentic, http.StatusBadRequest, wire.CodeInvalidGrant, []Operation{OpRefresh}},
	{KindExpired, http.StatusBadRequest, wire.CodeInvalidGrant, []Operation{OpRefresh}},
	{KindEnded, http.StatusBadRequest, wire.CodeInvalidGrant, []Operation{OpRefresh}},
	{KindReused, http.StatusBadRequest, wire.CodeInvalidGrant, []Operation{OpRefresh}},
	{KindForeignUser, http.StatusBadRequest, wire.CodeInvalidGrant, []Operation{OpRefresh}},
	{KindToken, http.StatusUnauthorized, "", []Operation{OpUser, OpConfig, opAPI}},
	{KindGrants, http.StatusUnauthorized, KindToken, []Operation{OpUser, OpConfig, opAPI}},
	{KindScope, http.StatusForbidden, "", []Operation{opAPI}},
	{KindRequest, http.StatusBadRequest, "", []Operation{OpLogin, OpRefresh, OpLogout, OpUser, OpConfig, opAPI}},
	{KindMediaType, http.StatusUnsupportedMediaType, "", []Operation{OpLogin, OpRefresh, OpLogout}},
	{KindTooLarge, http.StatusRequestEntityTooLarge, "", []Operation{OpLogin, OpRefresh, OpLogout}},
	{KindCSRF, http.StatusForbidden, "", []Operation{OpLogin, OpRefresh, OpLogout}},
	{KindUnavailable, http.StatusServiceUnavailable, "", []Operation{OpLogin, OpRefresh, OpLogout, OpUser, OpConfig, opAPI}},
	{KindServer, http.StatusInternalServerError, "", []Operation{OpLogin, OpRefresh, OpLogout, OpUser, OpConfig, OpFixed}},
}

func classOf(kind string) string {
	for _, k := range kinds {
		if k.name == kind {
			return k.class
		}
	}
	return ""
}

// refusalNames are the keys that a refusals table may have.
func refusalNames() []string {
	names := []string{"default", wire.CodeInvalidGrant}
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// problemsOn are samples of everything that can go wrong with an operation.
func problemsOn(op Operation) []Problem {
	var out []Problem
	for _, k := range kinds {
		if slices.Contains(k.on, op) {
			out = append(out, Problem{Kind: k.name, Status: k.status, Code: k.name, Title: "title", Detail: "detail"})
		}
	}
	return out
}
