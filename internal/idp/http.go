package idp

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/httpapi/form"
	"github.com/tacet-dev/tacet/internal/httpapi/page"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// surface is the sign-in at providers over HTTP.
type surface struct {
	*httpapi.API
	service *Service
}

// Wing is the sign-in by way of identity providers.
func Wing(s *Service) httpapi.Builder {
	return func(api *httpapi.API) (httpapi.Wing, error) {
		a := &surface{api, s}
		b := a.BasePath + wire.PathProviders
		return httpapi.Wing{
			Routes: httpapi.Routes{
				b:                          {"GET": a.Handle(a.providers)},
				b + "/{provider}/start":    {"GET": a.Page(a.start)},
				b + "/{provider}/callback": {"GET": a.Page(a.callback)},
				b + "/{provider}" + wire.PathBackchannelLogout: {"POST": a.Handle(a.backchannelLogout)},
			},
			Problem:  problemOf,
			SignIn:   a.offer,
			Purposes: map[string]httpapi.Continuation{purposeReturn: {Arrived: a.signedIn, Back: func(data string) string { return wayBackOf(data).To }}},
		}, nil
	}
}

// CallbackPath is the path to which a provider sends browsers back.
func CallbackPath(basePath, id string) string {
	return basePath + wire.PathProviders + "/" + id + "/callback"
}

// providers is GET /auth/oidc: for front-ends that draw their own buttons.
func (a *surface) providers(w http.ResponseWriter, _ *http.Request) error {
	out := wire.Providers{Providers: []wire.Provider{}}
	for _, p := range a.service.Providers() {
		out.Providers = append(out.Providers, wire.Provider{ID: p.ID, Name: p.Name, Start: a.startOf(p.ID)})
	}
	return httpapi.WriteJSON(w, http.StatusOK, out)
}

func (a *surface) startOf(id string) string {
	return a.BasePath + wire.PathProviders + "/" + id + "/start"
}

// purposeReturn is to begin a session of this browser. Its data is a wayBack.
const purposeReturn = "return"

type wayBack struct {
	To string `json:"to"` // address to go to afterwards
	// Replaces are the sessions that the browser had at the start. Cookies that are
	// SameSite=Strict do not come back from the provider.
	Replaces []string `json:"replaces,omitempty"`
}

func (r wayBack) data() string {
	plain, _ := json.Marshal(r) // strings always have a JSON form
	return string(plain)
}

func wayBackOf(data string) (r wayBack) {
	_ = json.Unmarshal([]byte(data), &r) // sealed, and made by us
	return r
}

// link is what a link of a page of ours says. It is sealed: nobody else can make
// one that goes on to a device.
type link struct {
	httpapi.Purpose
	Until int64 `json:"until"` // milliseconds since 1970
}

// linkLifetime is how long a page may be open before its links are followed.
const linkLifetime = 10 * time.Minute

const linkLabel = "tacet link to a provider v1"

// offer is httpapi.Wing.SignIn.
func (a *surface) offer(purpose httpapi.Purpose, label problem.Text, v *page.View) {
	plain, _ := json.Marshal(link{purpose, a.Sessions.Now().Add(linkLifetime).UnixMilli()}) // strings always have a JSON form
	sealed := a.Keys.SealLabelled(linkLabel, plain)
	for _, p := range a.service.Providers() {
		v.Links = append(v.Links, page.Link{To: a.startOf(p.ID) + "?then=" + sealed, Text: strings.ReplaceAll(label.In(v.Tag), "{}", p.Name)})
	}
}

