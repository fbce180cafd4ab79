// Command node runs a Tacet server on a loopback port as cmd/tacet does, and can
// do two things that only a benchmark wants. It stops when its stdin ends.
//
// With -mint FILE it serves nothing: it walks over all sessions, as a sweep does,
// and writes a refresh token for each that may come next. At the signal SIGUSR1 it
// begins to sweep, walk after walk, and at the next it stops and says how many
// bites it took.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tacet-dev/tacet/bench/serve"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

func main() {
	data := flag.String("data", "", "data directory")
	url := flag.String("database-url", "", "PostgreSQL")
	mint := flag.String("mint", "", "file for the tokens")
	flag.Parse()
	if err := run(*data, *url, *mint); err != nil {
		log.Fatal("node: ", err)
	}
}

func run(data, url, mint string) error {
	ctx := context.Background()
	a, err := app.Open(ctx, app.Config{PublicURL: "http://localhost", DataDir: data, DatabaseURL: url,
		Logger: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return err
	}
	if mint != "" {
		err = mintAll(ctx, a, mint)
	} else {
		a.Start()
		go sweepOnSignal(ctx, a)
		err = serve.Loopback(a.Handler)
	}
	if closed := a.Close(); err == nil {
		err = closed
	}
	return err
}

// mintAll writes one token a line.
func mintAll(ctx context.Context, a *app.App, file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	out, key, began, n := bufio.NewWriter(f), a.Keys.MAC(), time.Now(), 0
	var from rotation.SessionID
	for {
		next, _, err := a.DB.Sessions().Sweep(ctx, from, 1000, func(s session.Session) bool {
			var tag rotation.Tag
			rand.Read(tag[:])
			fmt.Fprintln(out, rotation.Seal(key, rotation.Child(s.ID, s.State.Head, tag)))
			n++
			return false
		})
		if err != nil {
			return err
		}
		if next == (rotation.SessionID{}) {
			break
		}
		from = next
	}
	fmt.Printf("minted sessions=%d took=%v\n", n, time.Since(began))
	return out.Flush()
}

// sweepOnSignal sweeps at the server's own pace between one signal and the next.
func sweepOnSignal(ctx context.Context, a *app.App) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	for range signals {
		walk, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for walk.Err() == nil {
				if _, err := a.Sessions.Sweep(walk); err != nil && walk.Err() == nil {
					log.Print("sweep: ", err)
					return
				}
			}
		}()
		fmt.Println("sweeping")
		<-signals
		stop()
		<-ended
		fmt.Println("swept")
	}
}
