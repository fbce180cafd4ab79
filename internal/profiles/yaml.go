package profiles

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tacet-dev/tacet/internal/suggest"
)

// Limits of a file.
const (
	maxFile  = 256 << 10 // bytes
	maxDepth = 24        // levels of a template
)

// reader walks a YAML file and collects everything that is wrong with it.
type reader struct {
	file string
	errs []error
}

func (r *reader) errorf(line int, format string, args ...any) {
	r.errs = append(r.errs, fmt.Errorf("%s:%d: %s", r.file, line, fmt.Sprintf(format, args...)))
}

func (r *reader) err() error { return errors.Join(r.errs...) }

var yamlLine = regexp.MustCompile(`line (\d+): (.*)`)

// document parses the file; nil after an error.
func (r *reader) document(data []byte) *yaml.Node {
	if len(data) > maxFile {
		r.errorf(1, "the file has more than %d bytes; a profile is a few kilobytes", maxFile)
		return nil
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		line, text := 1, strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1])
			text = m[2]
		}
		r.errorf(line, "this is not valid YAML: %s", text)
		return nil
	}
	if len(doc.Content) == 0 {
		r.errorf(1, "the file is empty")
		return nil
	}
	return doc.Content[0]
}

// fields hands every member of a mapping to the function of its name. Names
// that have none are errors.
func (r *reader) fields(n *yaml.Node, what string, known map[string]func(key, value *yaml.Node)) {
	r.each(n, what, func(key, value *yaml.Node) {
		if f, ok := known[key.Value]; ok {
			f(key, value)
			return
		}
		r.errorf(key.Line, "%q means nothing in %s%s", key.Value, what, suggest.DidYouMean(key.Value, slices.Sorted(maps.Keys(known))))
	})
}

// each calls f for every member of a mapping.
func (r *reader) each(n *yaml.Node, what string, f func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.errorf(n.Line, "%s must be a mapping of \"name: value\" lines", what)
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if !r.plain(key) || !r.plain(value) {
			continue
		}
		if key.Kind != yaml.ScalarNode {
			r.errorf(key.Line, "a name in %s must be plain text", what)
			continue
		}
		if line, again := seen[key.Value]; again {
			r.errorf(key.Line, "%q stands here for the second time, the first is on line %d", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		f(key, value)
	}
}

// plain refuses what makes YAML hard to read and to bound.
func (r *reader) plain(n *yaml.Node) bool {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.errorf(n.Line, "anchors and aliases (& and *) are not read here; quote the value if it is text")
		return false
	}
	return true
}

func (r *reader) text(n *yaml.Node, what string) string {
	if !r.plain(n) || n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		r.errorf(n.Line, "%s must be plain text and not empty", what)
		return ""
	}
	return n.Value
}

func (r *reader) oneOf(n *yaml.Node, what string, choices []string) string {
	s := r.text(n, what)
	for _, c := range choices {
		if c == s {
			return s
		}
	}
	if s != "" {
		r.errorf(n.Line, "%s is %q; it must be one of %s", what, s, strings.Join(choices, ", "))
	}
	return ""
}

func (r *reader) number(n *yaml.Node, what string, low, high int) int {
	v, err := strconv.Atoi(strings.TrimSuffix(n.Value, "%"))
	if n.Kind != yaml.ScalarNode || err != nil || v < low || v > high {
		r.errorf(n.Line, "%s must be a number from %d to %d", what, low, high)
		return 0
	}
	return v
}

// items are the elements of a list; a single value is a list of one.
func (r *reader) items(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// scalar is a value without references.
func (r *reader) scalar(n *yaml.Node) any {
	var v any
	if n.Kind != yaml.ScalarNode || !r.plain(n) {
		r.errorf(n.Line, "want a plain value")
		return nil
	}
	if err := n.Decode(&v); err != nil {
		r.errorf(n.Line, "the value can't be read: %v", err)
		return nil
	}
	switch x := v.(type) {
	case nil, string, bool, int, int64, uint64:
	case float64:
		if math.IsNaN(x) || math.IsInf(x, 0) {
			r.errorf(n.Line, "%s is not a number that JSON has", n.Value)
			return nil
		}
	default: // dates and binary
		r.errorf(n.Line, "%s is read as a date by YAML: quote it", n.Value)
		return nil
	}
	return v
}

// template compiles a JSON value. in says which references have a value there.
func (r *reader) template(n *yaml.Node, in where, depth int) *node {
	out := &node{line: n.Line}
	if !r.plain(n) {
		return out
	}
	if depth > maxDepth {
		r.errorf(n.Line, "more than %d levels", maxDepth)
		return out
	}
	switch n.Kind {
	case yaml.MappingNode:
		out.isObj = true
		r.each(n, "this value", func(key, value *yaml.Node) {
			out.object = append(out.object, member{key.Value, r.template(value, in, depth+1)})
		})
	case yaml.SequenceNode:
		out.isList = true
		for _, item := range n.Content {
			out.list = append(out.list, r.template(item, in, depth+1))
		}
	default:
		out.literal = r.scalar(n)
		if s, ok := out.literal.(string); ok && strings.Contains(s, "${") {
			r.compile(out, s, in)
		}
	}
	return out
}

func (r *reader) compile(out *node, s string, in where) {
	parts, err := parseText(s)
	if err != nil {
		r.errorf(out.line, "%v", err)
		return
	}
	for _, p := range parts {
		if p.name == "" {
			continue
		}
		if p.ref.where != anywhere && p.ref.where&in == 0 {
			r.errorf(out.line, "${%s} has no value in this answer", p.name)
		}
		if len(parts) > 1 && p.kind != kString && p.kind != kNumber {
			r.errorf(out.line, "${%s} is %s and can't stand inside a text", p.name, p.kind)
		}
	}
	out.literal, out.parts = nil, parts
}
