package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/tacet-dev/tacet/dpop"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// Fail writes any error of a handler. Errors are translated to rows of the
// catalogue by [API.Problem] and nowhere else.
func (a *API) Fail(w http.ResponseWriter, r *http.Request, err error) {
	p := a.Problem(err)
	a.LogFailure(r, p, err)
	problem.Write(w, problem.Language(r), p)
}

// LogFailure logs a failure that is not the caller's doing. The query of a URL is
// never logged: some dialects carry tokens in it.
func (a *API) LogFailure(r *http.Request, p *problem.Problem, err error) {
	if p == problem.Server {
		a.Logger.Error("a request failed in a way that has no response; this is a bug, please report it", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if errors.Is(err, session.ErrUnavailable) {
		a.LogOutage(r, err)
	}
}

// Problem is the row of the catalogue for an error: the kernel's own, or that of
// the wing whose error it is.
func (a *API) Problem(err error) *problem.Problem {
	var p *problem.Problem
	var refused *session.Refusal
	var throttled *session.Throttled
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refused):
		return refusals[refused.Outcome]
	case errors.Is(err, session.ErrNotAuthentic):
		return ErrNotAuthentic
	case errors.Is(err, session.ErrClient):
		return errClient
	case errors.Is(err, session.ErrProof):
		return errBoundToken
	case errors.Is(err, session.ErrOwner):
		return ErrForeignUser
	case errors.Is(err, dpop.ErrProof):
		return errProof
	case errors.Is(err, session.ErrInvalidCredentials):
		return errInvalidCredentials
	case errors.As(err, &throttled):
		return Throttled(throttled.RetryAfter)
	case errors.Is(err, session.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return problem.Unavailable
	}
	for _, w := range a.wings {
		if w.Problem == nil {
			continue
		}
		if p := w.Problem(err); p != nil {
			return p
		}
	}
	return problem.Server
}

func notFoundIfRefused(err error) error {
	var refused *session.Refusal
	if errors.As(err, &refused) {
		return problem.NotFound
	}
	return err
}

var (
	titleGrant = problem.Text{EN: "The session is over", ZH: "会话已结束"}
	TitleCSRF  = problem.Text{EN: "The request was not sent by the application", ZH: "请求并非由本应用发出"}
)

func invalidGrant(detail problem.Text) *problem.Problem {
	return &problem.Problem{Status: http.StatusBadRequest, Code: wire.CodeInvalidGrant, Title: titleGrant, Detail: detail}
}

func csrf(detail problem.Text) *problem.Problem {
	return &problem.Problem{Status: http.StatusForbidden, Code: wire.CodeCSRF, Title: TitleCSRF, Detail: detail}
}

// The error table.
var (
	ErrNoCredentials = problem.BadRequest(problem.Text{EN: "Both username and password are needed, and neither may be empty.", ZH: "需要用户名和密码，且均不能为空。"})
	errDelivery      = problem.BadRequest(problem.Text{EN: `The member delivery must be "cookie" or "body".`, ZH: `字段 delivery 只能是 "cookie" 或 "body"。`})

	errTicketAlone = problem.BadRequest(problem.Text{EN: "A ticket signs in alone: leave username and password out.", ZH: "使用票据登录时，请勿同时提供用户名和密码。"})

	ErrNoRefreshToken = invalidGrant(problem.Text{EN: "There is no refresh token in the cookie or in the body. Sign in.", ZH: "Cookie 和请求体中都没有刷新令牌，请登录。"})
	ErrNotAuthentic   = invalidGrant(problem.Text{EN: "The refresh token is not one of this server's. Sign in.", ZH: "刷新令牌并非本服务器签发，请登录。"})
	errClient         = invalidGrant(problem.Text{EN: "The refresh token belongs to a client with a secret; renew it at /oauth/token.", ZH: "此刷新令牌属于持有密钥的客户端，请在 /oauth/token 续期。"})
	errBoundToken     = invalidGrant(problem.Text{EN: "The refresh token is bound to a key; renew it with a DPoP proof of that key.", ZH: "此刷新令牌绑定了密钥，请附上该密钥的持有证明（DPoP）续期。"})
	errProof          = problem.BadRequest(problem.Text{EN: "The DPoP proof is not accepted: it must be new, and be made for this method and address. Nothing was changed.", ZH: "DPoP 证明未被接受：它必须是新的，且针对此方法和地址生成。未作任何更改。"})
	ErrExpired        = invalidGrant(problem.Text{EN: "The session has reached the end of its lifetime. Sign in again.", ZH: "会话已过期，请重新登录。"})
	ErrEnded          = invalidGrant(problem.Text{EN: "The session has been ended. Sign in again.", ZH: "会话已被终止，请重新登录。"})
	ErrForeignUser    = invalidGrant(problem.Text{EN: "The refresh token does not belong to the user that the request names. Nothing was changed.", ZH: "刷新令牌不属于请求中指明的用户。未作任何更改。"})
	ErrReused         = invalidGrant(problem.Text{EN: "A refresh token of this session was used by two parties, so the session was ended. Sign in again.", ZH: "此会话的刷新令牌被两方使用，会话已被终止，请重新登录。"})

	errCSRFMissing   = csrf(problem.Text{EN: "The header X-CSRF-Token is missing; send the value of the cookie tacet_csrf in it (__Host-tacet_csrf under TLS). Nothing was changed.", ZH: "缺少请求头 X-CSRF-Token；请填入 Cookie tacet_csrf（TLS 下为 __Host-tacet_csrf）的值。未作任何更改。"})
	errCSRFWrong     = csrf(problem.Text{EN: "The header X-CSRF-Token does not belong to the session of the cookie; send the present value of the cookie tacet_csrf (__Host-tacet_csrf under TLS). Nothing was changed.", ZH: "请求头 X-CSRF-Token 不属于 Cookie 中的会话；请填入 Cookie tacet_csrf（TLS 下为 __Host-tacet_csrf）的当前值。未作任何更改。"})
	errForeignOrigin = csrf(problem.Text{EN: "The request comes from another origin, which is not one of the configured ones. Nothing was changed.", ZH: "请求来自未在配置中允许的来源。未作任何更改。"})

	errOtherSession = &problem.Problem{Status: http.StatusConflict, Code: wire.CodeOtherSession,
		Title:  problem.Text{EN: "The browser holds another session", ZH: "浏览器中是另一个会话"},
		Detail: problem.Text{EN: "The refresh token does not belong to the session that the request names: somebody has signed in anew in this browser. Nothing was changed. Load the page again.", ZH: "刷新令牌不属于请求中指明的会话：此浏览器中已重新登录。未作任何更改，请重新加载页面。"}}
	errInvalidCredentials = &problem.Problem{Status: http.StatusBadRequest, Code: wire.CodeInvalidCredentials,
		Title:  problem.Text{EN: "Sign-in failed", ZH: "登录失败"},
		Detail: problem.Text{EN: "The username or the password is wrong.", ZH: "用户名或密码错误。"}}
	ErrAccessToken = &problem.Problem{Status: http.StatusUnauthorized, Code: wire.CodeInvalidToken, Title: problem.TitleToken,
		Detail: problem.Text{EN: "The access token is missing, not valid or has expired. Renew it or sign in.", ZH: "访问令牌缺失、无效或已过期，请续期或登录。"},
		Header: problem.Challenge("")}
	ErrGrantsChanged = &problem.Problem{Status: http.StatusUnauthorized, Code: wire.CodeInvalidToken, Title: problem.TitleToken,
		Detail: problem.Text{EN: "The roles or permissions have changed since the access token was made. Renew it.", ZH: "访问令牌签发之后角色或权限已变更，请续期。"},
		Header: problem.Challenge(wire.GrantsChanged)}
	errFeedToken = &problem.Problem{Status: http.StatusUnauthorized, Code: wire.CodeInvalidToken, Title: problem.TitleToken,
		Detail: problem.Text{EN: "The feed is for resource servers that present the feed token of this server.", ZH: "此数据流仅供出示本服务器 feed 令牌的资源服务器使用。"},
		Header: problem.Challenge("")}
)

// errTooManyStreams is for streams only: other calls go on.
var errTooManyStreams = &problem.Problem{Status: http.StatusServiceUnavailable, Code: wire.CodeUnavailable,
	Title:  problem.Text{EN: "Too many event streams", ZH: "事件流过多"},
	Detail: problem.Text{EN: "Too many event streams are open at this server, or by this user. Close some, or try again in %d seconds; nothing else is affected.", ZH: "此服务器或此用户打开的事件流过多。请关闭一些，或在 %d 秒后重试；其他功能不受影响。"},
	Args:   []any{streamRetryAfter},
	Header: func(h http.Header) { h.Set("Retry-After", strconv.Itoa(streamRetryAfter)) }}

// streamRetryAfter is in seconds.
const streamRetryAfter = 30

// refusals says in words why an authentic refresh token was refused.
var refusals = map[rotation.Outcome]*problem.Problem{
	rotation.Ended:   ErrEnded,
	rotation.Expired: ErrExpired,
	rotation.Reused:  ErrReused,
}

// Throttled says when to try again.
func Throttled(wait time.Duration) *problem.Problem {
	seconds := problem.Seconds(wait)
	return &problem.Problem{Status: http.StatusTooManyRequests, Code: wire.CodeThrottled,
		Title:  problem.Text{EN: "Too many failed sign-ins", ZH: "登录失败次数过多"},
		Detail: problem.Text{EN: "Try again in %d seconds.", ZH: "请在 %d 秒后重试。"}, Args: []any{seconds},
		Header: func(h http.Header) { h.Set("Retry-After", strconv.Itoa(seconds)) }}
}
