package gateway

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tacet-dev/tacet/wire"
)

// Rules is the configuration as users write it.
type Rules struct {
	// Upstreams are "PREFIX=URL": requests below the path PREFIX go to the
	// server at URL. If URL has a path, that takes the place of the prefix; "/"
	// does, too, and without one the path is kept.
	Upstreams []string
	// Require are "PREFIX=PERMISSION": below PREFIX the access token must grant
	// PERMISSION. A prefix may be given several times; then all are needed.
	Require []string
	// Public are prefixes below which no access token is needed. One that is
	// presented must still be good.
	Public []string
	// Encrypt are prefixes below which requests must come encrypted
	// (verify.Encryption). All of them count, not only the longest.
	Encrypt []string
	// Base and what is below it, and Own, the server itself serves.
	Base string
	Own  []string
}

// Table says where a path leads and who may go there. The longest prefix wins,
// in whole segments.
type Table struct {
	upstreams []upstream
	rules     []rule
	encrypted []prefix
}

type upstream struct {
	prefix
	url    *url.URL
	origin string // scheme://host[:port], the aud of signed identities
	keep   bool   // the prefix stays in the path
}

// rule is who may call: everybody, or those with all of the permissions.
type rule struct {
	prefix
	public      bool
	permissions []string
}

// prefix is a path in segments; none for "/".
type prefix struct {
	text     string
	segments []string
}

// NewTable reads the rules. Errors name the setting and what to do; warnings are
// rules that have no effect.
func NewTable(r Rules) (t *Table, warnings []string, err error) {
	t = &Table{}
	var errs []error
	for _, s := range r.Upstreams {
		errs = append(errs, t.addUpstream(s, r))
	}
	for _, s := range r.Require {
		errs = append(errs, t.addRequired(s, r))
	}
	for _, s := range r.Public {
		errs = append(errs, t.addPublic(s, r))
	}
	for _, s := range r.Encrypt {
		p, err := r.prefix("encrypt", s, s)
		t.encrypted, errs = append(t.encrypted, p), append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, nil, err
	}
	for _, p := range t.encrypted {
		if !t.leads(p) {
			warnings = append(warnings, fmt.Sprintf("no upstream leads to %s, so --encrypt %s has no effect: give --upstream %s=URL, or correct the prefix", p.text, p.text, p.text))
		}
	}
	for _, rule := range t.rules {
		if !t.leads(rule.prefix) {
			warnings = append(warnings, fmt.Sprintf("no upstream leads to %s, so the rule for it has no effect: give --upstream %s=URL, or correct the prefix of --require or --public", rule.text, rule.text))
		}
	}
	return t, warnings, nil
}

// leads reports whether an upstream is at, above or below a prefix.
// prefixes of the upstreams.
func (t *Table) prefixes() []string {
	var out []string
	for _, u := range t.upstreams {
		out = append(out, u.text)
	}
	return out
}

func (t *Table) leads(p prefix) bool {
	return slices.ContainsFunc(t.upstreams, func(u upstream) bool {
		return matches(u.segments, p.segments, false) || matches(p.segments, u.segments, false)
	})
}

func (t *Table) addUpstream(s string, own Rules) error {
	text, target, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("upstream %q: must be PREFIX=URL, like /api=http://127.0.0.1:9000", s)
	}
	p, err := own.prefix("upstream", s, text)
	if err != nil {
		return err
	}
	u, err := url.Parse(target)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || (u.Scheme != "http" && u.Scheme != "https"):
		return fmt.Errorf("upstream %q: %q is not an http or https URL, like http://127.0.0.1:9000", s, target)
	case u.User != nil:
		return fmt.Errorf("upstream %q: the URL holds a user name or password; take it out, it would show in the list of processes", withoutUser(text, u))
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("upstream %q: the URL may have a path, but no query and no fragment", s)
	case slices.ContainsFunc(t.upstreams, func(o upstream) bool { return strings.EqualFold(o.text, p.text) }):
		return fmt.Errorf("upstream %q: the prefix %s has an upstream already; each can have only one", s, p.text)
	}
	t.upstreams = append(t.upstreams, upstream{prefix: p, url: u, origin: u.Scheme + "://" + u.Host, keep: u.Path == ""})
	return nil
}

func withoutUser(prefix string, u *url.URL) string {
	clean := *u
	clean.User = nil
	return prefix + "=" + clean.String()
}

func (t *Table) addRequired(s string, own Rules) error {
	text, permission, ok := strings.Cut(s, "=")
	if !ok {
		return fmt.Errorf("require %q: must be PREFIX=PERMISSION, like /admin=admin:*", s)
	}
	p, err := own.prefix("require", s, text)
	if err != nil {
		return err
	}
	if !wire.ValidPermission(permission) {
		return fmt.Errorf("require %q: %q is not a permission: segments of printable ASCII between colons, like orders:read or admin:*", s, permission)
	}
	if i := t.ruleOf(p); i >= 0 {
		t.rules[i].permissions = append(t.rules[i].permissions, permission)
		return nil
	}
	t.rules = append(t.rules, rule{prefix: p, permissions: []string{permission}})
	return nil
}