// start is GET /auth/oidc/{provider}/start: on to the provider.
func (a *surface) start(w http.ResponseWriter, r *http.Request) error {
	q, err := form.Parse(r.URL.RawQuery)
	if err != nil {
		return err
	}
	to, err := a.purposeOf(r, q)
	if err != nil {
		return err
	}
	ask, err := a.mustAsk(r, to)
	if err != nil {
		return err
	}
	if ask {
		a.ask(w, r, to)
		return nil
	}
	if to.Kind == purposeReturn {
		ids, err := a.BrowserSessions(r, a.CookieName(wire.CookieRefresh))
		if err != nil {
			return err
		}
		back := wayBack{To: wayBackOf(to.Data).To}
		for _, id := range ids {
			back.Replaces = append(back.Replaces, id.String())
		}
		to.Data = back.data()
	}
	plain, err := json.Marshal(to)
	if err != nil {
		return err
	}
	began, err := a.service.Begin(r.Context(), r.PathValue("provider"), string(plain))
	if err != nil {
		return err
	}
	if len(began.Sealed) > maxPending {
		return errPendingTooLong
	}
	a.forgetPending(w, r)
	http.SetCookie(w, a.pendingCookie(began.State, began.Sealed, int(PendingLifetime.Seconds())))
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, began.Location, http.StatusSeeOther)
	return nil
}

// mustAsk reports whether a foreign page may have sent the browser here, and the
// sign-in would replace a session that lives in it. Cookies that are SameSite=Strict
// are not seen here then.
func (a *surface) mustAsk(r *http.Request, to httpapi.Purpose) (bool, error) {
	if to.Kind != purposeReturn || to.Form != "" || a.FromHere(r) {
		return false, nil
	}
	if a.SameSite == http.SameSiteStrictMode && r.Header.Get("Sec-Fetch-Site") != "same-site" {
		return true, nil
	}
	ids, err := a.BrowserSessions(r, a.CookieName(wire.CookieRefresh))
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		_, err := a.Sessions.Living(r.Context(), id)
		if !errors.As(err, new(*session.Refusal)) {
			return err == nil, err
		}
	}
	return false, nil
}

// ask lets the user decide, by a link that is good in this browser only.
func (a *surface) ask(w http.ResponseWriter, r *http.Request, to httpapi.Purpose) {
	v := a.Pages.New(r, "", problem.Text{EN: "Sign in anew?", ZH: "要重新登录吗？"})
	v.Status, v.Lead = http.StatusForbidden, problem.Text{
		EN: "Another site has sent you here. Who signs in anew leaves the session that this browser has.",
		ZH: "您是从其他网站跳转而来的。重新登录会结束此浏览器中现有的会话。"}.In(v.Tag)
	to.Form = page.Mark(a.Pages.FormToken(w, r))
	a.offer(to, httpapi.LabelSignInWith, &v)
	v.Links = append(v.Links, page.Link{To: wayBackOf(to.Data).To, Text: problem.Text{EN: "Stay signed in", ZH: "保持当前登录"}.In(v.Tag)})
	a.Pages.Show(w, v)
}

func (a *surface) purposeOf(r *http.Request, q form.Params) (to httpapi.Purpose, err error) {
	sealed := q["then"]
	if sealed == "" {
		address, err := a.returnTo(q["return_to"])
		return httpapi.Purpose{Kind: purposeReturn, Data: wayBack{To: address}.data()}, err
	}
	var l link
	plain, ok := a.Keys.OpenLabelled(r.Context(), linkLabel, sealed)
	if !ok || json.Unmarshal(plain, &l) != nil || a.Sessions.Now().UnixMilli() >= l.Until {
		return to, errPending
	}
	if l.Form != "" && !a.Pages.HasMark(r, l.Form) { // the confirmation was another browser's
		return to, page.ErrForm
	}
	return l.Purpose, nil
}

// maxReturnTo bounds an address to return to, in bytes.
const maxReturnTo = 1024

