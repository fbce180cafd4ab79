package httpapi_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// TestMain also fails if openapi.yaml promises answers that no test has seen. It
// only judges runs of all tests.
func TestMain(m *testing.M) {
	code := m.Run()
	for _, filter := range []string{"test.run", "test.skip", "test.list", "test.bench"} {
		if flag.Lookup(filter).Value.String() != "" {
			os.Exit(code)
		}
	}
	doc, err := loadDocument()
	if err != nil || code != 0 || testing.Short() {
		os.Exit(code)
	}
	for path, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			for status := range op.Responses.Map() {
				// 500 is a bug; none is known.
				if _, seen := seenAnswers.Load(op.OperationID + " " + status); !seen && status != "500" {
					fmt.Printf("openapi.yaml: no test has seen %s answer %s (%s)\n", path, status, op.OperationID)
					code = 1
				}
			}
		}
	}
	os.Exit(code)
}

// operation is one of the document, ready to be called.
type operation struct {
	*openapi3.Operation
	method, path, body string
}

// operations fills the document's addresses and examples with what there is.
func (o *office) operations() (all []operation) {
	o.Helper()
	doc, err := loadDocument()
	if err != nil {
		o.Fatal(err)
	}
	token := o.signIn("carol")
	for path, item := range doc.Paths.Map() {
		if len(item.Servers) == 0 {
			path = "/auth" + path
		}
		id := o.ids["carol"]
		if strings.Contains(path, "/sessions/{id}") {
			id = rotation.SessionID{1}.String()
		}
		for method, op := range item.Operations() {
			if op.OperationID == "grantsChanged" {
				continue // it is there where these users are not: users_test.go
			}
			c := operation{Operation: op, method: method, path: strings.NewReplacer("{id}", id, "{role}", "clerk").Replace(path)}
			if op.RequestBody != nil {
				if mt := op.RequestBody.Value.Content.Get("application/json"); mt != nil && mt.Example != nil {
					b, err := json.Marshal(mt.Example)
					if err != nil {
						o.Fatal(err)
					}
					c.body = string(b)
				} else if op.OperationID == "login" {
					c.body = `{"username":"carol","password":"carol-password"}`
				} else if mt != nil {
					c.body = `{"refresh_token":"` + token.RefreshToken + `"}`
				}
			}
			all = append(all, c)
		}
	}
	return all
}

func (c operation) promises(status int) bool { return c.Responses.Status(status) != nil }

func (c operation) takesJSON() bool {
	return c.RequestBody != nil && c.RequestBody.Value.Content.Get("application/json") != nil
}

func (c operation) takesToken() bool {
	for _, s := range *c.Security {
		if _, ok := s["accessToken"]; ok {
			return true
		}
	}
	return false
}

const aFeedToken = "a-secret-of-the-feed"

func TestErrorsThatTheDocumentPromises(t *testing.T) {
	o := newOffice(t, func(c *app.Config) { c.FeedToken = aFeedToken })
	root := bearer(o.signIn("root").AccessToken)
	for _, c := range o.operations() {
		if c.takesJSON() {
			if !c.promises(413) || !c.promises(415) || !c.promises(400) {
				t.Errorf("%s: a body can always be too large, malformed and not JSON", c.OperationID)
			}
			o.call(http.DefaultClient, c.method, c.path, strings.Repeat(" ", 65<<10), root...).problem(413, "content_too_large")
			o.call(http.DefaultClient, c.method, c.path, `{}`, append(root, "Content-Type", "text/plain")...).problem(415, "unsupported_media_type")
			o.call(http.DefaultClient, c.method, c.path, `{"`, root...).problem(400, "invalid_request")
		}
		if c.takesToken() {
			o.call(http.DefaultClient, c.method, c.path, c.body).want(401)
			o.call(http.DefaultClient, c.method, c.path, c.body, bearer("x")...).problem(401, "invalid_token")
			req, err := http.NewRequestWithContext(t.Context(), c.method, o.URL+c.path, strings.NewReader(""))
			if err != nil {
				t.Fatal(err)
			}
			req.Header["Authorization"] = []string{root[1], root[1]} // whose is it?
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 400 {
				t.Errorf("%s with two Authorization headers: %d, want 400", c.OperationID, resp.StatusCode)
			}
		}
	}
}

