package httpapi

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// authorize is GET /oauth/authorize: the sign-in page.
func (a *api) authorize(w http.ResponseWriter, r *http.Request) error {
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
func (a *api) authorizeForm(w http.ResponseWriter, r *http.Request) error {
	form, err := formParams(r)
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
	if err := a.checkForm(r, form); err != nil {
		return err
	}
	if form["action"] == "deny" {
		http.Redirect(w, r, req.Deny(), http.StatusSeeOther)
		return nil
	}
	location, err := a.OAuth.SignIn(r.Context(), req, form["username"], form["password"], a.contact(r))
	if err != nil {
		return a.signInAgain(w, r, err, func(p2 *problem) { a.showSignIn(w, r, p, req, form["username"], p2) })
	}
	// 303: the browser must not send the password on (RFC 9700 §4.12).
	http.Redirect(w, r, location, http.StatusSeeOther)
	return nil
}

func (a *api) authorization(r *http.Request) (oauth.Params, oauth.Request, error) {
	p, err := oauth.ParseParams(r.URL.RawQuery)
	if err != nil {
		return nil, oauth.Request{}, err
	}
	req, err := a.OAuth.Authorization(r.Context(), p)
	return p, req, err
}

func (a *api) refuseAuthorization(w http.ResponseWriter, r *http.Request, err error) error {
	var toClient *oauth.RedirectError
	if !errors.As(err, &toClient) {
		return err
	}
	http.Redirect(w, r, toClient.Location, http.StatusSeeOther)
	return nil
}

// signInAgain shows the form again after a try that may be repeated.
func (a *api) signInAgain(w http.ResponseWriter, r *http.Request, err error, show func(*problem)) error {
	var throttled *session.Throttled
	if !errors.Is(err, session.ErrInvalidCredentials) && !errors.As(err, &throttled) {
		return err
	}
	show(a.pageProblem(w, r, err))
	return nil
}

func (a *api) showSignIn(w http.ResponseWriter, r *http.Request, p oauth.Params, req oauth.Request, username string, failed *problem) {
	v := a.view(r, req.Locales, text{"Sign in", "登录"})
	v.Lead, v.Client = text{"to continue to", "以继续访问"}.in(v.lang), clientName(req.Client)
	v.Submit, v.Deny = text{"Sign in", "登录"}.in(v.lang), text{"Cancel", "取消"}.in(v.lang)
	v.AskPassword, v.Username = true, username
	v.Action, v.CSRF, v.target = addressOf(p), a.formToken(w, r), formTarget(req.Redirect)
	a.providerLinks(onward{Authorize: queryOf(p)}, labelSignInWith, &v)
	v.fail(failed)
	a.show(w, v)
}

func addressOf(p oauth.Params) string { return wire.PathAuthorize + "?" + queryOf(p) }

func queryOf(p oauth.Params) string {
	q := url.Values{}
	for name, value := range p {
		q.Set(name, value)
	}
	return q.Encode()
}

func clientName(c oauth.Client) string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}
