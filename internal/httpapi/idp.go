package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// providerRoutes are those of signing in by way of an identity provider.
func (a *api) providerRoutes() map[string]map[string]http.Handler {
	if a.Providers == nil {
		return nil
	}
	b := a.BasePath + wire.PathProviders
	type m = map[string]http.Handler
	return map[string]m{
		b:                          {"GET": a.handler((*api).providers)},
		b + "/{provider}/start":    {"GET": a.page((*api).providerStart)},
		b + "/{provider}/callback": {"GET": a.page((*api).providerCallback)},
		b + "/{provider}" + wire.PathBackchannelLogout: {"POST": a.handler((*api).providerLogout)},
	}
}

// ProviderCallback is the path to which a provider sends browsers back.
func ProviderCallback(basePath, id string) string {
	return basePath + wire.PathProviders + "/" + id + "/callback"
}

// providers is GET /auth/oidc: for front-ends that draw their own buttons.
func (a *api) providers(w http.ResponseWriter, _ *http.Request) error {
	out := wire.Providers{Providers: []wire.Provider{}}
	for _, p := range a.Providers.Providers() {
		out.Providers = append(out.Providers, wire.Provider{ID: p.ID, Name: p.Name, Start: a.startOf(p.ID)})
	}
	return writeJSON(w, http.StatusOK, out)
}

func (a *api) startOf(id string) string {
	return a.BasePath + wire.PathProviders + "/" + id + "/start"
}

// onward is what a sign-in at a provider was for. Exactly one way is set.
type onward struct {
	ReturnTo  string `json:"return_to,omitempty"` // for a session of this browser
	Authorize string `json:"authorize,omitempty"` // parameters of an authorization request
	UserCode  string `json:"user_code,omitempty"` // of a device, whose user has confirmed it
	Form      string `json:"form,omitempty"`      // hash of the cookie of the form that did
	Until     int64  `json:"until,omitempty"`     // of a link, milliseconds since 1970
}

const onwardLabel = "tacet link to a provider v1"

// providerLinks are links for a page of ours. They are sealed: nobody but us can
// make one that goes on to a device.
func (a *api) providerLinks(o onward, label text, v *view) {
	if a.Providers == nil {
		return
	}
	o.Until = a.Sessions.Clock().Add(oauth.DeviceLifetime).UnixMilli()
	plain, _ := json.Marshal(o) // strings always have a JSON form
	sealed := a.Keys.SealLabelled(onwardLabel, plain)
	for _, p := range a.Providers.Providers() {
		v.Links = append(v.Links, link{To: a.startOf(p.ID) + "?then=" + sealed, Text: strings.ReplaceAll(label.in(v.lang), "{}", p.Name)})
	}
}

var (
	labelSignInWith = text{"Sign in with {}", "使用 {} 登录"}
	labelAllowWith  = text{"Sign in with {} and allow", "使用 {} 登录并允许"}
)

// formMark binds a link to the browser whose form it is on.
func formMark(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// providerStart is GET /auth/oidc/{provider}/start: on to the provider.
func (a *api) providerStart(w http.ResponseWriter, r *http.Request) error {
	q, err := oauth.ParseParams(r.URL.RawQuery)
	if err != nil {
		return err
	}
	to, err := a.onwardOf(r, q)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(to)
	if err != nil {
		return err
	}
	began, err := a.Providers.Begin(r.Context(), r.PathValue("provider"), string(plain))
	if err != nil {
		return err
	}
	if len(began.Sealed) > maxPending {
		return errPendingTooLong
	}
	a.forgetPending(w, r)
	http.SetCookie(w, a.pendingCookie(began.State, began.Sealed, int(idp.PendingLifetime.Seconds())))
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, began.Location, http.StatusSeeOther)
	return nil
}

func (a *api) onwardOf(r *http.Request, q oauth.Params) (to onward, err error) {
	sealed := q["then"]
	if sealed == "" {
		to.ReturnTo, err = a.returnTo(q["return_to"])
		return to, err
	}
	plain, ok := a.Keys.OpenLabelled(r.Context(), onwardLabel, sealed)
	if !ok || json.Unmarshal(plain, &to) != nil || a.Sessions.Clock().UnixMilli() >= to.Until {
		return to, errPending
	}
	if to.UserCode != "" {
		// The confirmation was this browser's own.
		if c, err := r.Cookie(a.formCookieName()); err != nil || formMark(c.Value) != to.Form {
			return to, errFormToken
		}
	}
	return to, nil
}

// maxReturnTo bounds an address to return to, in bytes.
const maxReturnTo = 1024

// returnTo is where the browser may go after a sign-in: a path of ours, or an
// address at one of the origins that may call. The answer is absolute and at an
// origin that is ours or configured, whatever a browser makes of the rest.
func (a *api) returnTo(raw string) (string, error) {
	if raw == "" {
		return a.PublicOrigin + "/", nil
	}
	// Browsers strip tabs and line ends, and take a backslash for a slash.
	if len(raw) > maxReturnTo || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' || r == '\uFFFD' }) {
		return "", errReturnTo
	}
	if strings.HasPrefix(raw, "/") {
		if _, err := url.Parse(raw); err != nil || strings.HasPrefix(raw, "//") {
			return "", errReturnTo
		}
		return a.PublicOrigin + raw, nil
	}
	for _, origin := range append([]string{a.PublicOrigin}, a.CORSOrigins...) {
		rest, ok := strings.CutPrefix(raw, origin)
		if _, err := url.Parse(raw); ok && err == nil && (rest == "" || strings.ContainsRune("/?#", rune(rest[0]))) {
			return raw, nil
		}
	}
	return "", errReturnTo
}

