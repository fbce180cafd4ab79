package profiles_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/profiles"
)

// The documentation has a section for every dialect, and its example is good.
func TestDocumentation(t *testing.T) {
	for _, file := range []string{"../../docs/profiles.md", "../../docs/profiles.zh-CN.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range profiles.Names() {
			if !strings.Contains(string(text), "\n## `"+name+"`\n") {
				t.Errorf("%s has no section on %s", file, name)
			}
		}
		examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
		if len(examples) != 1 {
			t.Fatalf("%s: %d examples", file, len(examples))
		}
		if _, err := profiles.Load(file, []byte(examples[0][1])); err != nil {
			t.Error(err)
		}
		for _, path := range regexp.MustCompile("`(?:(?:POST|GET|DELETE) )(/[A-Za-z0-9/._-]+)`").FindAllStringSubmatch(string(text), -1) {
			if !served(t, path[1]) {
				t.Errorf("%s names %s, which no profile has", file, path[1])
			}
		}
	}
}

func served(t *testing.T, path string) bool {
	for _, name := range profiles.Names() {
		set, err := profiles.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		p := set.Profiles[0]
		for _, r := range p.Routes {
			if r.Path == path {
				return true
			}
		}
	}
	return false
}
