package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/text/language"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// problem is one line of the error table: a status, a stable code and what it
// says to a person.
type problem struct {
	status int
	code   string
	title  text
	detail text
	args   []any // of detail
	// header, if set, adds to the answer.
	header func(http.Header)
}

// text is a sentence in the languages that we speak.
type text struct{ en, zh string }

func (t text) in(tag language.Tag) string {
	if tag == language.SimplifiedChinese {
		return t.zh
	}
	return t.en
}

func (p *problem) Error() string { return p.code + ": " + fmt.Sprintf(p.detail.en, p.args...) }

// says is the detail for a person.
func (p *problem) says(lang language.Tag) string { return fmt.Sprintf(p.detail.in(lang), p.args...) }

var languages = language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese})

// contentLanguage is how the header names what we speak.
var contentLanguage = map[language.Tag]string{language.English: "en", language.SimplifiedChinese: "zh-CN"}

func callerLanguage(r *http.Request) language.Tag {
	h := r.Header.Get("Accept-Language")
	if h == "" || len(h) > 1024 {
		return language.English
	}
	tags, _, err := language.ParseAcceptLanguage(h)
	if err != nil {
		return language.English
	}
	_, i, confidence := languages.Match(tags...)
	if i == 1 && confidence > language.No {
		return language.SimplifiedChinese
	}
	return language.English
}

// retryAfter is what a client is told when the store can't be reached, or when
// there is too much to do: 1 to 3 seconds, so that those who were turned away
// together do not come back together.
func retryAfter() string { return strconv.Itoa(1 + rand.IntN(3)) }

// fail writes any error of a handler; domain errors are translated here and
// nowhere else.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := translate(err)
	a.logFailure(r, p, err)
	lang := callerLanguage(r)
	body, _ := json.Marshal(wire.Problem{
		Type:   "about:blank",
		Title:  p.title.in(lang),
		Status: p.status,
		Code:   p.code,
		Detail: fmt.Sprintf(p.detail.in(lang), p.args...),
	})
	h := w.Header()
	if p.header != nil {
		p.header(h)
	}
	h.Set("Content-Type", wire.ContentTypeProblem)
	h.Set("Content-Language", contentLanguage[lang])
	h.Set("Cache-Control", "no-store")
	h.Del("ETag")
	w.WriteHeader(p.status)
	_, _ = w.Write(body)
}

