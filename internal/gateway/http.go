package gateway

import (
	"time"

	"github.com/tacet-dev/tacet/internal/httpapi"

	"errors"
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/wire"
)

// Settings are the settings of this wing.
type Settings struct {
	Upstreams         []string      `name:"upstream" help:"Pass requests below a path on to an API, if they carry a good access token; like /api=http://127.0.0.1:9000. A path in the URL takes the place of the prefix." placeholder:"PREFIX=URL"`
	Require           []string      `help:"Below this path, the access token must also grant a permission; like /admin=admin:*. The longest prefix counts." placeholder:"PREFIX=PERMISSION"`
	Public            []string      `help:"Below this path, an upstream is reached without an access token." placeholder:"PREFIX"`
	UpstreamTimeout   time.Duration `help:"How long an upstream may take to begin its response (${default})." placeholder:"TIME" default:"1m"`
	IdentitySignature bool          `help:"Add a signed header that upstreams can check, X-Tacet-Identity."`
}

// surface is the gateway, and what other proxies ask instead of it, over HTTP.
type surface struct {
	*httpapi.API
	gateway *Gateway
}

// Wing is the gateway, if there is one (g may be nil), and forward-auth.
func Wing(g *Gateway) httpapi.Builder {
	return func(api *httpapi.API) (httpapi.Wing, error) {
		a := &surface{api, g}
		w := httpapi.Wing{
			Prefixes: map[string]http.Handler{a.BasePath + wire.PathVerify: a.Handle(a.verify)},
			Problem:  problemOf,
		}
		if g != nil {
			w.Fallback, w.Instead = a.Handle(g.Serve), g.Table.prefixes()
		}
		return w, nil
	}
}

// passed are the usual methods; the gateway knows only two that it does not pass
// on.
var passed = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// problemOf is httpapi.Wing.Problem.
func problemOf(err error) *problem.Problem {
	for known, p := range problems {
		if errors.Is(err, known) {
			return p
		}
	}
	return nil
}

// problems says what the gateway's errors look like from outside.
var problems = map[error]*problem.Problem{
	ErrNotFound: problem.NotFound,
	ErrMethod: {Status: http.StatusMethodNotAllowed, Code: wire.CodeMethodNotAllowed, Title: problem.Method.Title, Detail: problem.Method.Detail,
		Header: func(h http.Header) { h.Set("Allow", strings.Join(passed, ", ")) }},
	ErrPath: problem.BadRequest(problem.Text{
		EN: "The path could be read in more than one way, which would decide who may see what is there. Send it without dot segments, double slashes, escaped slashes and the like.",
		ZH: "路径存在多种解读，会影响访问权限的判断。请勿在路径中使用点段、重复斜杠、转义斜杠等。"}),
	ErrBody: problem.BodyUnreadable,
	ErrUpstream: {Status: http.StatusBadGateway, Code: wire.CodeBadGateway,
		Title:  problem.Text{EN: "The application can't be reached", ZH: "应用暂时无法访问"},
		Detail: problem.Text{EN: "The application behind this server did not respond. The session is not affected; try again later.", ZH: "本服务器后方的应用没有响应。会话不受影响，请稍后重试。"}},
	ErrUpstreamSlow: {Status: http.StatusGatewayTimeout, Code: wire.CodeGatewayTimeout,
		Title:  problem.Text{EN: "The application did not respond in time", ZH: "应用响应超时"},
		Detail: problem.Text{EN: "The application behind this server took too long. What was asked for may still be done. The session is not affected.", ZH: "本服务器后方的应用响应过慢，所请求的操作可能仍会完成。会话不受影响。"}},
}
