package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/wire"
)

func TestForwardAuth(t *testing.T) {
	h := newHarness(t)
	c := apptest.NewBrowser()
	alice := h.login(c, "alice")
	auth := bearer(alice.AccessToken)
	ended := h.loginBody("bob")
	h.call(http.DefaultClient, "POST", "/auth/logout", `{"refresh_token":"`+ended.RefreshToken+`"}`).want(204)

	for _, x := range []struct {
		path    string
		headers []string
		status  int
	}{
		{"/auth/verify", auth, 200},
		{"/auth/verify?require=orders:read", auth, 200},
		{"/auth/verify", append(auth, wire.HeaderRequire, "orders:read"), 200},
		{"/auth/verify?require=orders:write", auth, 403},
		{"/auth/verify?require=orders:read,orders:write", auth, 403},
		{"/auth/verify?require=orders:read&require=admin:*", auth, 403},
		{"/auth/verify?require=orders:read", append(auth, wire.HeaderRequire, "orders:read, admin:*"), 403},
		{"/auth/verify", nil, 401},
		{"/auth/verify?require=orders:read", nil, 401},
		{"/auth/verify", bearer("nonsense"), 401},
		{"/auth/verify", bearer(ended.AccessToken), 401},

		// A rule that says nothing must not let everybody through.
		{"/auth/verify?require=", auth, 400},
		{"/auth/verify?require=orders:read,", auth, 400},
		{"/auth/verify?require=a%20b", auth, 400},
		{"/auth/verify?requires=admin:*", auth, 400},
		{"/auth/verify?require=orders:read;x", auth, 400},
		{"/auth/verify", append(auth, wire.HeaderRequire, ""), 400},

		// Envoy's dialect: path and query are the caller's.
		{"/auth/verify/", auth, 200},
		{"/auth/verify/api/orders?x=1&require=", auth, 200},
		{"/auth/verify/api//orders/../x", auth, 200},
		{"/auth/verify/api/orders?require=orders:read", append(auth, wire.HeaderRequire, "admin:*"), 403},
		{"/auth/verify/api/orders", nil, 401},
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			a := h.call(http.DefaultClient, method, x.path, "", x.headers...).noCookies()
			switch x.status {
			case 200:
				a.want(200)
				if a.Header.Get(wire.HeaderUser) != "alice" || a.Header.Get(wire.HeaderPermissions) != "orders:read" || a.Header.Get(wire.HeaderRoles) != "viewer" ||
					a.Header.Get(wire.HeaderSession) != alice.Session.ID || a.Header.Get(wire.HeaderGrantsVersion) != "1" || len(a.body) != 0 {
					t.Errorf("%s: %v %s", x.path, a.Header, a.body)
				}
				if a.Header.Get(wire.HeaderIdentity) != "" {
					t.Error("anybody could fetch a signed identity here")
				}
				if a.Header.Get("Cache-Control") != "no-store" {
					t.Error("the answer can be cached")
				}
			case 400:
				a.problem(400, wire.CodeInvalidRequest)
			case 401:
				a.problem(401, wire.CodeInvalidToken)
			case 403:
				a.problem(403, wire.CodeInsufficientScope)
				if !strings.Contains(a.Header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
					t.Error(a.Header.Get("WWW-Authenticate"))
				}
			}
			if x.status != 200 && a.Header.Get(wire.HeaderUser) != "" {
				t.Errorf("%s: a refusal says who it is", x.path)
			}
		}
	}

	// The cookie is no credential here, and is neither renewed nor cleared: the
	// browser's next renewal works.
	h.call(c, "GET", "/auth/verify", "").noCookies().problem(401, wire.CodeInvalidToken)
	h.refresh(c).tokens()
}
