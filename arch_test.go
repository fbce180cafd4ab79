package tacet_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tacet-dev/tacet"

var update = flag.Bool("update", false, "write the table of packages into ARCHITECTURE.md")

// layer says who may import a package.
type layer string

const (
	format layer = "format" // public formats; imports formats only
	kernel layer = "kernel" // imports formats and the kernel, never a wing
	wing   layer = "wing"   // one optional feature; imports formats and the kernel, no other wing
	face   layer = "face"   // puts everything together, or shows it
	proof  layer = "proof"  // helps tests and measurements; no program contains it
)

// may says which layers a package of each layer may import.
var may = map[layer][]layer{
	format: {format},
	kernel: {format, kernel},
	wing:   {format, kernel},
	face:   {format, kernel, wing, face},
	proof:  {format, kernel, wing, face, proof},
}

// pkg is one row of the table of packages.
type pkg struct {
	layer   layer
	duty    string
	imports []string // of this module; each must also be of a layer that may be imported
}

// packages is the table of ARCHITECTURE.md. A package that is not in it fails the
// test.
var packages = map[string]pkg{
	"wire":      {format, "names that servers and clients share: claims, paths, error codes, JSON bodies; how permissions match", nil},
	"wire/jose": {format, "JWS, JWK and strict JSON, for tokens, proofs and encrypted bodies", nil},
	"seal":      {format, "the format of encrypted bodies: JWE, key agreement, detection of replays; no HTTP", []string{"wire/jose"}},
	"dpop":      {format, "DPoP proofs (RFC 9449): makes them, checks them, detects replays", []string{"wire/jose"}},

	"rotation":           {kernel, "the protocol: a pure function decides what a refresh token is worth; keys, time and random bits are arguments", nil},
	"verify":             {kernel, "for resource servers: checks access tokens and permissions, follows revocations, decrypts requests", []string{"dpop", "seal", "wire", "wire/jose"}},
	"client":             {kernel, "for Go clients: `Source` returns valid access tokens, `Transport` sends them with requests", []string{"seal", "wire", "wire/jose"}},
	"internal/events":    {kernel, "the log of committed changes, by sequence number, and its subscribers", nil},
	"internal/documents": {kernel, "one transactional store of documents, for everything but sessions and events", []string{"internal/events"}},
	"internal/gate":      {kernel, "limits how many calls run and wait at once", nil},
	"internal/suggest":   {kernel, "finds the name that a misspelt one is closest to", nil},
	"internal/keys":      {kernel, "signing, MAC and encryption keys: announces, uses, retires and drops them; seals them under the master key", []string{"internal/documents", "internal/events", "rotation", "seal", "wire", "wire/jose"}},
	"internal/session":   {kernel, "sign-in, refresh, confirmation, sign-out, list and sweep of sessions: loads, decides, stores, signs", []string{"internal/documents", "internal/events", "rotation", "wire"}},
	"internal/directory": {kernel, "users, roles, permissions and passwords; slows down failed sign-ins",
		[]string{"internal/documents", "internal/events", "wire"}},
	"internal/problem":      {kernel, "the one catalogue of problems, in English and Chinese; chooses the language of a caller", []string{"wire"}},
	"internal/httpapi":      {kernel, "the session calls over HTTP, and `Wing`, the interface of optional features", []string{"dpop", "internal/events", "internal/httpapi/form", "internal/httpapi/page", "internal/problem", "internal/session", "rotation", "verify", "wire"}},
	"internal/httpapi/form": {kernel, "parameters of OAuth requests, and the errors of OAuth responses", []string{"internal/problem"}},
	"internal/httpapi/page": {kernel, "HTML pages: one template, and forms that other sites cannot submit", []string{"internal/problem", "wire"}},
	"internal/store":        {kernel, "the kinds of failures of a store, with advice", nil},
	"internal/store/sqlite": {kernel, "the embedded store: one writer, commits in groups", []string{"internal/documents", "internal/events", "internal/session", "internal/store", "rotation"}},
	"internal/store/postgres": {kernel, "the store that several nodes share; commits refreshes in batches",
		[]string{"internal/documents", "internal/events", "internal/session", "internal/store", "rotation"}},
	"internal/store/bounded": {kernel, "wraps a store with gates, time limits and measurements", []string{"internal/documents", "internal/events", "internal/gate", "internal/session", "rotation"}},

	"internal/accounts":   {wing, "administration of users, roles, sessions and keys; decides which administrator may do what", []string{"internal/directory", "internal/httpapi", "internal/keys", "internal/problem", "internal/session", "rotation", "wire"}},
	"internal/oauth":      {wing, "OAuth 2.0 and OpenID provider: clients, codes, devices, ID tokens; every grant makes a session", []string{"dpop", "internal/documents", "internal/httpapi", "internal/httpapi/form", "internal/httpapi/page", "internal/problem", "internal/session", "rotation", "verify", "wire"}},
	"internal/idp":        {wing, "sign-in at identity providers, roles from their claims, back-channel logout", []string{"internal/directory", "internal/httpapi", "internal/httpapi/form", "internal/httpapi/page", "internal/problem", "internal/session", "rotation", "wire", "wire/jose"}},
	"internal/gateway":    {wing, "reverse proxy and forward-auth: rules by path, identity headers; closes streams when their session ends", []string{"internal/httpapi", "internal/problem", "rotation", "verify", "wire"}},
	"internal/encryption": {wing, "accepts encrypted requests at the session calls", []string{"internal/httpapi", "internal/problem", "internal/session", "verify", "wire"}},
	"internal/profiles":   {wing, "dialects of existing front-ends, as data files; each calls the same session calls", []string{"internal/httpapi", "internal/problem", "internal/session", "internal/suggest", "rotation", "verify", "wire"}},
	"internal/remoteusers": {wing, "users of another system, which is called over HTTP",
		[]string{"internal/httpapi", "internal/problem", "internal/session", "verify", "wire"}},
	"internal/doors": {wing, "API keys, tickets, and sessions for users whom an application has identified", []string{"internal/documents", "internal/httpapi", "internal/problem", "internal/session", "wire"}},
	"internal/webhooks": {wing, "signed messages about committed events, from the log, to another system",
		[]string{"internal/documents", "internal/events", "internal/httpapi", "wire"}},
	"internal/demo":      {wing, "the page of `tacet dev`, and the faults that it injects", []string{"internal/session", "rotation", "wire", "wire/jose"}},
	"internal/telemetry": {wing, "metrics and traces", nil},

	"internal/config": {face, "reads settings from the environment and one file", []string{"internal/suggest"}},
	"internal/app": {face, "composition: the only place that constructs concrete types; holds the list of wings", []string{"internal/accounts", "internal/directory", "internal/documents", "internal/doors", "internal/encryption", "internal/events", "internal/gate", "internal/gateway", "internal/httpapi", "internal/idp", "internal/keys", "internal/oauth", "internal/profiles", "internal/remoteusers", "internal/session",
		"internal/store", "internal/store/bounded", "internal/store/postgres", "internal/store/sqlite", "internal/telemetry", "internal/webhooks", "rotation", "verify", "wire"}},
	"internal/cli":        {face, "the commands of the program", []string{"internal/accounts", "internal/app", "internal/config", "internal/demo", "internal/directory", "internal/doors", "internal/idp", "internal/keys", "internal/oauth", "internal/profiles", "internal/session", "internal/telemetry", "rotation", "wire"}},
	"cmd/tacet":           {face, "the program; main.go only", []string{"internal/cli"}},
	"":                    {face, "package tacet: the server inside a Go program", []string{"internal/app", "internal/directory", "internal/doors", "internal/idp", "internal/session", "internal/telemetry", "rotation", "verify", "wire"}},
	"client/oauth2source": {face, "an x/oauth2 token source", []string{"client"}},

	"client/internal/fakeauth":         {proof, "a session server for the tests of `client`", []string{"rotation", "wire"}},
	"internal/apptest":                 {proof, "a whole server for tests, with users, a clock and a log", []string{"internal/app", "internal/session", "internal/store/sqlite/sqlitetest"}},
	"internal/idp/idptest":             {proof, "an identity provider that can show 36 defects", nil},
	"internal/store/storetest":         {proof, "the test suite for every store, and a reference store in memory", []string{"internal/directory", "internal/documents", "internal/events", "internal/keys", "internal/oauth", "internal/session", "rotation"}},
	"internal/store/sqlite/sqlitetest": {proof, "empty SQLite databases for tests", []string{"internal/store/sqlite"}},
	"internal/store/postgres/pgtest":   {proof, "PostgreSQL clusters for tests", nil},
	"internal/sim":                     {proof, "runs whole servers over simulated time, network and storage, from a seed", nil},
}

