package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/rs/cors"

	"github.com/tacet-dev/tacet/internal/gateway"
	"github.com/tacet-dev/tacet/wire"
)

// OwnPaths are answered here beside all that is below the base path.
var OwnPaths = []string{wire.PathJWKS, "/livez", "/readyz",
	wire.PathAuthorize, wire.PathToken, wire.PathRevoke, wire.PathIntrospect, wire.PathDeviceAuthorization, wire.PathDevice,
	wire.PathUserInfo, wire.PathEndSession, wire.PathOAuthMetadata, wire.PathOpenIDMetadata}

// dispatch sends a request where it belongs: to forward-auth, which answers every
// method and no preflight, to our own routes, or to the gateway.
func (a *api) dispatch(own *http.ServeMux, native http.Handler) http.Handler {
	path := a.BasePath + wire.PathVerify
	forwardAuth, other := a.Measure(anyMethod, path, a.limits(a.handler((*api).verify))), a.Measure(anyMethod, routeNone, native)
	if a.Gateway != nil {
		other = a.Measure(anyMethod, routeGateway, a.gateway())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path || strings.HasPrefix(r.URL.Path, path+"/") {
			forwardAuth.ServeHTTP(w, r)
		} else if _, pattern := own.Handler(r); pattern != "" {
			native.ServeHTTP(w, r)
		} else {
			other.ServeHTTP(w, r)
		}
	})
}

// passed are the usual methods; the gateway knows only two that it does not pass
// on.
var passed = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

func (a *api) gateway() http.Handler {
	h := a.handler(func(a *api, w http.ResponseWriter, r *http.Request) error { return a.Gateway.Serve(w, r) })
	h = a.decrypted(h)
	if len(a.CORSOrigins) == 0 {
		return h
	}
	return cors.New(cors.Options{
		AllowedOrigins:   a.CORSOrigins,
		AllowCredentials: true,
		AllowedMethods:   passed,
		AllowedHeaders:   []string{"*"},
		ExposedHeaders:   append([]string{"Retry-After", "WWW-Authenticate", "Date", wire.HeaderSeal}, a.Profiles.ResponseHeaders()...),
		MaxAge:           600,
	}).Handler(h)
}

func gatewayProblem(err error) *problem {
	for known, p := range gatewayProblems {
		if errors.Is(err, known) {
			return p
		}
	}
	return nil
}

// gatewayProblems says what the gateway's errors look like from outside.
var gatewayProblems = map[error]*problem{
	gateway.ErrNotFound: errNotFound,
	gateway.ErrMethod: {status: http.StatusMethodNotAllowed, code: wire.CodeMethodNotAllowed, title: errMethod.title, detail: errMethod.detail,
		header: func(h http.Header) { h.Set("Allow", strings.Join(passed, ", ")) }},
	gateway.ErrPath: badRequest(text{
		"The path could be read in more than one way, which would decide who may see what is there. Send it without dot segments, double slashes, escaped slashes and the like.",
		"路径存在多种解读，会影响访问权限的判断。请勿在路径中使用点段、重复斜杠、转义斜杠等。"}),
	gateway.ErrBody: errBodyUnreadable,
	gateway.ErrUpstream: {status: http.StatusBadGateway, code: wire.CodeBadGateway,
		title:  text{"The application can't be reached", "应用暂时无法访问"},
		detail: text{"The application behind this server did not answer. The session is not affected; try again later.", "本服务器后方的应用没有响应。会话不受影响，请稍后重试。"}},
	gateway.ErrUpstreamSlow: {status: http.StatusGatewayTimeout, code: wire.CodeGatewayTimeout,
		title:  text{"The application did not answer in time", "应用响应超时"},
		detail: text{"The application behind this server took too long. What was asked for may still be done. The session is not affected.", "本服务器后方的应用响应过慢，所请求的操作可能仍会完成。会话不受影响。"}},
}