// returnTo is where the browser may go after a sign-in: a path of ours, or an
// address at one of the origins that may call. The response is absolute and at an
// origin that is ours or configured, whatever a browser makes of the rest.
func (a *surface) returnTo(raw string) (string, error) {
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

// callback is GET /auth/oidc/{provider}/callback: back from there.
func (a *surface) callback(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer") // the address has a code in it
	p, err := form.Parse(r.URL.RawQuery)
	if err != nil {
		return err
	}
	var sealed string
	if c, err := r.Cookie(a.pendingCookieName(p["state"])); err == nil && p["state"] != "" {
		sealed = c.Value
		http.SetCookie(w, a.pendingCookie(p["state"], "", -1)) // one response to one question
	}
	arrived, err := a.service.Finish(r.Context(), r.PathValue("provider"), p, sealed)
	var to httpapi.Purpose
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

// arrive goes on with what the sign-in was for.
func (a *surface) arrive(w http.ResponseWriter, r *http.Request, from Arrival, to httpapi.Purpose) error {
	c, ok := a.Continuation(to.Kind)
	if !ok {
		return errPending
	}
	who, err := a.Sessions.Identify(r.Context(), from.UserID)
	if errors.Is(err, session.ErrNoUser) { // disabled between the two steps
		return ErrDisabled
	}
	if err != nil {
		return err
	}
	return c.Arrived(w, r, who, from.Origin, to.Data)
}

// signedIn begins the session of a browser whose user has come back.
func (a *surface) signedIn(w http.ResponseWriter, r *http.Request, who session.Identity, from session.Origin, data string) error {
	contact, back := a.Contact(r), wayBackOf(data)
	replaces, err := a.BrowserSessions(r, a.CookieName(wire.CookieRefresh))
	if err != nil {
		return err
	}
	for _, s := range back.Replaces {
		if id, err := rotation.ParseSessionID(s); err == nil {
			replaces = append(replaces, id)
		}
	}
	g, err := a.Sessions.Start(r.Context(), session.SignIn{UserID: who.UserID, Credentials: who.Credentials, Client: session.Client{ID: a.ClientID},
		Contact: contact, Origin: from, Replaces: replaces})
	if errors.Is(err, session.ErrNoUser) || errors.Is(err, session.ErrVoid) { // meanwhile
		return ErrDisabled
	}
	if err != nil {
		return err
	}
	a.Logger.Info("signed in", "user", who.UserID, "session", g.Session.ID.String(), "provider", r.PathValue("provider"), "address", contact.Address.String())
	a.SetCookies(w, g, a.Sessions.Now())
	http.Redirect(w, r, back.To, http.StatusSeeOther)
	return nil
}

// arrivalFailed says what went wrong and leads back to where it began.
func (a *surface) arrivalFailed(w http.ResponseWriter, r *http.Request, err error, to httpapi.Purpose) error {
	var distrusted *InvalidError
	if errors.As(err, &distrusted) {
		a.Logger.Warn("the response of an identity provider was refused", "provider", r.PathValue("provider"), "why", distrusted.Why)
	}
	p := a.PageProblem(w, r, err)
	v := a.Pages.New(r, "", p.Title)
	v.Status, v.Lead = p.Status, p.Says(v.Tag)
	if c, ok := a.Continuation(to.Kind); ok {
		v.Links = []page.Link{{To: c.Back(to.Data), Text: problem.Text{EN: "Back", ZH: "返回"}.In(v.Tag)}}
	}
	a.Pages.Show(w, v)
	return nil
}

// backchannelLogout is POST /auth/oidc/{provider}/backchannel-logout, which the
// provider calls (OpenID Connect Back-Channel Logout 1.0 §2.5, §2.8).
func (a *surface) backchannelLogout(w http.ResponseWriter, r *http.Request) error {
	p, err := form.Read(r)
	if err == nil {
		_, err = a.service.Logout(r.Context(), r.PathValue("provider"), p["logout_token"])
	}
	if err == nil {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	var distrusted *InvalidError
	var down *DownError
	switch {
	case errors.Is(err, ErrUnknown):
		return err
	case errors.As(err, &distrusted):
		a.Logger.Warn("a logout token was refused", "provider", r.PathValue("provider"), "why", distrusted.Why)
		err = &form.Error{Code: form.CodeInvalidRequest, Description: asciiOnly(distrusted.Why)}
	case errors.As(err, &down):
		err = errors.Join(session.ErrUnavailable, err)
	}
	a.FailOAuth(w, r, err)
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

func (a *surface) pendingCookieName(state string) string {
	return a.CookieName(pendingName + page.Mark(state)[:8])
}

func (a *surface) pendingCookie(state, value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: a.pendingCookieName(state), Value: value, Path: "/", MaxAge: maxAge,
		Secure: a.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode} // Strict would not come back with the response
}

// forgetPending makes room, should sign-ins have been begun and not finished.
func (a *surface) forgetPending(w http.ResponseWriter, r *http.Request) {
	prefix := strings.TrimSuffix(a.pendingCookieName(""), page.Mark("")[:8])
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

var titleProvider = problem.Text{EN: "Sign-in did not work", ZH: "登录未成功"}

var (
	errReturnTo = problem.BadRequest(problem.Text{EN: "The parameter return_to must be a path like /orders, or an address at an origin that is configured.", ZH: "参数 return_to 必须是形如 /orders 的路径，或位于已配置来源的地址。"})
	errPending  = &problem.Problem{Status: http.StatusBadRequest, Code: wire.CodeInvalidRequest, Title: titleProvider,
		Detail: problem.Text{EN: "This sign-in was not begun in this browser, has been finished already or has taken too long. Go back to the application and sign in again.", ZH: "此登录并非由本浏览器发起、已经完成或已超时。请返回应用重新登录。"}}
	errPendingTooLong = problem.BadRequest(problem.Text{EN: "The request of the application is too long to be kept during the sign-in.", ZH: "应用的请求过长，无法在登录期间保存。"})
	errNoProvider     = &problem.Problem{Status: http.StatusNotFound, Code: wire.CodeNotFound, Title: problem.TitleNotFound,
		Detail: problem.Text{EN: "There is no identity provider with this name.", ZH: "没有此名称的身份提供方。"}}
	errProviderSaidNo = &problem.Problem{Status: http.StatusForbidden, Code: wire.CodeAccessDenied, Title: titleProvider,
		Detail: problem.Text{EN: "You did not sign in there, or were not allowed to.", ZH: "您没有在身份提供方完成登录，或未获允许。"}}
	errProviderTrust = &problem.Problem{Status: http.StatusBadRequest, Code: wire.CodeInvalidRequest, Title: titleProvider,
		Detail: problem.Text{EN: "The response of the identity provider could not be accepted, so you are not signed in. Try again; if that does not help, tell the administrators.", ZH: "身份提供方的应答未被接受，您尚未登录。请重试；若仍不行，请联系管理员。"}}
	errProviderDisabled = &problem.Problem{Status: http.StatusForbidden, Code: wire.CodeAccessDenied, Title: titleProvider,
		Detail: problem.Text{EN: "Your account here is disabled. Ask an administrator.", ZH: "您在此处的账号已被停用，请联系管理员。"}}
	errProviderNoRole = &problem.Problem{Status: http.StatusForbidden, Code: wire.CodeAccessDenied, Title: titleProvider,
		Detail: problem.Text{EN: "You have signed in, but have no role here that would let you in. Ask an administrator.", ZH: "您已登录，但在此处没有允许进入的角色，请联系管理员。"}}
)

// problemOf is httpapi.Wing.Problem.
func problemOf(err error) *problem.Problem {
	var refused *RefusedError
	var distrusted *InvalidError
	var down *DownError
	switch {
	case errors.Is(err, ErrUnknown):
		return errNoProvider
	case errors.Is(err, ErrState):
		return errPending
	case errors.Is(err, ErrDisabled):
		return errProviderDisabled
	case errors.Is(err, ErrNoRole):
		return errProviderNoRole
	case errors.As(err, &refused) && (refused.Code == form.CodeTemporarilyUnavailable || refused.Code == form.CodeServerError):
		return downProblem(problem.Text{EN: "The identity provider", ZH: "身份提供方"})
	case errors.As(err, &refused):
		return errProviderSaidNo
	case errors.As(err, &distrusted):
		return errProviderTrust
	case errors.As(err, &down):
		return downProblem(problem.Text{EN: down.Name, ZH: down.Name})
	}
	return nil
}

// providerRetry is when it may be worth another try at a provider, seconds.
const providerRetry = 5

func downProblem(name problem.Text) *problem.Problem {
	return &problem.Problem{Status: http.StatusServiceUnavailable, Code: wire.CodeUnavailable, Title: titleProvider,
		Detail: problem.Text{EN: strings.ReplaceAll(name.EN, "%", "%%") + " can't be reached right now. Try again shortly; who is signed in already stays so.",
			ZH: strings.ReplaceAll(name.ZH, "%", "%%") + " 暂时无法访问，请稍后重试。已登录的用户不受影响。"},
		Header: func(h http.Header) { h.Set("Retry-After", strconv.Itoa(providerRetry)) }}
}
