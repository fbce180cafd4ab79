package profiles

import (
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/wire"
)

// Refuse answers a request for an API that was refused because of its access
// token in the form of a dialect, and reports whether it did: front-ends that
// look for a code in the body would not renew at a plain 401. The dialect is the
// one whose api covers the path, or the only one that is switched on. Headers of
// the native refusal are set already.
func (s *Set) Refuse(w http.ResponseWriter, r *http.Request, p wire.Problem) bool {
	profile := s.ofAPI(r.URL.Path)
	if profile == nil {
		return false
	}
	problem := Problem{Kind: p.Code, Status: p.Status, Code: p.Code, Title: p.Title, Detail: p.Detail}
	a := profile.refusal(&Route{Operation: opAPI}, problem.Kind)
	if status := a.statusFor(problem); status != http.StatusUnauthorized && status != http.StatusForbidden {
		w.Header().Del("WWW-Authenticate")
	}
	profile.write(w, a, &values{problem: problem, language: w.Header().Get("Content-Language")})
	return true
}

// ofAPI is the profile whose API a path belongs to, or nil. The longest prefix
// counts.
func (s *Set) ofAPI(path string) *Profile {
	var found *Profile
	longest := -1
	for _, p := range s.Profiles {
		for _, prefix := range p.API {
			if len(prefix) > longest && (path == prefix || strings.HasPrefix(path, prefix+"/")) {
				found, longest = p, len(prefix)
			}
		}
	}
	if found == nil && len(s.Profiles) == 1 {
		return s.Profiles[0]
	}
	return found
}
