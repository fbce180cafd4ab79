package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/config"
)

// TestOverlapMayBeZero: by a flag, a variable and the file, and 10 s if nobody
// says anything.
func TestOverlapMayBeZero(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tacet.yaml")
	if err := os.WriteFile(file, []byte("overlap: 0s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		env  string
		want time.Duration
	}{
		"default":  {nil, "", 10 * time.Second},
		"flag":     {[]string{"--overlap", "0s"}, "", 0},
		"variable": {nil, "0s", 0},
		"file":     {[]string{"--config", file}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			if c.env != "" {
				t.Setenv(config.EnvName("overlap"), c.env)
			}
			args := append([]string{"serve"}, c.args...)
			var cli root
			parser, err := newParser(&cli, io.Discard, io.Discard, func(int) {})
			if err != nil {
				t.Fatal(err)
			}
			sources, err := resolvers(parser, args)
			if err != nil {
				t.Fatal(err)
			}
			if parser, err = newParser(&cli, io.Discard, io.Discard, func(int) {}, sources...); err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(args); err != nil {
				t.Fatal(err)
			}
			cfg := cli.Serve.serverFlags.config(&env{ctx: context.Background(), lookup: os.LookupEnv}, cli.Serve.dataFlags, "http://localhost")
			if err := cfg.Normalize(); err != nil {
				t.Fatal(err)
			}
			if *cfg.Overlap != c.want {
				t.Errorf("the overlap is %s, want %s", *cfg.Overlap, c.want)
			}
		})
	}
}
