package profiles

import (
	"net/http"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/net/http/httpguts"
)

// Load reads one profile. file names it in errors, which all have the form
// file:line: what is wrong and what would be right.
func Load(file string, data []byte) (*Profile, error) {
	r := &reader{file: file}
	root := r.document(data)
	if root == nil {
		return nil, r.err()
	}
	p := &Profile{File: file, Credential: "Authorization", refusals: refusals{}}
	r.profile(p, root)
	if r.err() != nil {
		return nil, r.err()
	}
	r.check(p, root.Line)
	if r.err() != nil {
		return nil, r.err()
	}
	return p, nil
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func (r *reader) profile(p *Profile, root *yaml.Node) {
	refreshSeen := false
	r.fields(root, "a profile", map[string]func(key, value *yaml.Node){
		"profile": func(_, v *yaml.Node) {
			if p.Name = r.text(v, "the name"); p.Name != "" && !nameForm.MatchString(p.Name) {
				r.errorf(v.Line, "the name %q must be lower case letters, digits and hyphens", p.Name)
			}
		},
		"about":      func(_, v *yaml.Node) { p.About = r.text(v, "about") },
		"credential": func(_, v *yaml.Node) { p.Credential, p.Bare = r.header(v, "the credential"), true },
		"renews_at_401": func(_, v *yaml.Node) {
			p.KeepsGrants = r.oneOf(v, "renews_at_401", []string{"yes", "no"}) == "no"
		},
		"lifetime": func(_, v *yaml.Node) {
			d, err := time.ParseDuration(r.text(v, "the lifetime"))
			if p.Lifetime = d; err != nil || d < time.Second || d > MaxLifetime {
				r.errorf(v.Line, "the lifetime of access tokens is a time between 1s and %s, like 8h", MaxLifetime)
			}
		},
		"logout": func(_, v *yaml.Node) { p.NoLogout = r.oneOf(v, "logout", []string{"none"}) != "" },
		"refresh": func(_, v *yaml.Node) {
			refreshSeen = true
			r.travel(&p.Refresh, v)
		},
		"accepts": func(_, v *yaml.Node) {
			for _, item := range r.items(v) {
				p.RequestHeaders = append(p.RequestHeaders, r.header(item, "a header in accepts"))
			}
		},
		"api": func(_, v *yaml.Node) {
			for _, item := range r.items(v) {
				path := r.text(item, "a path in api")
				if path != "" && !pathForm.MatchString(path) {
					r.errorf(item.Line, "the path %q must be plain, like /api", path)
				}
				p.API = append(p.API, path)
			}
		},
		"envelope": func(_, v *yaml.Node) { p.envelope = r.template(v, inEnvelope, 0) },
		"refusals": func(_, v *yaml.Node) { p.refusals = r.refusals(v) },
		"renew":    func(_, v *yaml.Node) { p.renew = r.renewal(v) },
		"never": func(_, v *yaml.Node) {
			for _, item := range r.items(v) {
				p.never = append(p.never, r.constraint(item))
			}
		},
		"routes": func(_, v *yaml.Node) {
			r.each(v, "routes", func(key, value *yaml.Node) { p.Routes = append(p.Routes, r.route(key, value)) })
		},
	})
	if p.Name == "" && len(r.errs) == 0 {
		r.errorf(root.Line, "the profile has no name: begin with \"profile: NAME\"")
	}
	if !refreshSeen {
		r.errorf(root.Line, "say under refresh where the refresh token travels: cookie, body, query, carried or none")
	}
}

func (r *reader) travel(t *Travel, n *yaml.Node) {
	set := 0
	count := func(f func(v *yaml.Node)) func(_, v *yaml.Node) {
		return func(_, v *yaml.Node) { set++; f(v) }
	}
	r.fields(n, "refresh", map[string]func(key, value *yaml.Node){
		"cookie": count(func(v *yaml.Node) {
			if t.Cookie = r.text(v, "the cookie"); t.Cookie != "" && !httpguts.ValidHeaderFieldName(t.Cookie) {
				r.errorf(v.Line, "%q can't be the name of a cookie", t.Cookie)
			}
		}),
		"body":    count(func(v *yaml.Node) { t.Body = r.text(v, "the member") }),
		"query":   count(func(v *yaml.Node) { t.Query = r.text(v, "the parameter") }),
		"carried": count(func(v *yaml.Node) { t.Carried = r.oneOf(v, "carried", []string{"true"}) != "" }),
		"none":    count(func(v *yaml.Node) { t.None = r.oneOf(v, "none", []string{"true"}) != "" }),
	})
	if set != 1 {
		r.errorf(n.Line, "the refresh token travels in one way: give one of cookie, body, query, carried and none")
	}
}

func (r *reader) header(n *yaml.Node, what string) string {
	h := r.text(n, what)
	if h != "" && !httpguts.ValidHeaderFieldName(h) {
		r.errorf(n.Line, "%s %q is not the name of a header", what, h)
	}
	return textproto.CanonicalMIMEHeaderKey(h)
}

var pathForm = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

func (r *reader) route(key, value *yaml.Node) *Route {
	rt := &Route{line: key.Line, refusals: refusals{}}
	method, path, _ := strings.Cut(key.Value, " ")
	rt.Method, rt.Path = method, strings.TrimSpace(path)
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete:
	default:
		r.errorf(key.Line, "a route is a method and a path, like \"POST /api/login\"; %q is not", key.Value)
	}
	if base, any := strings.CutSuffix(rt.Path, "/*"); any {
		rt.Path = base
		defer func() {
			if rt.Path += "/{any}"; rt.Operation != OpFixed {
				r.errorf(key.Line, "only a route of the operation fixed may end with *, which stands for any one segment")
			}
		}()
	}
	if !pathForm.MatchString(rt.Path) || strings.Contains(rt.Path+"/", "/./") || strings.Contains(rt.Path+"/", "/../") {
		r.errorf(key.Line, "the path %q must be plain: segments of letters, digits and . _ ~ - behind slashes", rt.Path)
	}
	for i := 0; i+1 < len(value.Content); i += 2 { // it decides what the templates may say
		if value.Content[i].Value == "operation" {
			rt.Operation = Operation(r.oneOf(value.Content[i+1], "the operation", operations))
		}
	}
	if rt.Operation == "" {
		r.errorf(key.Line, "the route has no operation; it must be one of %s", strings.Join(operations, ", "))
		return rt
	}
	in := scopeOf(rt.Operation)
	known := map[string]func(key, value *yaml.Node){
		"operation": func(_, _ *yaml.Node) {},
		"refusals":  func(_, v *yaml.Node) { rt.refusals = r.refusals(v) },
	}
	switch rt.Operation {
	case OpLogin:
		known["username"] = func(_, v *yaml.Node) { rt.username = r.text(v, "username") }
		known["password"] = func(_, v *yaml.Node) { rt.password = r.text(v, "password") }
		known["mark"] = func(_, v *yaml.Node) { rt.markedBy = r.text(v, "the mark") }
		known["form"] = func(_, v *yaml.Node) { rt.form = r.oneOf(v, "form", []string{"true", "false"}) == "true" }
	case OpRefresh:
		known["user"] = func(_, v *yaml.Node) { rt.user = r.text(v, "user") }
	case OpConfig:
		known["anonymous"] = func(_, v *yaml.Node) {
			a := answer{}
			r.fields(v, "anonymous", r.answer(&a, 0))
			rt.anonymous = r.whole(&a)
		}
	}
	rt.answer = answer{}
	for name, f := range r.answer(&rt.answer, in) {
		known[name] = f
	}
	r.fields(value, "a route of the operation "+string(rt.Operation), known)
	r.whole(&rt.answer)
	return rt
}

