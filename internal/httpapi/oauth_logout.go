package httpapi

import (
	"net/http"

	"github.com/tacet-dev/tacet/internal/oauth"
)

// endSessionPage is GET and POST /oauth/logout (OpenID Connect RP-Initiated
// Logout). The ID token says which session ends and proves that the caller is
// its client; there is no cookie that a foreign page could make use of.
func (a *api) endSessionPage(w http.ResponseWriter, r *http.Request) error {
	p, err := oauth.ParseParams(r.URL.RawQuery)
	if r.Method == http.MethodPost {
		p, err = formParams(r)
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
	v := a.view(r, p["ui_locales"], text{"You are signed out", "您已退出登录"})
	v.Lead = text{"You can close this page.", "您可以关闭此页面。"}.in(v.lang)
	if !ok {
		v.Title = text{"Nothing to sign out of", "没有可退出的会话"}.in(v.lang)
		v.Lead = text{"The application did not say which session is to end. Sign out in the application itself.", "应用没有说明要结束哪个会话。请在应用内退出登录。"}.in(v.lang)
	}
	a.show(w, v)
	return nil
}

func (a *api) signOutHint(r *http.Request, p oauth.Params) (client oauth.Client, ok bool, err error) {
	if hint := p["id_token_hint"]; hint != "" {
		client, ok, err = a.OAuth.SignOut(r.Context(), hint, p["client_id"])
		if ok || err != nil {
			return client, ok, err
		}
	}
	client, err = a.OAuth.LogoutClient(r.Context(), p["client_id"])
	return client, false, err
}