// logFailure notes down what is not the caller's doing. The query of a URL is
// never logged: some dialects carry tokens in it.
func (a *api) logFailure(r *http.Request, p *problem, err error) {
	if p == errServer {
		a.Logger.Error("a request failed in a way that has no answer; this is a bug, please report it", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if errors.Is(err, session.ErrUnavailable) {
		a.logOutage(r, err)
	}
}

func translate(err error) *problem {
	var p *problem
	var refused *session.Refusal
	var throttled *session.Throttled
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refused):
		return refusals[refused.Outcome]
	case errors.Is(err, session.ErrNotAuthentic):
		return errNotAuthentic
	case errors.Is(err, session.ErrClient):
		return errClient
	case errors.Is(err, session.ErrProof):
		return errBoundToken
	case errors.Is(err, session.ErrInvalidCredentials):
		return errInvalidCredentials
	case errors.As(err, &throttled):
		return throttledProblem(throttled.RetryAfter)
	case errors.Is(err, session.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errUnavailable
	}
	if p := adminProblem(err); p != nil {
		return p
	}
	if p := providerProblem(err); p != nil {
		return p
	}
	if p := gatewayProblem(err); p != nil {
		return p
	}
	return errServer
}

func notFoundIfRefused(err error) error {
	var refused *session.Refusal
	if errors.As(err, &refused) {
		return errNotFound
	}
	return err
}

var (
	titleRequest = text{"The request is not valid", "请求无效"}
	titleGrant   = text{"The session is over", "会话已结束"}
	titleToken   = text{"The access token is not valid", "访问令牌无效"}
	titleCSRF    = text{"The request was not sent by the application", "请求并非由本应用发出"}
)

func badRequest(detail text, args ...any) *problem {
	return &problem{status: http.StatusBadRequest, code: wire.CodeInvalidRequest, title: titleRequest, detail: detail, args: args}
}

func invalidGrant(detail text) *problem {
	return &problem{status: http.StatusBadRequest, code: wire.CodeInvalidGrant, title: titleGrant, detail: detail}
}

func csrf(detail text) *problem {
	return &problem{status: http.StatusForbidden, code: wire.CodeCSRF, title: titleCSRF, detail: detail}
}

// The error table.
var (
	errMalformedJSON  = badRequest(text{"The body is not the JSON object that this call takes.", "请求体不是此接口所需的 JSON 对象。"})
	errBodyUnreadable = badRequest(text{"The body could not be read to its end.", "请求体未能完整读取。"})
	errNoCredentials  = badRequest(text{"Both username and password are needed, and neither may be empty.", "需要用户名和密码，且均不能为空。"})
	errDelivery       = badRequest(text{`The member delivery must be "cookie" or "body".`, `字段 delivery 只能是 "cookie" 或 "body"。`})

	errNoRefreshToken = invalidGrant(text{"There is no refresh token in the cookie or in the body. Sign in.", "Cookie 和请求体中都没有刷新令牌，请登录。"})
	errNotAuthentic   = invalidGrant(text{"The refresh token is not one of this server's. Sign in.", "刷新令牌并非本服务器签发，请登录。"})
	errClient         = invalidGrant(text{"The refresh token belongs to a client with a secret; renew it at /oauth/token.", "此刷新令牌属于持有密钥的客户端，请在 /oauth/token 续期。"})
	errBoundToken     = invalidGrant(text{"The refresh token is bound to a key; renew it at /oauth/token with a DPoP proof of that key.", "此刷新令牌绑定了密钥，请在 /oauth/token 附上该密钥的持有证明（DPoP）续期。"})
	errExpired        = invalidGrant(text{"The session has reached the end of its lifetime. Sign in again.", "会话已过期，请重新登录。"})
	errEnded          = invalidGrant(text{"The session has been ended. Sign in again.", "会话已被终止，请重新登录。"})
	errForeignUser    = invalidGrant(text{"The refresh token does not belong to the user that the request names. Nothing was changed.", "刷新令牌不属于请求中指明的用户。未作任何更改。"})
	errReused         = invalidGrant(text{"A refresh token of this session was used by two parties, so the session was ended. Sign in again.", "此会话的刷新令牌被两方使用，会话已被终止，请重新登录。"})

	errCSRFMissing   = csrf(text{"The header X-XSRF-TOKEN is missing; send the value of the cookie XSRF-TOKEN in it. Nothing was changed.", "缺少请求头 X-XSRF-TOKEN；请填入 Cookie XSRF-TOKEN 的值。未作任何更改。"})
	errCSRFWrong     = csrf(text{"The header X-XSRF-TOKEN does not belong to this session; send the present value of the cookie XSRF-TOKEN. Nothing was changed.", "请求头 X-XSRF-TOKEN 不属于此会话；请填入 Cookie XSRF-TOKEN 的当前值。未作任何更改。"})
	errForeignOrigin = csrf(text{"The request comes from another origin, which is not one of the configured ones. Nothing was changed.", "请求来自未在配置中允许的来源。未作任何更改。"})

	errInvalidCredentials = &problem{status: http.StatusBadRequest, code: wire.CodeInvalidCredentials,
		title:  text{"Sign-in failed", "登录失败"},
		detail: text{"The username or the password is wrong.", "用户名或密码错误。"}}
	errInvalidToken = &problem{status: http.StatusUnauthorized, code: wire.CodeInvalidToken, title: titleToken,
		detail: text{"The session of this access token is over. Renew it or sign in.", "此访问令牌的会话已结束，请续期或登录。"},
		header: bearer("")}
	errAccessToken = &problem{status: http.StatusUnauthorized, code: wire.CodeInvalidToken, title: titleToken,
		detail: text{"The access token is missing, not valid or has expired. Renew it or sign in.", "访问令牌缺失、无效或已过期，请续期或登录。"},
		header: bearer("")}
	errGrantsChanged = &problem{status: http.StatusUnauthorized, code: wire.CodeInvalidToken, title: titleToken,
		detail: text{"The roles or permissions have changed since the access token was made. Renew it.", "访问令牌签发之后角色或权限已变更，请续期。"},
		header: bearer(wire.GrantsChanged)}
	errFeedToken = &problem{status: http.StatusUnauthorized, code: wire.CodeInvalidToken, title: titleToken,
		detail: text{"The feed is for resource servers that present the feed token of this server.", "此数据流仅供出示本服务器 feed 令牌的资源服务器使用。"},
		header: bearer("")}
	errNotFound = &problem{status: http.StatusNotFound, code: wire.CodeNotFound,
		title:  text{"Not found", "未找到"},
		detail: text{"There is nothing here under this address.", "此地址下没有内容。"}}
	errMethod = &problem{status: http.StatusMethodNotAllowed, code: wire.CodeMethodNotAllowed,
		title:  text{"The method is not allowed", "不支持的请求方法"},
		detail: text{"This address does not take that method; the header Allow says which it takes.", "此地址不支持该请求方法；响应头 Allow 列出了支持的方法。"}}
	errTooLarge = &problem{status: http.StatusRequestEntityTooLarge, code: wire.CodeTooLarge,
		title:  text{"The body is too large", "请求体过大"},
		detail: text{"The body may have at most %d bytes.", "请求体最多 %d 字节。"}, args: []any{maxBody}}
	errMediaType = &problem{status: http.StatusUnsupportedMediaType, code: wire.CodeUnsupportedMedia,
		title:  text{"The content type is not supported", "不支持的内容类型"},
		detail: text{"Send the body as Content-Type: application/json in UTF-8.", "请以 Content-Type: application/json（UTF-8）发送请求体。"}}
	errServer = &problem{status: http.StatusInternalServerError, code: wire.CodeServerError,
		title:  text{"The server made an error", "服务器出错"},
		detail: text{"Something went wrong on our side. The session is not affected.", "服务器内部错误，会话不受影响。"}}
	errUnavailable = &problem{status: http.StatusServiceUnavailable, code: wire.CodeUnavailable,
		title:  text{"Temporarily unavailable", "暂时不可用"},
		detail: text{"The server can't do this right now. The session is not affected; try again shortly.", "服务器暂时无法处理，会话不受影响，请稍后重试。"},
		header: func(h http.Header) { h.Set("Retry-After", retryAfter()) }}
)

// errTooManyStreams is for streams only: other calls go on.
var errTooManyStreams = &problem{status: http.StatusServiceUnavailable, code: wire.CodeUnavailable,
	title:  text{"Too many event streams", "事件流过多"},
	detail: text{"Too many event streams are open at this server, or by this user. Close some, or try again in %d seconds; nothing else is affected.", "此服务器或此用户打开的事件流过多。请关闭一些，或在 %d 秒后重试；其他功能不受影响。"},
	args:   []any{streamRetryAfter},
	header: func(h http.Header) { h.Set("Retry-After", strconv.Itoa(streamRetryAfter)) }}

// streamRetryAfter is in seconds.
const streamRetryAfter = 30

// refusals says in words why an authentic refresh token was refused.
var refusals = map[rotation.Outcome]*problem{
	rotation.Ended:   errEnded,
	rotation.Expired: errExpired,
	rotation.Reused:  errReused,
}

func throttledProblem(wait time.Duration) *problem {
	seconds := max(1, int((wait+time.Second-1)/time.Second))
	return &problem{status: http.StatusTooManyRequests, code: wire.CodeThrottled,
		title:  text{"Too many failed sign-ins", "登录失败次数过多"},
		detail: text{"Try again in %d seconds.", "请在 %d 秒后重试。"}, args: []any{seconds},
		header: func(h http.Header) { h.Set("Retry-After", strconv.Itoa(seconds)) }}
}

// bearer is the challenge of RFC 6750 §3.
func bearer(description string) func(http.Header) {
	v := `Bearer error="invalid_token"`
	if description != "" {
		v += `, error_description="` + description + `"`
	}
	return func(h http.Header) { h.Set("WWW-Authenticate", v) }
}