// scopeOf says which references have a value in the answers of an operation.
func scopeOf(op Operation) where {
	switch op {
	case OpLogin, OpRefresh, opRenew:
		return inGrant
	case OpUser, OpConfig:
		return inUser
	}
	return 0
}

// answer are the fields of an answer.
func (r *reader) answer(a *answer, in where) map[string]func(key, value *yaml.Node) {
	return map[string]func(key, value *yaml.Node){
		"status":  func(_, v *yaml.Node) { a.status = r.number(v, "the status", 200, 599) },
		"headers": func(_, v *yaml.Node) { a.headers = r.headers(v, in) },
		"text":    func(_, v *yaml.Node) { a.text = r.template(v, in, 0) },
		"body": func(key, v *yaml.Node) {
			if a.body != nil {
				r.errorf(key.Line, "give either body, which is sent as it is, or data, which goes into the envelope")
			}
			a.body = r.template(v, in, 0)
		},
		"data": func(key, v *yaml.Node) {
			if a.body != nil {
				r.errorf(key.Line, "give either body, which is sent as it is, or data, which goes into the envelope")
			}
			a.body, a.data = r.template(v, in, 0), true
		},
	}
}

// whole finishes an answer.
func (r *reader) whole(a *answer) *answer {
	if a.text != nil && a.body != nil {
		r.errorf(a.text.line, "an answer is either text or JSON")
	}
	if a.body == nil && a.text == nil {
		a.body, a.data = &node{}, true // null in the envelope
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a
}

// reserved headers are the server's: a profile can't take cookies, caching,
// CORS or framing into its hands.
func reserved(h string) bool {
	switch h {
	case "Set-Cookie", "Cache-Control", "Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Vary", "Location", "Date":
		return true
	}
	return strings.HasPrefix(h, "Access-Control-") || strings.HasPrefix(h, "Content-Security") || strings.HasPrefix(h, "X-Content-Type")
}

func (r *reader) headers(n *yaml.Node, in where) []member {
	var out []member
	r.each(n, "headers", func(key, value *yaml.Node) {
		name := r.header(key, "a header")
		if reserved(name) {
			r.errorf(key.Line, "the header %s is set by the server and not by a profile", name)
		}
		t := r.template(value, in, 0)
		if t.isList || t.isObj {
			r.errorf(value.Line, "a header is plain text")
		}
		out = append(out, member{name, t})
	})
	return out
}

func (r *reader) refusals(n *yaml.Node) refusals {
	out := refusals{}
	r.each(n, "refusals", func(key, value *yaml.Node) {
		if names := refusalNames(); r.oneOf(key, "a refusal", names) == "" {
			return
		}
		a := &answer{}
		r.fields(value, "a refusal", r.answer(a, inRefusal))
		status := a.status
		r.whole(a).status = status // 0: that of the error
		out[key.Value] = a
	})
	return out
}

func (r *reader) renewal(n *yaml.Node) *renewal {
	out := &renewal{last: 33}
	r.fields(n, "renew", map[string]func(key, value *yaml.Node){
		"last":    func(_, v *yaml.Node) { out.last = r.number(v, "last", 1, 90) },
		"headers": func(_, v *yaml.Node) { out.headers = r.headers(v, inGrant) },
	})
	return out
}

func (r *reader) constraint(n *yaml.Node) constraint {
	c := constraint{line: n.Line}
	r.fields(n, "never", map[string]func(key, value *yaml.Node){
		"on": func(_, v *yaml.Node) { c.on = r.oneOf(v, "on", append([]string{"any", string(opAPI)}, operations...)) },
		"status": func(_, v *yaml.Node) {
			for _, item := range r.items(v) {
				c.status = append(c.status, r.number(item, "the status", 200, 599))
			}
		},
		"member": func(_, v *yaml.Node) { c.member = r.text(v, "member") },
		"is": func(_, v *yaml.Node) {
			for _, item := range r.items(v) {
				c.is = append(c.is, r.scalar(item))
			}
		},
		"text": func(_, v *yaml.Node) { c.text = r.oneOf(v, "text", []string{"true"}) == "true" },
		"why":  func(_, v *yaml.Node) { c.why = r.text(v, "why") },
	})
	if n.Kind == yaml.MappingNode && (c.on == "" || c.why == "" || (len(c.status) == 0 && c.member == "" && !c.text) || (c.member == "") != (len(c.is) == 0)) {
		r.errorf(n.Line, "a constraint says on which operation (or any), what (status, or member and is, or text), and why")
	}
	return c
}
