package profiles

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/tacet-dev/tacet/internal/suggest"
)

//go:embed builtin/*.yaml
var builtin embed.FS

// Names are the built-in profiles, in the order of the documentation.
func Names() []string {
	return []string{"envelope", "abp", "vben", "soybean", "yudao", "youlai", "pure", "nova", "gva", "cool-admin", "ng-alain", "jeecg", "ruoyi", "art-design-pro"}
}

// Together are the built-in profiles that can be switched on at the same time: ruoyi has
// paths of pure, art-design-pro and ng-alain have some of vben.
func Together() []string {
	return slices.DeleteFunc(Names(), func(name string) bool { return name == "ruoyi" || name == "art-design-pro" || name == "ng-alain" })
}

// Source is the file of a built-in profile.
func Source(name string) ([]byte, error) {
	data, err := builtin.ReadFile(path.Join("builtin", name+".yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no profile %q%s; tacet profile list names them, and a file of your own is given by its path", name, suggest.DidYouMean(name, Names()))
	}
	return data, err
}

// Set is some profiles that go together.
type Set struct {
	Profiles []*Profile
}

// IsFile reports whether what a user gave is the path of a file and not the name
// of a built-in profile.
func IsFile(name string) bool {
	return strings.ContainsAny(name, `/\`) || strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

// Open loads profiles by name, or by path for those of the user's own. No names
// are an empty set.
func Open(names ...string) (*Set, error) {
	s := &Set{}
	var errs []error
	for _, name := range names {
		var data []byte
		var err error
		file := name
		if IsFile(name) {
			if data, err = os.ReadFile(name); err != nil {
				err = fmt.Errorf("the profile can't be read: %w", err)
			}
		} else {
			data, err = Source(name)
			file = path.Join("builtin", name+".yaml")
		}
		if err == nil {
			var p *Profile
			if p, err = Load(file, data); err == nil {
				s.Profiles = append(s.Profiles, p)
				continue
			}
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, s.check()
}

// check makes sure that requests on a path that several profiles have can be
// told apart.
func (s *Set) check() error {
	var errs []error
	type place struct {
		p *Profile
		r *Route
	}
	taken := map[string][]place{}
	for i, p := range s.Profiles {
		if slices.ContainsFunc(s.Profiles[:i], func(q *Profile) bool { return q.Name == p.Name }) {
			errs = append(errs, fmt.Errorf("the profile %s is there twice", p.Name))
			continue
		}
		for _, r := range p.Routes {
			key := r.Method + " " + r.Path
			for _, other := range taken[key] {
				if a, b := p.mark(r), other.p.mark(other.r); a == "" || b == "" || a == b {
					errs = append(errs, fmt.Errorf("%s:%d: %s belongs to the profile %s as well (%s:%d), and nothing in the body tells the two apart: switch on one of them, or give one a path of its own",
						p.File, r.line, key, other.p.Name, other.p.File, other.r.line))
				}
			}
			taken[key] = append(taken[key], place{p, r})
		}
	}
	return errors.Join(errs...)
}

// RequestHeaders are what pages of other origins may send to these profiles.
func (s *Set) RequestHeaders() []string {
	var out []string
	for _, p := range s.Profiles {
		out = append(out, p.RequestHeaders...)
		out = append(out, p.Credential)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ResponseHeaders are what pages of other origins must be able to read.
func (s *Set) ResponseHeaders() []string {
	var out []string
	add := func(members []member) {
		for _, m := range members {
			out = append(out, m.name)
		}
	}
	for _, p := range s.Profiles {
		if p.renew != nil {
			add(p.renew.headers)
		}
		for _, r := range p.Routes {
			add(r.answer.headers)
			if r.anonymous != nil {
				add(r.anonymous.headers)
			}
			for _, a := range r.refusals {
				add(a.headers)
			}
		}
		for _, a := range p.refusals {
			add(a.headers)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
