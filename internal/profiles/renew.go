package profiles

import (
	"net/http"
	"slices"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/verify"
)

// Credentials serves dialects whose access token does not follow "Bearer" in
// Authorization, on every route behind next: it is put there, where decryption, the
// native surface and the gateway look for it. It is next itself if no profile needs it.
func (s *Surface) Credentials(next http.Handler) http.Handler {
	need := s.those(func(p *Profile) bool { return p.Bare })
	if len(need) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, p := range need {
			raw := bare(r, p.Credential)
			if raw == "" {
				continue
			}
			r = r.Clone(r.Context()) // ng-alain sends the token that it had before in Authorization
			r.Header.Set("Authorization", "Bearer "+raw)
			break
		}
		next.ServeHTTP(w, r)
	})
}

// Renewals serves dialects whose access token is renewed in the headers of other
// responses, on every route behind next. It belongs behind what decrypts requests:
// new tokens are bound to the key. It is next itself if no profile needs it.
func (s *Surface) Renewals(next http.Handler) http.Handler {
	need := s.those(func(p *Profile) bool { return p.renew != nil })
	if len(need) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, p := range need {
			if raw := credential(r, p.Credential); raw != "" {
				if !s.signsInOrOut(p, r) {
					s.renewNearEnd(w, r, p, raw)
				}
				break
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Surface) those(need func(*Profile) bool) []*Profile {
	return slices.DeleteFunc(slices.Clone(s.set.Profiles), func(p *Profile) bool { return !need(p) })
}

func (s *Surface) signsInOrOut(p *Profile, r *http.Request) bool {
	for _, rt := range p.Routes {
		if rt.Path == r.URL.Path && (rt.Operation == OpLogin || rt.Operation == OpLogout) {
			return true
		}
	}
	return false
}

// renewNearEnd adds a new token to the response if the one presented is near its
// end. It is no reason to refuse a request that this can't be done: the token is
// still good, and if its session is over by now, the request finds that out.
func (s *Surface) renewNearEnd(w http.ResponseWriter, r *http.Request, p *Profile, raw string) {
	t, err := s.Verify(r.Context(), raw)
	if err != nil || !nearEnd(t, s.Sessions.Now(), p.renew.last) {
		return
	}
	carried, err := session.FromCarried(t.SessionID(), t.Chain())
	if err != nil {
		return
	}
	g, err := s.Sessions.Refresh(r.Context(), session.Presentation{Token: carried, Contact: s.Contact(r), Binding: s.binding(r, p)})
	if err != nil || !g.Carried {
		return
	}
	setHeaders(w.Header(), p.renew.headers, s.granted(&g))
}

func nearEnd(t *verify.Token, now time.Time, last int) bool {
	life := t.ExpiresAt().Sub(t.IssuedAt())
	return t.ExpiresAt().Sub(now) <= life*time.Duration(last)/100
}