// outside are trees that may use what they test or show.
var outside = []string{"e2e/", "examples/", "faults", "scripts/", "security", "spec"}

// imported is what each package of the module imports.
func imported(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		name := strings.TrimPrefix(strings.TrimPrefix(fields[0], module), "/")
		if !slices.ContainsFunc(outside, func(p string) bool { return strings.HasPrefix(name, p) }) {
			all[name] = fields[1:]
		}
	}
	return all
}

// breaches says where imports break the table.
func breaches(table map[string]pkg, all map[string][]string) []string {
	var out []string
	for name, imports := range all {
		row, ok := table[name]
		if !ok {
			out = append(out, fmt.Sprintf("package %q is not in the table", name))
			continue
		}
		for _, i := range imports {
			i, ours := strings.CutPrefix(i, module+"/")
			if !ours {
				continue
			}
			if to := table[i].layer; !slices.Contains(may[row.layer], to) {
				out = append(out, fmt.Sprintf("%q is a %s and imports %q, a %s", name, row.layer, i, to))
			}
			if !slices.Contains(row.imports, i) {
				out = append(out, fmt.Sprintf("%q imports %q, which its row does not allow", name, i))
			}
		}
	}
	for name := range table {
		if _, ok := all[name]; !ok {
			out = append(out, fmt.Sprintf("the table has %q, which is gone", name))
		}
	}
	slices.Sort(out)
	return out
}

