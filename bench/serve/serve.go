// Package serve runs a reference server on a loopback port given by the system.
package serve

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// Loopback serves h until stdin ends, so that no server outlives the benchmark
// that started it. It says where on stdout: "listening addr=127.0.0.1:PORT".
func Loopback(h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h}
	stopped := make(chan error, 1)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(ctx)
	}()
	fmt.Printf("listening addr=%s\n", l.Addr())
	if err := srv.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return <-stopped
}
