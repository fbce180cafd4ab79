package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestEveryCommandHasExamples which the program takes as they are.
func TestEveryCommandHasExamples(t *testing.T) {
	var cli root
	parser, err := newParser(&cli, new(bytes.Buffer), new(bytes.Buffer), func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{"": true}
	var visit func(n *kong.Node, path string)
	visit = func(n *kong.Node, path string) {
		for _, c := range n.Children {
			p := strings.TrimSpace(path + " " + c.Name)
			seen[p] = true
			if examples[p] == "" {
				t.Errorf("tacet help %s shows no example", p)
			}
			visit(c, p)
		}
	}
	visit(parser.Model.Node, "")
	for path, text := range examples {
		if !seen[path] {
			t.Errorf("there are examples of %q, which is no command", path)
		}
		for line := range strings.Lines(strings.ReplaceAll(strings.TrimSpace(text), "\\\n", " ")) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " <")
			line, _, _ = strings.Cut(line, " >")
			args := words(line)
			if args[0] != "tacet" || !strings.HasPrefix(strings.Join(args, " ")+" ", strings.TrimSpace("tacet "+path)+" ") && !strings.Contains(line, "--config") {
				t.Errorf("%q is no example of %q", line, path)
			}
			if strings.Contains(line, "--help") || args[1] == "help" || strings.Contains(line, "--config") {
				continue // prints, or reads a file
			}
			if _, err := parser.Parse(args[1:]); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	}
}

// words splits a line as a shell does, as far as the examples need it: blanks in
// quotes are part of a word.
func words(line string) (list []string) {
	var quote rune
	word, begun := "", false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, begun = r, true
		case quote == 0 && r == ' ':
			if begun {
				list = append(list, word)
			}
			word, begun = "", false
		default:
			word, begun = word+string(r), true
		}
	}
	if begun {
		list = append(list, word)
	}
	return list
}

func TestWhereTheDataIsComesLast(t *testing.T) {
	var out bytes.Buffer
	for _, command := range []string{"serve", "user add", "session list", "config validate"} {
		out.Reset()
		if code := Main(t.Context(), append([]string{"help"}, strings.Fields(command)...), nil, &out, &out); code != exitOK {
			t.Fatalf("exit code %d\n%s", code, out.String())
		}
		flags, data, _ := strings.Cut(out.String(), "Where the data is:")
		if strings.Contains(flags, "--database-url") || !strings.Contains(data, "--database-url") || strings.Index(data, "--data=") > strings.Index(data, "--database-url") || !strings.Contains(flags, "Examples:") {
			t.Errorf("%s:\n%s", command, out.String())
		}
	}
}
