package profiles

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/verify"
)

// Middleware serves dialects whose access token does not travel in Authorization,
// or is renewed in the headers of other answers, on every route behind next. The
// token is passed on in Authorization, where the native surface and the gateway
// look for it. It is next itself if no profile needs it.
func (s *Surface) Middleware(next http.Handler) http.Handler {
	var need []*Profile
	for _, p := range s.set.Profiles {
		if p.renew != nil || p.Credential != "Authorization" {
			need = append(need, p)
		}
	}
	if len(need) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, p := range need {
			raw := credential(r, p.Credential)
			if raw == "" {
				continue
			}
			if p.renew != nil && !s.signsInOrOut(p, r) {
				s.renewNearEnd(w, r, p, raw)
			}
			if credential(r, "Authorization") == "" {
				r = r.Clone(r.Context())
				r.Header.Set("Authorization", "Bearer "+raw)
			}
			break
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Surface) signsInOrOut(p *Profile, r *http.Request) bool {
	for _, rt := range p.Routes {
		if rt.Path == r.URL.Path && (rt.Operation == OpLogin || rt.Operation == OpLogout) {
			return true
		}
	}
	return false
}

// renewNearEnd adds a new token to the answer if the one presented is near its
// end. It is no reason to refuse a request that this can't be done: the token is
// still good, and if its session is over by now, the request finds that out.
func (s *Surface) renewNearEnd(w http.ResponseWriter, r *http.Request, p *Profile, raw string) {
	t, err := s.Verify(r.Context(), raw)
	if err != nil || !nearEnd(t, s.Sessions.Clock(), p.renew.last) {
		return
	}
	chained, err := session.FromCarried(t.SessionID(), chainOf(raw))
	if err != nil {
		return
	}
	g, err := s.Sessions.Refresh(r.Context(), chained, s.Contact(r), session.Carried)
	if err != nil || !g.Carried {
		return
	}
	setHeaders(w.Header(), p.renew.headers, s.granted(&g))
}

func nearEnd(t *verify.Token, now time.Time, last int) bool {
	life := t.ExpiresAt().Sub(t.IssuedAt())
	return t.ExpiresAt().Sub(now) <= life*time.Duration(last)/100
}

// chainOf is the claim "chain" of a token that has been verified.
func chainOf(verified string) string {
	_, rest, _ := strings.Cut(verified, ".")
	payload, _, _ := strings.Cut(rest, ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return ""
	}
	var claims struct {
		Chain string `json:"chain"`
	}
	if json.Unmarshal(data, &claims) != nil {
		return ""
	}
	return claims.Chain
}
