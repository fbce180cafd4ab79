package httpapi

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/text/language"

	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/wire"
)

// Pages are for people: plain HTML, no script, one style sheet that the policy
// names by its hash.

//go:embed oauth_page.html
var pageSource string

//go:embed oauth_page.css
var pageStyle string

var (
	pageTemplate = template.Must(template.New("page").Parse(pageSource))
	pageStyleSum = sha256.Sum256([]byte(pageStyle))
)

// view is what a page shows. Texts are in the language of the page.
type view struct {
	status int
	target string // an origin, or scheme, that the form may lead to
	lang   language.Tag

	Lang, Title  string
	Style        template.CSS
	Lead         string // a sentence under the title
	Client       string // shown behind Lead
	Problem      string // what went wrong before
	Action       string // of the form; empty: there is none
	CSRF         string
	AskCode      bool   // field for the code of a device
	UserCode     string // its value, or the code to compare if AskCode is not set
	AskPassword  bool
	Username     string
	Submit, Deny string // buttons; empty: none
	Links        []link // instead of the form, or back
	T            map[string]string
}

// link leads to another page.
type link struct{ To, Text string }

// labels of the fields.
var labels = map[string]text{
	"username": {"Username", "用户名"},
	"password": {"Password", "密码"},
	"code":     {"Code", "验证码"},
}

// page is a handler whose errors are for a person.
func (a *api) page(f func(*api, http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := f(a, w, r); err != nil {
			a.failPage(w, r, err)
		}
	})
}

// failPage shows an error that ends the way, with the words of the error table
// where it has some.
func (a *api) failPage(w http.ResponseWriter, r *http.Request, err error) {
	v := a.view(r, "", text{"This link can't be used", "此链接无法使用"})
	var refused *oauth.Error
	if errors.As(err, &refused) {
		v.status, v.Lead = http.StatusBadRequest, text{
			"The application sent you here with a request that is not valid. Go back to it and try again; if that does not help, tell its makers:",
			"应用发来的请求无效。请返回应用重试；若仍不行，请将以下内容告知开发者："}.in(v.lang)
		v.Client = refused.Code + ": " + refused.Description
		a.show(w, v)
		return
	}
	p := a.pageProblem(w, r, err)
	v.status, v.Title, v.Lead = p.status, p.title.in(v.lang), fmt.Sprintf(p.detail.in(v.lang), p.args...)
	a.show(w, v)
}

// pageProblem is the line of the error table for an error, whose headers it sets.
func (a *api) pageProblem(w http.ResponseWriter, r *http.Request, err error) *problem {
	p := translate(err)
	if p.header != nil {
		p.header(w.Header())
	}
	if p.status >= http.StatusInternalServerError && r.Context().Err() == nil {
		a.Logger.Error("a page could not be shown", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	return p
}

// view begins a page in the language of the reader.
func (a *api) view(r *http.Request, locales string, title text) view {
	lang := pageLanguage(r, locales)
	v := view{status: http.StatusOK, lang: lang, Lang: contentLanguage[lang], Title: title.in(lang),
		Style: template.CSS(pageStyle), T: map[string]string{}}
	for name, t := range labels {
		v.T[name] = t.in(lang)
	}
	return v
}

// pageLanguage is that of ui_locales (OpenID Connect Core §3.1.2.1) if we speak
// one of them, else the browser's.
func pageLanguage(r *http.Request, locales string) language.Tag {
	if len(locales) <= 128 {
		for l := range strings.FieldsSeq(locales) {
			tag, err := language.Parse(l)
			if err != nil {
				continue
			}
			if _, i, confidence := languages.Match(tag); confidence > language.Low {
				return []language.Tag{language.English, language.SimplifiedChinese}[i]
			}
		}
	}
	return callerLanguage(r)
}

// show writes a page. Nothing may frame it, read it, or be loaded by it.
func (a *api) show(w http.ResponseWriter, v view) {
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, v); err != nil {
		a.Logger.Error("a page could not be made; this is a bug, please report it", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action "+
		strings.TrimSpace("'self' "+v.target)+"; style-src 'sha256-"+base64.StdEncoding.EncodeToString(pageStyleSum[:])+"'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // under no-referrer browsers send the form with Origin: null
	h.Set("Cross-Origin-Opener-Policy", "same-origin-allow-popups")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Lang)
	w.WriteHeader(v.status)
	_, _ = w.Write(body.Bytes())
}

// formTarget is what form-action must allow for a redirect after the form to
// this URI: browsers check that too. A policy has no form for IPv6 addresses.
func formTarget(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return ""
	}
	if (u.Scheme == "http" || u.Scheme == "https") && !strings.Contains(u.Hostname(), ":") {
		return u.Scheme + "://" + u.Host
	}
	return u.Scheme + ":"
}

// Forms of pages are guarded by a random value that is in a cookie and in the
// form (a foreign site can set neither), and by the origin of the request.

const formCookie = "tacet_form"

func (a *api) formCookieName() string {
	if a.Secure {
		return "__Host-" + formCookie // no other host can set it
	}
	return formCookie
}

// formToken is the value for a form. Several pages may be open at once.
func (a *api) formToken(w http.ResponseWriter, r *http.Request) string {
	if c, err := r.Cookie(a.formCookieName()); err == nil && len(c.Value) == 43 {
		return c.Value
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	token := base64.RawURLEncoding.EncodeToString(b[:])
	http.SetCookie(w, &http.Cookie{Name: a.formCookieName(), Value: token, Path: "/", Secure: a.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return token
}

var ownPages http.CrossOriginProtection // trusts no other origin

// checkForm refuses a form that was not sent from our page.
func (a *api) checkForm(r *http.Request, p oauth.Params) error {
	c, err := r.Cookie(a.formCookieName())
	if err != nil || len(c.Value) != 43 || subtle.ConstantTimeCompare([]byte(c.Value), []byte(p["csrf"])) != 1 {
		return errFormToken
	}
	if o := r.Header.Get("Origin"); o != "" && o != a.PublicOrigin || ownPages.Check(r) != nil && o != a.PublicOrigin {
		return errFormToken
	}
	return nil
}

var errFormToken = &problem{status: http.StatusForbidden, code: wire.CodeCSRF, title: titleCSRF,
	detail: text{"The form did not come from this page, or cookies are blocked. Allow cookies for this site, go back and try again.",
		"表单并非来自本页面，或浏览器禁用了 Cookie。请允许本站 Cookie，返回后重试。"}}

// fail adds what went wrong with the form that was sent before.
func (v *view) fail(p *problem) {
	if p != nil {
		v.status, v.Problem = p.status, fmt.Sprintf(p.detail.in(v.lang), p.args...)
	}
}
