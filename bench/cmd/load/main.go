// Command load is the load generator's process: it reads commands of package
// load from stdin, answers them on stdout and ends with stdin.
package main

import (
	"log"
	"os"
	"runtime/debug"

	"github.com/tacet-dev/tacet/bench/load"
)

func main() {
	// Its garbage is small and its CPU is the server's loss.
	debug.SetGCPercent(800)
	if err := load.Serve(os.Stdin, os.Stdout); err != nil {
		log.Fatal("load: ", err)
	}
}