// providerCallback is GET /auth/oidc/{provider}/callback: back from there.
func (a *api) providerCallback(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer") // the address has a code in it
	p, err := oauth.ParseParams(r.URL.RawQuery)
	if err != nil {
		return err
	}
	var sealed string
	if c, err := r.Cookie(a.pendingCookieName(p["state"])); err == nil && p["state"] != "" {
		sealed = c.Value
		http.SetCookie(w, a.pendingCookie(p["state"], "", -1)) // one answer to one question
	}
	arrived, err := a.Providers.Finish(r.Context(), r.PathValue("provider"), p, sealed)
	var to onward
	if arrived.Then != "" {
		_ = json.Unmarshal([]byte(arrived.Then), &to) // sealed, and made by us
	}
	if err == nil {
		err = a.arrive(w, r, arrived, to)
	}
	if err != nil {
		return a.arrivalFailed(w, r, err, to)
	}
	return nil
}

// arrive does what the sign-in was for.
func (a *api) arrive(w http.ResponseWriter, r *http.Request, from idp.Arrival, to onward) error {
	ctx, contact := r.Context(), a.contact(r)
	switch {
	case to.Authorize != "":
		params, err := oauth.ParseParams(to.Authorize)
		if err != nil {
			return err
		}
		req, err := a.OAuth.Authorization(ctx, params)
		if err != nil {
			return a.refuseAuthorization(w, r, err)
		}
		location, err := a.OAuth.SignedIn(ctx, req, from.UserID, from.Origin)
		if err != nil {
			return err
		}
		http.Redirect(w, r, location, http.StatusSeeOther)
	case to.UserCode != "":
		if err := a.OAuth.ApproveFor(ctx, to.UserCode, from.UserID, from.Origin, contact); err != nil {
			return err
		}
		a.showConnected(w, r, text{"The device is connected", "设备已连接"})
	default:
		g, err := a.Sessions.StartFrom(ctx, from.UserID, a.ClientID, from.Origin, contact)
		if errors.Is(err, session.ErrNoUser) { // disabled between the two steps
			return idp.ErrDisabled
		}
		if err != nil {
			return err
		}
		a.Logger.Info("signed in", "user", from.UserID, "session", g.Session.ID.String(), "provider", r.PathValue("provider"), "address", contact.Address.String())
		a.setCookies(w, g, a.Sessions.Clock())
		http.Redirect(w, r, to.ReturnTo, http.StatusSeeOther)
	}
	return nil
}

// arrivalFailed says what went wrong and leads back to where it began.
func (a *api) arrivalFailed(w http.ResponseWriter, r *http.Request, err error, to onward) error {
	var distrusted *idp.InvalidError
	if errors.As(err, &distrusted) {
		a.Logger.Warn("the answer of an identity provider was refused", "provider", r.PathValue("provider"), "why", distrusted.Why)
	}
	if errors.Is(err, oauth.ErrUserCode) {
		err = errUserCode
	}
	p := a.pageProblem(w, r, err)
	v := a.view(r, "", p.title)
	v.status, v.Lead = p.status, p.says(v.lang)
	back := text{"Back", "返回"}.in(v.lang)
	switch {
	case to.Authorize != "":
		v.Links = []link{{To: wire.PathAuthorize + "?" + to.Authorize, Text: back}}
	case to.UserCode != "":
		v.Links = []link{{To: wire.PathDevice, Text: back}}
	case to.ReturnTo != "":
		v.Links = []link{{To: to.ReturnTo, Text: back}}
	}
	a.show(w, v)
	return nil
}

// providerLogout is POST /auth/oidc/{provider}/backchannel-logout, which the
// provider calls (OpenID Connect Back-Channel Logout 1.0 §2.5, §2.8).
func (a *api) providerLogout(w http.ResponseWriter, r *http.Request) error {
	p, err := formParams(r)
	if err == nil {
		_, err = a.Providers.Logout(r.Context(), r.PathValue("provider"), p["logout_token"])
	}
	if err == nil {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	var distrusted *idp.InvalidError
	var down *idp.DownError
	switch {
	case errors.Is(err, idp.ErrUnknown):
		return err
	case errors.As(err, &distrusted):
		a.Logger.Warn("a logout token was refused", "provider", r.PathValue("provider"), "why", distrusted.Why)
		err = &oauth.Error{Code: oauth.CodeInvalidRequest, Description: asciiOnly(distrusted.Why)}
	case errors.As(err, &down):
		err = errors.Join(session.ErrUnavailable, err)
	}
	a.failOAuth(w, r, err)
	return nil
}

// asciiOnly is a text as RFC 6749 §5.2 has it.
func asciiOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '\''
		}
		return r
	}, s)
}

