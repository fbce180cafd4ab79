package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// verify is /auth/verify, with which other proxies ask about a request before
// they pass it on: 200 with identity headers (wire.HeaderUser and so on), 401 or
// 403. It looks at the access token alone. It reads no cookie and renews
// nothing: the response goes to the proxy, so a cookie that was set here would be
// lost, and the session with it.
//
// There are two dialects. nginx, Traefik and Caddy ask for exactly this path,
// with what their configuration says in the query. Envoy asks with the method,
// the path (behind ours) and the query of the request that it is about.
func (a *surface) verify(w http.ResponseWriter, r *http.Request) error {
	permissions, err := a.required(r)
	if err != nil {
		return err
	}
	a.Verifier.Require(permissions...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if t, ok := verify.FromContext(r.Context()); ok {
			Identify(w.Header(), t)
		}
		w.WriteHeader(http.StatusOK)
	})).ServeHTTP(w, r)
	return nil
}

var errRequire = problem.BadRequest(problem.Text{
	EN: "GET /auth/verify takes only the parameter require, with one or more permissions like orders:read, separated by commas; so does the header X-Tacet-Require. This is a mistake in the configuration of the proxy.",
	ZH: "GET /auth/verify 只接受参数 require，其值为一个或多个权限（如 orders:read，以逗号分隔）；请求头 X-Tacet-Require 亦然。这是代理配置的错误。"})

// required are the permissions that the proxy asks for, in the query and in the
// header. All are needed, so a caller who gets one in can only lock himself out.
// What can't be meant is refused: a rule that is misspelt must not let everybody
// through.
func (a *surface) required(r *http.Request) ([]string, error) {
	values := r.Header.Values(wire.HeaderRequire)
	if r.URL.Path == a.BasePath+wire.PathVerify { // else the query is the caller's
		query, err := parseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, err
		}
		values = append(values, query...)
	}
	var permissions []string
	for _, v := range values {
		for p := range strings.SplitSeq(v, ",") {
			if p = strings.TrimSpace(p); !wire.ValidPermission(p) {
				return nil, errRequire
			}
			permissions = append(permissions, p)
		}
	}
	return permissions, nil
}

// parseQuery returns the values of require, the only parameter there may be.
func parseQuery(raw string) ([]string, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errRequire
	}
	values := query["require"]
	delete(query, "require")
	if len(query) > 0 {
		return nil, errRequire
	}
	return values, nil
}
