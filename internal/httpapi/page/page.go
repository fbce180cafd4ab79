// Package page shows pages to people: plain HTML, no script, one style sheet that
// the policy names by its hash, forms that no foreign site can send.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"log/slog"
	"net/http"
	"strings"

	"golang.org/x/text/language"

	"github.com/tacet-dev/tacet/internal/problem"
)

//go:embed page.html
var source string

//go:embed page.css
var style string

var (
	pageTemplate = template.Must(template.New("page").Parse(source))
	styleSum     = sha256.Sum256([]byte(style))
)

// Pages shows pages of one server.
type Pages struct {
	Origin string // scheme://host[:port] of the public URL
	Secure bool   // whether browsers reach it over TLS
	Logger *slog.Logger
}

// View is one page.
type View struct {
	Status int
	Leaves bool         // whether the form leads to other sites
	Tag    language.Tag // of the texts

	Lang, Title  string
	Style        template.CSS
	Lead         string // a sentence under the title
	Client       string // shown behind Lead
	Problem      string // what went wrong before
	Action       string // of the form; empty: there is none
	CSRF         string // [Pages.FormToken]
	AskCode      bool   // field for the code of a device
	UserCode     string // its value, or the code to compare if AskCode is not set
	AskPassword  bool
	Username     string
	Submit, Deny string // buttons; empty: none
	Links        []Link // instead of the form, or back
	T            map[string]string
}

// Link leads to another page.
type Link struct{ To, Text string }

// labels of the fields.
var labels = map[string]problem.Text{
	"username": {EN: "Username", ZH: "用户名"},
	"password": {EN: "Password", ZH: "密码"},
	"code":     {EN: "Code", ZH: "验证码"},
}

// New begins a page in the language of the reader: that of locales (ui_locales,
// OpenID Connect Core §3.1.2.1) if this server speaks one of them, else that of
// the browser.
func (p Pages) New(r *http.Request, locales string, title problem.Text) View {
	tag := readerLanguage(r, locales)
	v := View{Status: http.StatusOK, Tag: tag, Lang: problem.Name(tag), Title: title.In(tag),
		Style: template.CSS(style), T: map[string]string{}}
	for name, t := range labels {
		v.T[name] = t.In(tag)
	}
	return v
}

// Fail adds what went wrong with the form that was sent before. Nil adds nothing.
func (v *View) Fail(p *problem.Problem) {
	if p != nil {
		v.Status, v.Problem = p.Status, p.Says(v.Tag)
	}
}

// maxLocales bounds the parameter ui_locales, in bytes.
const maxLocales = 128

func readerLanguage(r *http.Request, locales string) language.Tag {
	if len(locales) <= maxLocales {
		for l := range strings.FieldsSeq(locales) {
			tag, err := language.Parse(l)
			if err != nil {
				continue
			}
			if spoken, ok := problem.Spoken(tag); ok {
				return spoken
			}
		}
	}
	return problem.Language(r)
}

// formAction is the policy for where the form may lead. Chromium applies it to every
// redirect that follows, also to those of the next sites, which nobody knows here: a
// page that leads to them has none. Nothing else can put a form on it, as all that
// it shows is escaped and no script runs.
func (v *View) formAction() string {
	if v.Leaves {
		return ""
	}
	return "form-action 'self'; "
}

// Show writes a page. Nothing may frame it, read it, or be loaded by it.
func (p Pages) Show(w http.ResponseWriter, v View) {
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, v); err != nil {
		p.Logger.Error("a page could not be made; this is a bug, please report it", "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; "+v.formAction()+"style-src 'sha256-"+base64.StdEncoding.EncodeToString(styleSum[:])+"'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // under no-referrer browsers send the form with Origin: null
	h.Set("Cross-Origin-Opener-Policy", "same-origin-allow-popups")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", v.Lang)
	w.WriteHeader(v.Status)
	_, _ = w.Write(body.Bytes())
}