// The cookies of sign-ins under way: one each, because several tabs may be at it.

const (
	pendingName = "tacet_oidc_"
	// maxPending bounds such a cookie; browsers drop what has more than 4,096 bytes.
	maxPending = 3800
	// maxPendings bounds how many a browser keeps.
	maxPendings = 4
)

func (a *api) pendingCookieName(state string) string {
	name := pendingName + formMark(state)[:8]
	if a.Secure {
		return "__Host-" + name // no other host can set it
	}
	return name
}

func (a *api) pendingCookie(state, value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: a.pendingCookieName(state), Value: value, Path: "/", MaxAge: maxAge,
		Secure: a.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode} // Strict would not come back with the answer
}

// forgetPending makes room, should sign-ins have been begun and not finished.
func (a *api) forgetPending(w http.ResponseWriter, r *http.Request) {
	prefix := strings.TrimSuffix(a.pendingCookieName(""), formMark("")[:8])
	var old []*http.Cookie
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, prefix) {
			old = append(old, c)
		}
	}
	for i := 0; i <= len(old)-maxPendings; i++ {
		http.SetCookie(w, &http.Cookie{Name: old[i].Name, Path: "/", MaxAge: -1, Secure: a.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
}

// The lines of the error table for sign-ins at a provider.

var titleProvider = text{"Sign-in did not work", "登录未成功"}

var (
	errReturnTo = badRequest(text{"The parameter return_to must be a path like /orders, or an address at an origin that is configured.", "参数 return_to 必须是形如 /orders 的路径，或位于已配置来源的地址。"})
	errPending  = &problem{status: http.StatusBadRequest, code: wire.CodeInvalidRequest, title: titleProvider,
		detail: text{"This sign-in was not begun in this browser, has been finished already or has taken too long. Go back to the application and sign in again.", "此登录并非由本浏览器发起、已经完成或已超时。请返回应用重新登录。"}}
	errPendingTooLong = badRequest(text{"The request of the application is too long to be kept during the sign-in.", "应用的请求过长，无法在登录期间保存。"})
	errNoProvider     = &problem{status: http.StatusNotFound, code: wire.CodeNotFound, title: titleNotFound,
		detail: text{"There is no identity provider with this name.", "没有此名称的身份提供方。"}}
	errProviderSaidNo = &problem{status: http.StatusForbidden, code: wire.CodeAccessDenied, title: titleProvider,
		detail: text{"You did not sign in there, or were not allowed to.", "您没有在身份提供方完成登录，或未获允许。"}}
	errProviderTrust = &problem{status: http.StatusBadRequest, code: wire.CodeInvalidRequest, title: titleProvider,
		detail: text{"The answer of the identity provider could not be accepted, so you are not signed in. Try again; if that does not help, tell the administrators.", "身份提供方的应答未被接受，您尚未登录。请重试；若仍不行，请联系管理员。"}}
	errProviderDisabled = &problem{status: http.StatusForbidden, code: wire.CodeAccessDenied, title: titleProvider,
		detail: text{"Your account here is disabled. Ask an administrator.", "您在此处的账号已被停用，请联系管理员。"}}
	errProviderNoRole = &problem{status: http.StatusForbidden, code: wire.CodeAccessDenied, title: titleProvider,
		detail: text{"You have signed in, but have no role here that would let you in. Ask an administrator.", "您已登录，但在此处没有允许进入的角色，请联系管理员。"}}
)

// providerProblem translates the errors of package idp; nil if err is none.
func providerProblem(err error) *problem {
	var refused *idp.RefusedError
	var distrusted *idp.InvalidError
	var down *idp.DownError
	switch {
	case errors.Is(err, idp.ErrUnknown):
		return errNoProvider
	case errors.Is(err, idp.ErrState):
		return errPending
	case errors.Is(err, idp.ErrDisabled):
		return errProviderDisabled
	case errors.Is(err, idp.ErrNoRole):
		return errProviderNoRole
	case errors.As(err, &refused) && (refused.Code == oauth.CodeTemporarilyUnavailable || refused.Code == oauth.CodeServerError):
		return downProblem(text{"The identity provider", "身份提供方"})
	case errors.As(err, &refused):
		return errProviderSaidNo
	case errors.As(err, &distrusted):
		return errProviderTrust
	case errors.As(err, &down):
		return downProblem(text{down.Name, down.Name})
	}
	return nil
}

// providerRetry is when it may be worth another try at a provider, seconds.
const providerRetry = 5

func downProblem(name text) *problem {
	return &problem{status: http.StatusServiceUnavailable, code: wire.CodeUnavailable, title: titleProvider,
		detail: text{strings.ReplaceAll(name.en, "%", "%%") + " can't be reached right now. Try again shortly; who is signed in already stays so.",
			strings.ReplaceAll(name.zh, "%", "%%") + " 暂时无法访问，请稍后重试。已登录的用户不受影响。"},
		header: func(h http.Header) { h.Set("Retry-After", strconv.Itoa(providerRetry)) }}
}
