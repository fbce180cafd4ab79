package oauth

import (
	"net/http"

	"github.com/tacet-dev/tacet/internal/httpapi/form"
	"github.com/tacet-dev/tacet/internal/problem"
)

// endSessionPage is GET and POST /oauth/logout (OpenID Connect RP-Initiated
// Logout). The ID token says which session ends and proves that the caller is
// its client; there is no cookie that a foreign page could make use of.
func (a *surface) endSessionPage(w http.ResponseWriter, r *http.Request) error {
	p, err := form.Parse(r.URL.RawQuery)
	if r.Method == http.MethodPost {
		p, err = form.Read(r)
	}
	if err != nil {
		return err
	}
	client, ok, err := a.signOutHint(r, p)
	if err != nil {
		return err
	}
	if to := client.LogoutRedirect(p["post_logout_redirect_uri"], p["state"]); to != "" {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	v := a.Pages.New(r, p["ui_locales"], problem.Text{EN: "You are signed out", ZH: "您已退出登录"})
	v.Lead = problem.Text{EN: "You can close this page.", ZH: "您可以关闭此页面。"}.In(v.Tag)
	if !ok {
		v.Title = problem.Text{EN: "Nothing to sign out of", ZH: "没有可退出的会话"}.In(v.Tag)
		v.Lead = problem.Text{EN: "The application did not say which session is to end. Sign out in the application itself.", ZH: "应用没有说明要结束哪个会话。请在应用内退出登录。"}.In(v.Tag)
	}
	a.Pages.Show(w, v)
	return nil
}

func (a *surface) signOutHint(r *http.Request, p form.Params) (client Client, ok bool, err error) {
	if hint := p["id_token_hint"]; hint != "" {
		client, ok, err = a.server.SignOut(r.Context(), hint, p["client_id"])
		if ok || err != nil {
			return client, ok, err
		}
	}
	client, err = a.server.LogoutClient(r.Context(), p["client_id"])
	return client, false, err
}