func (t *Table) addPublic(s string, own Rules) error {
	p, err := own.prefix("public", s, s)
	if err != nil {
		return err
	}
	if i := t.ruleOf(p); i >= 0 {
		if t.rules[i].public {
			return fmt.Errorf("public %q: the prefix is given twice", s)
		}
		return fmt.Errorf("public %q: --require asks for a permission under the same prefix; take one of the two out", s)
	}
	t.rules = append(t.rules, rule{prefix: p, public: true})
	return nil
}

func (t *Table) ruleOf(p prefix) int {
	return slices.IndexFunc(t.rules, func(r rule) bool { return strings.EqualFold(r.text, p.text) })
}

// prefix reads a prefix of one of the settings. A slash at its end makes no
// difference.
func (r Rules) prefix(setting, whole, text string) (prefix, error) {
	p := prefix{text: "/" + strings.Trim(text, "/")}
	if p.text != "/" {
		p.segments = strings.Split(p.text[1:], "/")
	}
	unfit := strings.ContainsFunc(p.text, unfit) || slices.ContainsFunc(p.segments, func(s string) bool { return s == "" || strings.HasSuffix(s, ".") })
	if !strings.HasPrefix(text, "/") || unfit {
		return p, fmt.Errorf("%s %q: the prefix %q must start with a slash and be a plain path, like /api: no empty segments, none that ends in a dot, and no spaces, %%, ?, #, ;, \\ or quotes", setting, whole, text)
	}
	if base := strings.Split(r.Base[1:], "/"); matches(p.segments, base, true) {
		return p, fmt.Errorf("%s %q: the prefix lies at or below %s, which the server itself serves; choose another prefix or move the session calls with --base-path", setting, whole, r.Base)
	}
	if slices.ContainsFunc(r.Own, func(own string) bool { return strings.EqualFold(own, p.text) }) {
		return p, fmt.Errorf("%s %q: the server itself serves %s; choose another prefix", setting, whole, p.text)
	}
	return p, nil
}

// unfit are characters that servers read in different ways.
func unfit(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune(`%?#;\"`, c) }

// matches reports whether the path begins with the prefix. fold ignores case.
func matches(path, prefix []string, fold bool) bool {
	if len(path) < len(prefix) {
		return false
	}
	for i, s := range prefix {
		if path[i] != s && !(fold && strings.EqualFold(path[i], s)) {
			return false
		}
	}
	return true
}

// covers is matches with a format suffix on the last segment of the prefix, which
// Rails, Django REST framework, Spring and PHP serve as the same resource:
// /admin.json, and what is below it.
func covers(path, prefix []string, fold bool) bool {
	n := len(prefix) - 1
	if n < 0 || len(path) <= n || !matches(path, prefix[:n], fold) {
		return false
	}
	for i, c := range path[n] {
		if c == '.' && matches([]string{strings.TrimRight(path[n][:i], ". ")}, prefix[n:], fold) && strings.Trim(path[n][i:], ". ") != "" {
			return true
		}
	}
	return false
}

// decision is what the table says about a path: indexes of an upstream and of
// rules; -1: none.
type decision struct {
	upstream, rule int
	// suffixed is a second rule that must be kept, because it covers the path with
	// a format suffix and has a longer prefix than rule.
	suffixed  int
	encrypted bool // requests must be
}

// decide finds the longest prefixes that match. A public prefix does not cover
// format suffixes: nothing shows that its owner meant them.
func (t *Table) decide(path []string, fold bool) decision {
	d := decision{upstream: -1, rule: -1, suffixed: -1}
	for i, u := range t.upstreams {
		if matches(path, u.segments, fold) && (d.upstream < 0 || len(u.segments) > len(t.upstreams[d.upstream].segments)) {
			d.upstream = i
		}
	}
	longest, suffixed := -1, -1
	for i, r := range t.rules {
		switch n := len(r.segments); {
		case matches(path, r.segments, fold) && n > longest:
			d.rule, longest = i, n
		case !r.public && covers(path, r.segments, fold) && n > suffixed:
			d.suffixed, suffixed = i, n
		}
	}
	if suffixed <= longest {
		d.suffixed = -1
	}
	d.encrypted = slices.ContainsFunc(t.encrypted, func(p prefix) bool { return matches(path, p.segments, fold) || covers(path, p.segments, fold) })
	return d
}

// who is the rule for those who may call; nil: an access token is enough.
func (t *Table) who(d decision) *rule {
	switch {
	case d.suffixed < 0 && d.rule < 0:
		return nil
	case d.suffixed < 0:
		return &t.rules[d.rule]
	case d.rule < 0 || t.rules[d.rule].public:
		return &t.rules[d.suffixed]
	}
	return &rule{permissions: slices.Concat(t.rules[d.rule].permissions, t.rules[d.suffixed].permissions)}
}
