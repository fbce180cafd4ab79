// Command figures prints the size of this tree as a Markdown table: what a change
// has made of it is seen by running it before and after.
//
//	go run ./scripts/figures
//
// It reads files only. Layers are those of the table in ARCHITECTURE.md.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run() error {
	out, err := exec.Command("git", "ls-files", "*.go", "sdk/src/*.ts", "sdk/src/**/*.ts").Output()
	if err != nil {
		return fmt.Errorf("list files with git (run it in the root of the checkout): %w", err)
	}
	layers, err := readLayers()
	if err != nil {
		return err
	}
	f := figures{layers: layers, lines: map[string]int{}}
	for name := range strings.Lines(string(out)) {
		if err := f.add(strings.TrimSpace(name)); err != nil {
			return err
		}
	}
	f.print()
	return nil
}

// row is a row of the table of packages: | layer | `package` | …
var row = regexp.MustCompile("(?m)^\\| (\\w+) \\| `([^`]+)` \\|")

// readLayers are the layers of packages, by directory.
func readLayers() (map[string]string, error) {
	data, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		return nil, err
	}
	layers := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(data), -1) {
		dir := m[2]
		if dir == "tacet" {
			dir = "."
		}
		layers[dir] = m[1]
	}
	return layers, nil
}

type figures struct {
	layers  map[string]string
	lines   map[string]int // by layer
	longest function
	over    int // functions of more than 60 lines
	largest function
	stores  []function // interfaces named Store, or the document store's
	escapes int
}

// function is a function or interface and its size.
type function struct {
	where string
	size  int
}

// apart are trees that are part of no program.
var apart = regexp.MustCompile(`_test\.go$|^(bench|e2e|examples|faults|security|scripts)/`)

// escape is a way around the type checker.
var escape = regexp.MustCompile(`\bas (any|never|unknown)\b|: any\b|<any>`)

func (f *figures) add(name string) error {
	src, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if strings.HasSuffix(name, ".ts") {
		f.escapes += len(escape.FindAll(src, -1))
		return nil
	}
	dir := filepath.ToSlash(filepath.Dir(name))
	layer := f.layers[dir]
	if apart.MatchString(name) || layer == "proof" {
		return nil
	}
	f.lines[layer] += strings.Count(string(src), "\n")
	fs := token.NewFileSet()
	file, err := parser.ParseFile(fs, name, src, 0)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			size := fs.Position(n.End()).Line - fs.Position(n.Pos()).Line + 1
			if size > f.longest.size {
				f.longest = function{name + " " + n.Name.Name, size}
			}
			if size > 60 {
				f.over++
			}
		case *ast.TypeSpec:
			if i, ok := n.Type.(*ast.InterfaceType); ok {
				f.addInterface(dir+"."+n.Name.Name, i)
			}
		}
		return true
	})
	return nil
}

// storeInterfaces are the contracts that every store implements. Others of that
// name have one implementation, on documents.
var storeInterfaces = []string{"internal/session.Store", "internal/events.Log", "internal/documents.Reader", "internal/documents.Store", "internal/documents.Tx"}

func (f *figures) addInterface(name string, i *ast.InterfaceType) {
	size := 0
	for _, m := range i.Methods.List {
		size += len(m.Names) // what is embedded counts where it is declared
	}
	if size > f.largest.size {
		f.largest = function{name, size}
	}
	if slices.Contains(storeInterfaces, name) {
		f.stores = append(f.stores, function{name, size})
	}
}

func (f *figures) print() {
	total := 0
	for _, n := range f.lines {
		total += n
	}
	fmt.Println("| figure | value |\n| --- | --- |")
	fmt.Printf("| production Go, lines | %d |\n", total)
	for _, l := range []string{"format", "kernel", "wing", "face", ""} {
		if n := f.lines[l]; n > 0 {
			fmt.Printf("| … of layer %s | %d |\n", strings.Trim(l+" ", " ")+map[bool]string{true: "(none)"}[l == ""], n)
		}
	}
	methods := 0
	var names []string
	for _, s := range f.stores {
		methods += s.size
		names = append(names, fmt.Sprintf("%s %d", s.where, s.size))
	}
	fmt.Printf("| methods that a store implements | %d (%s) |\n", methods, strings.Join(names, ", "))
	fmt.Printf("| longest function, lines | %d (%s) |\n", f.longest.size, f.longest.where)
	fmt.Printf("| functions of more than 60 lines | %d |\n", f.over)
	fmt.Printf("| largest interface, methods | %d (%s) |\n", f.largest.size, f.largest.where)
	fmt.Printf("| type escapes in sdk/src | %d |\n", f.escapes)
}
