package profiles

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
)

// check holds a profile that has been read against the rules that no profile may
// break, and against those that it has set up for itself under never. Every
// answer is tried out.
func (r *reader) check(p *Profile, line int) {
	if p.refusals["default"] == nil {
		r.errorf(line, "refusals has no default: say how errors look that have no entry of their own")
		return
	}
	seen := map[string]bool{}
	for _, rt := range p.Routes {
		if seen[rt.Method+" "+rt.Path] {
			r.errorf(rt.line, "%s %s is there twice", rt.Method, rt.Path)
		}
		seen[rt.Method+" "+rt.Path] = true
		r.checkRoute(p, rt)
	}
	for _, problem := range problemsOn(opAPI) {
		rt := &Route{Operation: opAPI, line: line}
		r.tryOut(p, rt, p.refusal(rt, problem.Kind), sample(problem), "the refusal "+problem.Kind+" of an API")
	}
	if p.routeOf(OpLogin) == nil {
		r.errorf(line, "there is no route with the operation login")
	}
	if (p.routeOf(OpLogout) == nil) != p.NoLogout {
		r.errorf(line, "there is no route with the operation logout: sessions could not be ended. If the front-end has no such call, say logout: none")
	}
	switch renews, carried := p.routeOf(OpRefresh) != nil, p.Refresh.Carried; {
	case p.Refresh.None && (renews || p.renew != nil || p.Lifetime == 0):
		r.errorf(line, "without a refresh token nothing is renewed: give lifetime, how long users stay signed in, and neither renew nor a route with the operation refresh")
	case p.Refresh.None:
	case carried && (renews || p.renew == nil):
		r.errorf(line, "a refresh token that is carried in the access token is renewed by headers: give renew, and no route with the operation refresh")
	case !carried && (!renews || p.renew != nil):
		r.errorf(line, "there must be a route with the operation refresh, and no renew")
	}
	if p.renew != nil && !slices.ContainsFunc(p.renew.headers, func(m member) bool { return m.value.uses("access.token") }) {
		r.errorf(line, "renew must hand out ${access.token} in a header")
	}
	if env := p.envelope; env != nil && !env.uses("data") {
		r.errorf(env.line, "the envelope must have ${data} in it")
	}
}

func (r *reader) checkRoute(p *Profile, rt *Route) {
	changes := rt.Operation == OpLogin || rt.Operation == OpRefresh || rt.Operation == OpLogout
	switch {
	case changes && rt.Method == http.MethodGet && (rt.Operation == OpLogin || p.Refresh.inCookie()):
		r.errorf(rt.line, "%s changes something: it can't be GET, which pages may send unasked", rt.Operation)
	case rt.Operation == OpLogin && (rt.username == "" || rt.password == ""):
		r.errorf(rt.line, "a login names the members with the credentials: username and password")
	case rt.form && p.Refresh.inCookie():
		r.errorf(rt.line, "a login that sets a cookie must be JSON: any page can send a form")
	case rt.Operation == OpConfig && rt.anonymous == nil:
		r.errorf(rt.line, "config needs anonymous, the answer to callers without a credential")
	}
	r.checkTokens(p, rt)
	answers := []*answer{&rt.answer}
	if rt.anonymous != nil {
		answers = append(answers, rt.anonymous)
	}
	for _, a := range answers {
		r.tryOut(p, rt, a, sample(Problem{}), "the answer")
	}
	for _, problem := range problemsOn(rt.Operation) {
		a := p.refusal(rt, problem.Kind)
		r.tryOut(p, rt, a, sample(problem), "the refusal "+problem.Kind)
	}
}

// checkTokens makes sure that tokens go where the profile says, and nowhere else.
func (r *reader) checkTokens(p *Profile, rt *Route) {
	if rt.Operation != OpLogin && rt.Operation != OpRefresh {
		return
	}
	uses := func(name string) bool { return rt.answer.body.uses(name) || rt.answer.text.uses(name) }
	if !uses("access.token") {
		r.errorf(rt.line, "the answer must hand out ${access.token}")
	}
	inBody := p.Refresh.Body != "" || p.Refresh.Query != ""
	if uses("refresh.token") != inBody {
		if inBody {
			r.errorf(rt.line, "the answer must hand out ${refresh.token}: the client sends it back to renew")
		} else {
			r.errorf(rt.line, "the answer may not show ${refresh.token}, which scripts are not to see in this dialect")
		}
	}
	for _, h := range rt.answer.headers {
		if h.value.uses("refresh.token") {
			r.errorf(h.value.line, "a refresh token does not travel in a header")
		}
	}
}

// tryOut makes an answer from sample values.
func (r *reader) tryOut(p *Profile, rt *Route, a *answer, v *values, what string) {
	if a.data && p.envelope == nil {
		r.errorf(rt.line, "%s has data, but the profile has no envelope: give body", what)
		return
	}
	status := a.statusFor(v.problem)
	body, text := a.render(p, v)
	if !text {
		if _, err := json.Marshal(body); err != nil {
			r.errorf(rt.line, "%s can't be written as JSON: %v", what, err)
		}
	}
	if rt.Operation == OpLogin && status == http.StatusUnauthorized {
		r.errorf(rt.line, "%s is 401, which every interceptor takes for an access token to renew", what)
	}
	if v.problem.Kind == "" && (status < 200 || status > 299) {
		r.errorf(rt.line, "%s is a success with the status %d", what, status)
	}
	for _, c := range p.never {
		if c.on != "any" && c.on != string(rt.Operation) {
			continue
		}
		if broken := c.brokenBy(v.problem.Kind != "", status, body, text); broken != "" {
			r.errorf(rt.line, "%s has %s, which must never be (line %d): %s", what, broken, c.line, c.why)
		}
	}
}

// brokenBy says what in an answer is forbidden. Statuses and members are those of
// refusals: a success may well have the code of a success.
func (c constraint) brokenBy(refusal bool, status int, body any, text bool) string {
	if c.text && text {
		return "no JSON"
	}
	if !refusal {
		return ""
	}
	if slices.Contains(c.status, status) {
		return fmt.Sprintf("the status %d", status)
	}
	if o, ok := body.(object); ok && c.member != "" {
		if v, found := o.at(c.member); found {
			for _, is := range c.is {
				if fmt.Sprint(is) == fmt.Sprint(v) {
					return fmt.Sprintf("%s: %v", c.member, v)
				}
			}
		}
	}
	return ""
}

// statusFor is the status of an answer to a problem (its zero value: success).
func (a *answer) statusFor(p Problem) int {
	if a.status != 0 {
		return a.status
	}
	return p.Status
}

// render is the body of an answer; text says that it is a string to be sent
// without quotes.
func (a *answer) render(p *Profile, v *values) (body any, text bool) {
	if a.text != nil {
		return a.text.textOf(v), true
	}
	body = a.body.eval(v)
	if a.data {
		if body == absent {
			body = nil
		}
		in := *v
		in.data = body
		body = p.envelope.eval(&in)
	}
	if body == absent {
		body = nil
	}
	return body, false
}