func TestPackagesKeepToTheTable(t *testing.T) {
	for _, b := range breaches(packages, imported(t)) {
		t.Error(b)
	}
}

// Each kind of breach is found, in a small world.
func TestBreachesAreFound(t *testing.T) {
	table := map[string]pkg{"core": {kernel, "", nil}, "plus": {wing, "", []string{"core"}}, "more": {wing, "", []string{"core"}}}
	good := func() map[string][]string {
		return map[string][]string{"core": {"fmt"}, "plus": {module + "/core"}, "more": {module + "/core"}}
	}
	if b := breaches(table, good()); len(b) > 0 {
		t.Fatalf("nothing is wrong, but: %q", b)
	}
	for want, change := range map[string]func(map[string][]string){
		`"core" is a kernel and imports "plus", a wing`: func(m map[string][]string) { m["core"] = []string{module + "/plus"} },
		`"plus" is a wing and imports "more", a wing`:   func(m map[string][]string) { m["plus"] = []string{module + "/more"} },
		`package "new" is not in the table`:             func(m map[string][]string) { m["new"] = nil },
		`the table has "more", which is gone`:           func(m map[string][]string) { delete(m, "more") },
	} {
		all := good()
		change(all)
		if b := breaches(table, all); !slices.Contains(b, want) {
			t.Errorf("found %q, want %q among it", b, want)
		}
	}
}

// pure lists every package of the standard library that a pure package imports.
// Neither has a way to a clock, a network, a file, a process or a lock.
var pure = map[string][]string{
	"rotation": {"crypto/sha256", "crypto/subtle", "encoding/base64", "encoding/binary", "encoding/hex", "errors", "time"},
	"wire":     {"strconv", "strings"},
}

