// Command limit runs the reference server of package limit on a loopback port.
// It stops when its stdin ends.
package main

import (
	"flag"
	"log"

	"github.com/tacet-dev/tacet/bench/limit"
	"github.com/tacet-dev/tacet/bench/serve"
)

func main() {
	path := flag.String("log", "limit.log", "file that renewals are appended to")
	flag.Parse()
	if err := run(*path); err != nil {
		log.Fatal("limit: ", err)
	}
}

func run(path string) error {
	l, err := limit.OpenLog(path)
	if err != nil {
		return err
	}
	if err := serve.Loopback(limit.New(l)); err != nil {
		return err
	}
	return l.Close()
}
