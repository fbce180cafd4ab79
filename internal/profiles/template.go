package profiles

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tacet-dev/tacet/internal/suggest"
)

// node is a compiled template of a JSON value. Exactly one of the fields is in
// use; all nil is a literal null.
type node struct {
	literal any
	parts   []part   // a string with references
	list    []*node  //
	object  []member //
	isList  bool
	isObj   bool
	line    int
}

// member is a name and the template of its value.
type member struct {
	name  string
	value *node
}

// part is text, or a reference if get is set.
type part struct {
	text  string
	name  string
	ref   reference
	funcs []function
	kind  kind // of the result
}

// object is a JSON object that keeps the order of the file.
type object []field

type field struct {
	name  string
	value any
}

// MarshalJSON is json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(f.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(f.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// at follows a path of member names, "data.accessToken".
func (o object) at(path string) (any, bool) {
	name, rest, more := strings.Cut(path, ".")
	for _, f := range o {
		if f.name != name {
			continue
		}
		if !more {
			return f.value, true
		}
		if inner, ok := f.value.(object); ok {
			return inner.at(rest)
		}
	}
	return nil, false
}

// eval is the value of the template, or absent.
func (n *node) eval(v *values) any {
	switch {
	case n.parts != nil:
		return evalParts(n.parts, v)
	case n.isList:
		out := make([]any, 0, len(n.list))
		for _, item := range n.list {
			if value := item.eval(v); value != absent {
				out = append(out, value)
			}
		}
		return out
	case n.isObj:
		out := make(object, 0, len(n.object))
		for _, m := range n.object {
			if value := m.value.eval(v); value != absent {
				out = append(out, field{m.name, value})
			}
		}
		return out
	}
	return n.literal
}

func evalParts(parts []part, v *values) any {
	if len(parts) == 1 && parts[0].name != "" {
		return parts[0].value(v)
	}
	var b strings.Builder
	for _, p := range parts {
		if p.name == "" {
			b.WriteString(p.text)
		} else if value := p.value(v); value != absent && value != nil {
			fmt.Fprint(&b, value)
		}
	}
	return b.String()
}

func (p part) value(v *values) any {
	value := p.ref.get(v)
	for _, f := range p.funcs {
		if value == absent {
			return absent
		}
		value = f.call(v, value)
	}
	if l, ok := value.([]string); ok && l == nil {
		return []string{} // never null
	}
	return value
}

// text is the value as a header or a plain body has it.
func (n *node) textOf(v *values) string {
	value := n.eval(v)
	if value == absent || value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// uses reports whether any of the references is in the template.
func (n *node) uses(names ...string) bool {
	if n == nil {
		return false
	}
	for _, p := range n.parts {
		for _, name := range names {
			if p.name == name {
				return true
			}
		}
	}
	for _, item := range n.list {
		if item.uses(names...) {
			return true
		}
	}
	for _, m := range n.object {
		if m.value.uses(names...) {
			return true
		}
	}
	return false
}

// parseText compiles a string. "$${" stands for "${".
func parseText(s string) ([]part, error) {
	var parts []part
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			parts = append(parts, part{text: text.String()})
			text.Reset()
		}
	}
	for s != "" {
		i := strings.Index(s, "${")
		if i < 0 {
			text.WriteString(s)
			break
		}
		if i > 0 && s[i-1] == '$' {
			text.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		text.WriteString(s[:i])
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			return nil, fmt.Errorf("the reference %q has no closing brace", s[i:])
		}
		p, err := parseReference(s[i+2 : i+end])
		if err != nil {
			return nil, err
		}
		flush()
		parts = append(parts, p)
		s = s[i+end+1:]
	}
	flush()
	return parts, nil
}

// parseReference compiles what stands between ${ and }: name:function:function.
func parseReference(s string) (part, error) {
	names := strings.Split(s, ":")
	p := part{name: names[0]}
	ref, ok := references[p.name]
	if !ok {
		return part{}, fmt.Errorf("there is no value ${%s}%s", p.name, suggest.DidYouMean(p.name, slices.Sorted(maps.Keys(references))))
	}
	p.ref, p.kind = ref, ref.kind
	for _, name := range names[1:] {
		f, ok := functions[name]
		if !ok {
			return part{}, fmt.Errorf("there is no function %q in ${%s}%s", name, s, suggest.DidYouMean(name, slices.Sorted(maps.Keys(functions))))
		}
		if f.in != p.kind {
			return part{}, fmt.Errorf("the function %q in ${%s} is for %s, and what stands before it is %s", name, s, f.in, p.kind)
		}
		p.funcs = append(p.funcs, f)
		p.kind = f.out
	}
	if p.kind == kTime {
		return part{}, fmt.Errorf("${%s} is a time: say in which form, ${%s:iso}, ${%s:ms} or ${%s:seconds}", s, s, s, s)
	}
	return p, nil
}

// String names a kind in errors.
func (k kind) String() string {
	return map[kind]string{kString: "a string", kNumber: "a number", kTime: "a time", kList: "a list", kAny: "any value"}[k]
}
