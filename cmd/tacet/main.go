// Command tacet is the session server and its tools. See tacet --help.
package main

import (
	"context"
	"os"

	"github.com/tacet-dev/tacet/internal/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
