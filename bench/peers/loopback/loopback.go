// Package loopback serves as package serve of the benchmark does, which this
// module does not import, so that nobody else's change of dependencies is one of
// its own.
package loopback

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

// Serve serves h on a loopback port that the system gives, until stdin ends. It
// says where on stdout: "listening addr=127.0.0.1:PORT".
func Serve(h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0) // nothing here is kept
	}()
	fmt.Printf("listening addr=%s\n", l.Addr())
	return http.Serve(l, h)
}
