package tacet_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tacet-dev/tacet"

// allowed is the dependency table of ARCHITECTURE.md: what each package may
// import of this module. A package that is not in it fails the test.
var allowed = map[string][]string{
	"rotation":                 {},
	"wire":                     {},
	"seal":                     {},
	"dpop":                     {},
	"verify":                   {"dpop", "seal", "wire"},
	"client":                   {"seal", "wire"},
	"client/internal/fakeauth": {"rotation", "wire"}, // of the client's tests
	"client/oauth2source":      {"client"},

	"internal/events":                  {},
	"internal/gate":                    {},
	"internal/telemetry":               {},
	"internal/keys":                    {"internal/events", "rotation", "seal", "wire"},
	"internal/directory":               {"internal/events", "wire"},
	"internal/session":                 {"internal/events", "rotation", "wire"},
	"internal/oauth":                   {"internal/session", "rotation", "wire"},
	"internal/idp":                     {"internal/directory", "internal/session", "wire"},
	"internal/idp/idptest":             {}, // of tests
	"internal/accounts":                {"internal/directory", "internal/session", "rotation", "wire"},
	"internal/store/sqlite":            {"internal/directory", "internal/events", "internal/keys", "internal/oauth", "internal/session", "rotation"},
	"internal/store/sqlite/sqlitetest": {"internal/store/sqlite"}, // of tests
	"internal/store/postgres":          {"internal/directory", "internal/events", "internal/keys", "internal/oauth", "internal/session", "rotation"},
	"internal/store/guard":             {"internal/directory", "internal/events", "internal/gate", "internal/keys", "internal/oauth", "internal/session", "rotation"},
	"internal/store/postgres/pgtest":   {}, // of tests and benchmarks
	"internal/store/sharded":           {"internal/events", "internal/session", "internal/store/postgres", "rotation"},
	"internal/store/storetest":         {"internal/directory", "internal/events", "internal/keys", "internal/oauth", "internal/session", "rotation"},
	"internal/httpapi":                 {"dpop", "internal/accounts", "internal/directory", "internal/events", "internal/gateway", "internal/profiles", "internal/idp", "internal/keys", "internal/oauth", "internal/session", "rotation", "verify", "wire"},
	"internal/profiles":        {"internal/session", "rotation", "verify", "wire"},
	"internal/config":                  {},
	"internal/gateway":                 {"rotation", "verify", "wire"},
	"internal/demo":                    {"internal/session", "rotation", "wire"},
	"internal/sim":                     {}, // tests only
	"internal/app":                     {"internal/accounts", "internal/directory", "internal/events", "internal/gate", "internal/gateway", "internal/httpapi", "internal/profiles", "internal/idp", "internal/keys", "internal/oauth", "internal/session", "internal/store/guard", "internal/store/postgres", "internal/store/sqlite", "internal/telemetry", "rotation", "verify", "wire"},
	"internal/cli":                     {"internal/accounts", "internal/app", "internal/config", "internal/demo", "internal/directory", "internal/profiles", "internal/idp", "internal/keys", "internal/oauth", "internal/session", "internal/telemetry", "rotation", "wire"},

	"":          {"internal/app", "internal/directory", "internal/idp", "internal/session", "internal/telemetry", "rotation", "verify", "wire"},
	"cmd/tacet": {"internal/cli"},
}

// outside may use what they test or show.
var outside = []string{"e2e/", "examples/", "faults", "spec"}

func TestDependencyTable(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(strings.TrimPrefix(fields[0], module), "/")
		if slices.ContainsFunc(outside, func(p string) bool { return strings.HasPrefix(pkg, p) }) {
			continue
		}
		may, ok := allowed[pkg]
		if !ok {
			t.Errorf("package %q is not in the dependency table of ARCHITECTURE.md and arch_test.go", pkg)
			continue
		}
		seen++
		for _, imp := range fields[1:] {
			imp, ours := strings.CutPrefix(imp, module+"/")
			if ours && !slices.Contains(may, imp) {
				t.Errorf("%q imports %q, which the dependency table does not allow", pkg, imp)
			}
		}
	}
	if seen != len(allowed) {
		t.Errorf("%d packages found, the table has %d: take out what is gone", seen, len(allowed))
	}
}

// The protocol decides from its arguments alone, and the public packages pull
// nothing of the server into other programs.
func TestPurePackagesStayPure(t *testing.T) {
	for pkg, forbidden := range map[string][]string{
		"rotation": {"os", "net", "log", "log/slog", "crypto/rand", "math/rand", "math/rand/v2", "context", "database/sql"},
		"verify":   {"database/sql", module + "/internal", "modernc.org"},
		"client":   {"database/sql", module + "/internal", "modernc.org"},
	} {
		out, err := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}`, "./"+pkg).Output()
		if pkg != "rotation" {
			out, err = exec.Command("go", "list", "-deps", "./"+pkg).Output()
		}
		if err != nil {
			t.Fatalf("go list %s: %v", pkg, err)
		}
		for imp := range strings.Lines(string(out)) {
			imp = strings.TrimSpace(imp)
			for _, f := range forbidden {
				if imp == f || strings.HasPrefix(imp, f+"/") && strings.Contains(f, ".") {
					t.Errorf("%s depends on %s", pkg, imp)
				}
			}
		}
	}
}
