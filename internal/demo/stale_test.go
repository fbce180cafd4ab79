package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The page is built elsewhere (npm) and committed, so that `go run` needs no
// Node. demo/scripts/stamp.mjs writes the hash of the sources; this computes
// the same from the sources as they are now.
func TestThePageIsBuiltFromItsSources(t *testing.T) {
	root := filepath.Join("..", "..")
	names := []string{"demo/index.html", "demo/package.json", "demo/package-lock.json", "demo/tsconfig.json", "demo/vite.config.ts"}
	for _, folder := range []string{"demo/src", "sdk/src"} {
		err := filepath.WalkDir(filepath.Join(root, filepath.FromSlash(folder)), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(root, path)
			names = append(names, filepath.ToSlash(name))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(names)
	all := sha256.New()
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(all, "%s %x\n", name, sha256.Sum256(b))
	}
	built, err := static.ReadFile("static/BUILD")
	if err != nil {
		t.Fatal("the page has not been built: run `npm ci && npm run build` in demo/")
	}
	if got := hex.EncodeToString(all.Sum(nil)); got != strings.TrimSpace(string(built)) {
		t.Errorf("the page in internal/demo/static is older than its sources: run `npm ci && npm run build` in demo/ and commit the result")
	}
}
