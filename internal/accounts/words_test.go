package accounts

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Whatever the directory finds wrong is said in Chinese, too.
func TestEveryReasonOfTheDirectoryIsTranslated(t *testing.T) {
	whats, whys := invalidWhat, invalidWhy
	sources, err := filepath.Glob("../directory/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal("no sources of the directory", err)
	}
	seen := map[string]bool{}
	known := func(e ast.Expr, table map[string]string) {
		lit, ok := e.(*ast.BasicLit)
		if !ok {
			return // a constant or parameter; where it is given it is a literal
		}
		s, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		seen[s] = true
		if zh, ok := table[s]; !ok || strings.Count(zh, "%") != strings.Count(s, "%") {
			t.Errorf("%q has no translation, or one with other values in it", s)
		}
	}
	look := func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "invalid" {
				known(call.Args[0], whats)
				known(call.Args[1], whys)
			}
			if f, ok := call.Fun.(*ast.Ident); ok && f.Name == "checkText" {
				known(call.Args[0], whats)
			}
		}
		return true
	}
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, look)
	}
	for why := range whys {
		if !seen[why] {
			t.Errorf("%q is translated, but the directory does not say it", why)
		}
	}
}