// clockReaders are the functions of package time that read the clock or wait.
var clockReaders = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// The protocol decides from its arguments alone.
func TestPurePackagesStayPure(t *testing.T) {
	all := imported(t)
	for name, allowed := range pure {
		for _, i := range all[name] {
			if !slices.Contains(allowed, i) {
				t.Errorf("%s imports %s, which is not on its list", name, i)
			}
		}
		files, err := filepath.Glob(filepath.Join(name, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal("no files of", name, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range clockCalls(t, file, src) {
				t.Errorf("%s reads the clock: %s", file, call)
			}
		}
	}
}

// clockCalls are the uses of clockReaders in a file.
func clockCalls(t *testing.T, name string, src []byte) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, src, 0)
	if err != nil {
		t.Fatal(err)
	}
	local := ""
	for _, i := range f.Imports {
		if i.Path.Value == `"time"` {
			local = "time"
			if i.Name != nil {
				local = i.Name.Name
			}
		}
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok || local == "" {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && x.Name == local && slices.Contains(clockReaders, s.Sel.Name) {
			out = append(out, "time."+s.Sel.Name)
		}
		return true
	})
	if local == "." {
		out = append(out, "package time is imported with a dot")
	}
	return out
}

func TestClockCallsAreFound(t *testing.T) {
	for src, want := range map[string]int{
		"package p\nimport \"time\"\nvar x = time.Now()":                1,
		"package p\nimport clock \"time\"\nvar x = clock.Now":           1,
		"package p\nimport . \"time\"\nvar x = Now()":                   1,
		"package p\nimport \"time\"\nvar x = time.Second":               0,
		"package p\nimport \"time\"\nfunc f(time struct{ Now int }) {}": 0,
	} {
		if got := clockCalls(t, "p.go", []byte(src)); len(got) != want {
			t.Errorf("%q: found %q", src, got)
		}
	}
}

// The public packages pull nothing of the server into other programs.
func TestPublicPackagesStaySmall(t *testing.T) {
	for _, name := range []string{"verify", "client", "rotation", "wire", "wire/jose", "seal", "dpop"} {
		out, err := exec.Command("go", "list", "-deps", "./"+name).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", name, err)
		}
		for dep := range strings.Lines(string(out)) {
			dep = strings.TrimSpace(dep)
			if dep == "database/sql" || strings.HasPrefix(dep, module+"/internal/") || strings.HasPrefix(dep, "modernc.org/") ||
				strings.HasPrefix(dep, "github.com/go-jose/") {
				t.Errorf("%s depends on %s", name, dep)
			}
		}
	}
}

// ARCHITECTURE.md shows the table of this test, word by word:
// go test -run Documented -update . writes it.
func TestTheTableIsDocumented(t *testing.T) {
	const file, begin, end = "ARCHITECTURE.md", "<!-- packages: made by arch_test.go -->\n", "<!-- end of packages -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the lines %q and %q", file, begin, end)
	}
	want := before + begin + table() + end + after
	if want == string(data) {
		return
	}
	if !*update {
		t.Fatalf("the table in %s is not that of this test: go test -run Documented -update . writes it", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// table is the table of packages in Markdown.
func table() string {
	var b strings.Builder
	b.WriteString("| layer | package | duty | imports |\n| --- | --- | --- | --- |\n")
	for _, l := range []layer{format, kernel, wing, face, proof} {
		for _, name := range slices.Sorted(maps.Keys(packages)) {
			row := packages[name]
			if row.layer != l {
				continue
			}
			if name == "" {
				name = "tacet"
			}
			imports := make([]string, len(row.imports))
			for i, p := range row.imports {
				imports[i] = strings.TrimPrefix(p, "internal/")
			}
			if l == face && len(imports) > 6 {
				imports = []string{"what it puts together"}
			}
			fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", l, name, row.duty, strings.Join(imports, ", "))
		}
	}
	return b.String()
}
