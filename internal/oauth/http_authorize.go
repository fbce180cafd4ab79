package oauth

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/httpapi/form"
	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// authorize is GET /oauth/authorize: the sign-in page.
func (a *surface) authorize(w http.ResponseWriter, r *http.Request) error {
	p, req, err := a.authorization(r)
	if err != nil {
		return a.refuseAuthorization(w, r, err)
	}
	a.showSignIn(w, r, p, req, req.LoginHint, nil)
	return nil
}

// authorizeForm is POST /oauth/authorize: the sign-in form, which repeats the
// authorization request in its address; or the request itself, which clients may
// also post (OpenID Connect Core §3.1.2.1).
func (a *surface) authorizeForm(w http.ResponseWriter, r *http.Request) error {
	form, err := form.Read(r)
	if err != nil {
		return err
	}
	if r.URL.RawQuery == "" {
		http.Redirect(w, r, addressOf(form), http.StatusSeeOther)
		return nil
	}
	p, req, err := a.authorization(r)
	if err != nil {
		return a.refuseAuthorization(w, r, err)
	}
	if err := a.Pages.CheckForm(r, form["csrf"]); err != nil {
		return err
	}
	if form["action"] == "deny" {
		http.Redirect(w, r, req.Deny(), http.StatusSeeOther)
		return nil
	}
	location, err := a.server.SignIn(r.Context(), req, form["username"], form["password"], a.Contact(r))
	if err != nil {
		return a.signInAgain(w, r, err, func(p2 *problem.Problem) { a.showSignIn(w, r, p, req, form["username"], p2) })
	}
	// 303: the browser must not send the password on (RFC 9700 §4.12).
	http.Redirect(w, r, location, http.StatusSeeOther)
	return nil
}

func (a *surface) authorization(r *http.Request) (form.Params, Request, error) {
	p, err := form.Parse(r.URL.RawQuery)
	if err != nil {
		return nil, Request{}, err
	}
	req, err := a.server.Authorization(r.Context(), p)
	return p, req, err
}

func (a *surface) refuseAuthorization(w http.ResponseWriter, r *http.Request, err error) error {
	var toClient *RedirectError
	if !errors.As(err, &toClient) {
		return err
	}
	http.Redirect(w, r, toClient.Location, http.StatusSeeOther)
	return nil
}

// signInAgain shows the form again after a try that may be repeated.
func (a *surface) signInAgain(w http.ResponseWriter, r *http.Request, err error, show func(*problem.Problem)) error {
	var throttled *session.Throttled
	if !errors.Is(err, session.ErrInvalidCredentials) && !errors.As(err, &throttled) {
		return err
	}
	show(a.PageProblem(w, r, err))
	return nil
}

func (a *surface) showSignIn(w http.ResponseWriter, r *http.Request, p form.Params, req Request, username string, failed *problem.Problem) {
	v := a.Pages.New(r, req.Locales, problem.Text{EN: "Sign in", ZH: "登录"})
	v.Lead, v.Client = problem.Text{EN: "to continue to", ZH: "以继续访问"}.In(v.Tag), clientName(req.Client)
	v.Submit, v.Deny = problem.Text{EN: "Sign in", ZH: "登录"}.In(v.Tag), problem.Text{EN: "Cancel", ZH: "取消"}.In(v.Tag)
	v.AskPassword, v.Username = true, username
	v.Action, v.CSRF, v.Leaves = addressOf(p), a.Pages.FormToken(w, r), true
	a.OfferSignIn(httpapi.Purpose{Kind: purposeAuthorize, Data: queryOf(p)}, httpapi.LabelSignInWith, &v)
	v.Fail(failed)
	a.Pages.Show(w, v)
}

func addressOf(p form.Params) string { return wire.PathAuthorize + "?" + queryOf(p) }

func queryOf(p form.Params) string {
	q := url.Values{}
	for name, value := range p {
		q.Set(name, value)
	}
	return q.Encode()
}

func clientName(c Client) string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}
