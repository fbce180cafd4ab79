package spec

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// cited is how a test is named in our documents: `directory.TestSomething`.
var cited = regexp.MustCompile("`([a-z0-9/_]+)\\.((?:Test|Fuzz|Example|Benchmark)\\w*)`")

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// testsIn returns the functions in the test files of a directory of the module.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}

// TestCitedTestsExist: a test that a document names is there.
func TestCitedTestsExist(t *testing.T) {
	known := map[string]map[string]bool{}
	for _, doc := range []string{"coverage.md", "../PROTOCOL.md"} {
		hits := cited.FindAllStringSubmatch(read(t, doc), -1)
		if len(hits) < 10 {
			t.Errorf("%s names %d tests: are they still written as `directory.Test…`?", doc, len(hits))
		}
		for _, hit := range hits {
			dir, name := hit[1], hit[2]
			if known[dir] == nil {
				known[dir] = testsIn(t, dir)
			}
			if !known[dir][name] {
				t.Errorf("%s names %s in %s, which does not exist", doc, name, dir)
			}
		}
	}
}

// TestCoverageRowsAreWhole: every row of the table names a section and either a
// test or the reason why there is none.
func TestCoverageRowsAreWhole(t *testing.T) {
	rows := 0
	for line := range strings.Lines(read(t, "coverage.md")) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| §") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 3 {
			t.Errorf("not three cells: %s", line)
			continue
		}
		if where := cells[2]; !cited.MatchString(where) && !strings.Contains(where, "not here:") {
			t.Errorf("neither a test nor a reason: %s", line)
		}
	}
	if rows < 15 {
		t.Errorf("only %d rows: does the table still start its rows with a section?", rows)
	}
}

// TestRFCTestsAreListed: a test that is named after an RFC is in the table.
func TestRFCTestsAreListed(t *testing.T) {
	table := read(t, "coverage.md")
	for name := range testsIn(t, "rotation") {
		if strings.HasPrefix(name, "TestRFC") && !strings.Contains(table, name+"`") {
			t.Errorf("%s is not in coverage.md", name)
		}
	}
}

// TestTracesAreReal: the traces shown in PROTOCOL.md are what the explorers
// found, to the letter.
func TestTracesAreReal(t *testing.T) {
	var found strings.Builder
	files, err := filepath.Glob("../rotation/testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no reports of the explorers: %v", err)
	}
	for _, f := range files {
		found.WriteString(read(t, f))
	}
	blocks := regexp.MustCompile("(?s)```trace\n(.*?)```").FindAllStringSubmatch(read(t, "../PROTOCOL.md"), -1)
	if len(blocks) < 5 {
		t.Errorf("only %d traces in PROTOCOL.md", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(found.String(), b[1]) {
			t.Errorf("no explorer found this:\n%s", b[1])
		}
	}
}
