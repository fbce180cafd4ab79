package cli

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// The test binary is also the program: scripts call it as tacet, and tests that
// kill a server start it again with asProgram set.
const asProgram = "CLI_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	run := func() { os.Exit(Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
	if os.Getenv(asProgram) != "" {
		_ = os.Unsetenv(asProgram)
		run()
	}
	testscript.Main(m, map[string]func(){"tacet": run})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}
