package page

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"

	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/wire"
)

// Forms are guarded by a random value that is in a cookie and in the form (a
// foreign site can set neither), and by the origin of the request.

const formCookie = "tacet_form"

// tokenLen is the length of such a value: 32 bytes in base64url.
const tokenLen = 43

// cookieName is that of the cookie. Under TLS no other host can set it.
func (p Pages) cookieName() string {
	if p.Secure {
		return "__Host-" + formCookie
	}
	return formCookie
}

// FormToken is the value for a form, which it puts in the cookie if there is none
// yet. Several pages may be open at once.
func (p Pages) FormToken(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(p.cookieName()); err == nil && len(c.Value) == tokenLen {
		return c.Value
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	token := base64.RawURLEncoding.EncodeToString(b[:])
	http.SetCookie(w, &http.Cookie{Name: p.cookieName(), Value: token, Path: "/", Secure: p.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return token
}

var sameOrigin http.CrossOriginProtection // trusts no other origin

// CheckForm refuses a form that was not sent from a page of this server. token is
// what came with it.
func (p Pages) CheckForm(r *http.Request, token string) error {
	c, err := r.Cookie(p.cookieName())
	if err != nil || len(c.Value) != tokenLen || subtle.ConstantTimeCompare([]byte(c.Value), []byte(token)) != 1 {
		return ErrForm
	}
	if o := r.Header.Get("Origin"); o != "" && o != p.Origin || sameOrigin.Check(r) != nil && o != p.Origin {
		return ErrForm
	}
	return nil
}

// Mark binds a link to the browser that the form with this token was shown to.
func Mark(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// HasMark reports whether a request comes from the browser of a [Mark].
func (p Pages) HasMark(r *http.Request, mark string) bool {
	c, err := r.Cookie(p.cookieName())
	return err == nil && Mark(c.Value) == mark
}

// ErrForm refuses a form that was not sent from a page of this server.
var ErrForm = &problem.Problem{Status: http.StatusForbidden, Code: wire.CodeCSRF,
	Title: problem.Text{EN: "The request was not sent by the application", ZH: "请求并非由本应用发出"},
	Detail: problem.Text{EN: "The form did not come from this page, or cookies are blocked. Allow cookies for this site, go back and try again.",
		ZH: "表单并非来自本页面，或浏览器禁用了 Cookie。请允许本站 Cookie，返回后重试。"}}