// Whatever is asked for while the store is away, nobody is signed out by it and
// everybody is told to try again.
func TestEveryCallWithoutTheStore(t *testing.T) {
	o := newOffice(t, func(c *app.Config) { c.FeedToken = aFeedToken })
	o.App.Start()
	root, operations := bearer(o.signIn("root").AccessToken), o.operations()
	if err := o.App.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range operations {
		if !c.promises(503) || slices.Contains(c.Tags, "oauth") || slices.Contains(c.Tags, "provider") {
			continue // they are called with forms, or by browsers: see below and idp_test.go
		}
		headers := root
		if c.OperationID == "feed" {
			headers = bearer(aFeedToken)
		}
		o.call(http.DefaultClient, c.method, c.path, c.body, headers...).noCookies().problem(503, "temporarily_unavailable")
	}
}

// Where users are kept elsewhere, all calls for them are gone, and no other.
func TestCallsThatAnEmbeddedDirectoryTakes(t *testing.T) {
	operations := newOffice(t).operations()
	h := newHarness(t)
	h.allow("alice", "admin:*")
	alice := bearer(h.loginBody("alice").AccessToken)
	for _, c := range operations {
		p, ok := strings.CutPrefix(c.path, "/auth/admin/")
		if ok && !strings.HasSuffix(p, "/sessions") && (strings.HasPrefix(p, "users") || strings.HasPrefix(p, "roles")) {
			h.call(http.DefaultClient, c.method, c.path, c.body, alice...).problem(404, "not_found")
		}
	}
	h.call(http.DefaultClient, "DELETE", "/auth/admin/users/bob/sessions", "", alice...).want(204)
	h.call(http.DefaultClient, "GET", "/readyz", "").want(200)
}

// The same for the OAuth surface, whose calls take forms.
func TestErrorsThatTheDocumentPromisesToOAuth(t *testing.T) {
	h := newOAuthHarness(t)
	g, device := h.signIn(), h.startDevice()
	doc, err := loadDocument()
	if err != nil {
		t.Fatal(err)
	}
	call := func(method, path string, p url.Values) answer {
		if method == "GET" {
			return h.call(h.browser, method, path+"?"+p.Encode(), "", bearer(g.AccessToken)...)
		}
		return h.form(path, p, bearer(g.AccessToken)...)
	}
	twice := url.Values{"client_id": {"spa", "spa"}, "user_code": {"a", "b"}} // RFC 6749 §3.1
	paths := map[string]*openapi3.PathItem{}
	for path, item := range doc.Paths.Map() {
		if strings.HasPrefix(path, "/oauth/") && path != wire.PathUserInfo {
			paths[path] = item
		}
	}
	for path, item := range paths {
		for method := range item.Operations() {
			call(method, path, twice).want(400)
			if method == "POST" {
				h.form(path, values("x", strings.Repeat("x", 65<<10))).want(413)
				h.call(h.browser, "POST", path, `{}`).want(400)
			}
		}
	}
	h.form(wire.PathEndSession, values()).want(200)

	form := h.authorize(request())
	entered := h.call(h.browser, "GET", wire.PathDevice, "")
	if err := h.App.DB.Close(); err != nil {
		t.Fatal(err)
	}
	h.submit(form, "username", "alice", "password", "alice").want(503)
	h.submit(entered, "user_code", device.UserCode).want(503)
	for path, item := range paths {
		for method, op := range item.Operations() {
			if op.Responses.Status(503) == nil || path == wire.PathDevice || method == "POST" && path == wire.PathAuthorize {
				continue
			}
			call(method, path, values("client_id", "spa", "grant_type", "refresh_token", "refresh_token", g.RefreshToken, "token", g.RefreshToken,
				"id_token_hint", g.IDToken, "response_type", "code")).want(503)
		}
	}
	for _, method := range []string{"GET", "POST"} {
		h.call(h.browser, method, wire.PathUserInfo, "", bearer(g.AccessToken)...).problem(503, "temporarily_unavailable")
	}
}
