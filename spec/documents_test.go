package spec

import (
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	linked  = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.*)$`)
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	span    = regexp.MustCompile("`([^`\n]+)`")
	fileish = regexp.MustCompile(`^[A-Za-z0-9_./-]+$`)
	target  = regexp.MustCompile(`\bmake ([a-z][a-z0-9-]*)`)
	goTest  = regexp.MustCompile(`\bgo test\b[^` + "`" + `\n]*? (\./?[a-z/]*)`)
)

// documents are the Markdown files under version control.
func documents(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "*.md")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("git ls-files:", err)
	}
	return strings.Fields(string(out))
}

// anchors are the names of the headings of a page, as GitHub makes them.
func anchors(page string) []string {
	var names []string
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
				return unicode.ToLower(r)
			}
			return -1
		}, h[1]))
	}
	return names
}

// broken lists the relative links of a page at the path name whose file or heading
// does not exist in root.
func broken(root fs.FS, name, page string) []string {
	var out []string
	for _, m := range linked.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		link := m[1] + m[2]
		if strings.Contains(link, ":") || strings.HasPrefix(link, "/") {
			continue
		}
		file, anchor, _ := strings.Cut(link, "#")
		to := name
		if file != "" {
			to = path.Join(path.Dir(name), file)
		}
		if _, err := fs.Stat(root, to); err != nil {
			out = append(out, link)
			continue
		}
		if anchor == "" || !strings.HasSuffix(to, ".md") {
			continue
		}
		there, err := fs.ReadFile(root, to)
		if err != nil || !slices.Contains(anchors(string(there)), anchor) {
			out = append(out, link)
		}
	}
	return out
}

// missing lists the files, make targets and packages of `go test` that a page
// names and that do not exist in root. A code span is taken for a file if its first
// part is a directory of root, or if it ends in .go or .md.
func missing(root fs.FS, makefile, page string) []string {
	var out []string
	for _, m := range span.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		name := m[1]
		first, _, nested := strings.Cut(name, "/")
		_, err := fs.Stat(root, first)
		ext := path.Ext(name)
		if !fileish.MatchString(name) || !fs.ValidPath(strings.TrimSuffix(name, "/")) || (!nested || err != nil) && ext != ".go" && ext != ".md" {
			continue
		}
		if _, err := fs.Stat(root, strings.TrimSuffix(name, "/")); err != nil {
			out = append(out, name)
		}
	}
	for _, m := range target.FindAllStringSubmatch(page, -1) {
		if !strings.Contains("\n"+makefile, "\n"+m[1]+":") {
			out = append(out, "make "+m[1])
		}
	}
	for _, m := range goTest.FindAllStringSubmatch(page, -1) {
		if _, err := fs.Stat(root, path.Clean(m[1])); err != nil {
			out = append(out, "go test "+m[1])
		}
	}
	return out
}

func TestLinksLeadSomewhere(t *testing.T) {
	for _, name := range documents(t) {
		for _, link := range broken(os.DirFS(".."), name, read(t, filepath.Join("..", name))) {
			t.Errorf("%s: nothing is at %s", name, link)
		}
	}
}

func TestFilesAndCommandsExist(t *testing.T) {
	for _, name := range []string{"README.md", "README.zh-CN.md", "ARCHITECTURE.md", "CONTRIBUTING.md"} {
		for _, what := range missing(os.DirFS(".."), read(t, "../Makefile"), read(t, filepath.Join("..", name))) {
			t.Errorf("%s names %s, which does not exist", name, what)
		}
	}
}

// Each kind of error is found.
func TestErrorsInDocumentsAreFound(t *testing.T) {
	root := os.DirFS("..")
	for page, want := range map[string]string{
		"[a](nowhere.md)": "nowhere.md", "[a](../README.md#nothing)": "../README.md#nothing",
		`<img src="no.svg">`: "no.svg", "# A b\n[a](#a-c)": "#a-c",
	} {
		if got := broken(root, "docs/page.md", page+"\n[good](../README.md#try-it) [web](https://example.com)"); len(got) != 1 || got[0] != want {
			t.Errorf("%q: found %q, want %q", page, got, want)
		}
	}
	for page, want := range map[string]string{
		"`internal/nothing`": "internal/nothing", "`none.go`": "none.go", "run `make nothing`": "make nothing",
		"`go test -v ./nothing`": "go test ./nothing",
	} {
		if got := missing(root, "test: x\n", page+"\n`internal/app` `/auth/me` `make test` `go test ./rotation`"); len(got) != 1 || got[0] != want {
			t.Errorf("%q: found %q, want %q", page, got, want)
		}
	}
}
