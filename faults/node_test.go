package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// nodeConfig is all that a node is told. The public URL is the same for all.
type nodeConfig struct {
	Listen      string
	DatabaseURL string
	DataDir     string
	MasterKey   string
	Access      time.Duration
	Overlap     time.Duration
	Database    time.Duration
	Skew        time.Duration // of the node's clock
	Mutant      string
}

// publicURL is where clients believe that they are: a balancer leads them to a node.
const publicURL = "http://tacet.localhost"

// runNode is what "tacet serve" does (internal/cli), with a clock that can be
// set wrong and users whose passwords cost nothing. Lines on standard input set
// the clock; its end is the node's, so that no node outlives the tests.
func runNode(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var c nodeConfig
	if err := json.Unmarshal(b, &c); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var skew atomic.Int64
	skew.Store(int64(c.Skew))
	go func() {
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			if d, err := time.ParseDuration(lines.Text()); err == nil {
				skew.Store(int64(d))
			}
		}
		os.Exit(3)
	}()
	ln, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	mutant, err := mutate(c.Mutant)
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, app.Config{PublicURL: publicURL, DatabaseURL: c.DatabaseURL, DataDir: c.DataDir, MasterKey: c.MasterKey,
		AccessTTL: c.Access, Overlap: &c.Overlap, DatabaseTimeout: c.Database, Directory: people{}, Authenticator: people{},
		Sessions: mutant, Logger: log, Clock: func() time.Time { return time.Now().Add(time.Duration(skew.Load())) }})
	if err != nil {
		return err
	}
	a.Start()
	return errors.Join(a.Serve(ctx, ln, a.Handler), a.Close())
}

// people is a directory of everybody whose name begins with "u"; the name is the
// password.
type people struct{}

func (people) Authenticate(_ context.Context, name, password string, _ session.Contact) (session.Identity, error) {
	if !strings.HasPrefix(name, "u") || name != password {
		return session.Identity{}, session.ErrInvalidCredentials
	}
	return session.Identity{UserID: name}, nil
}

func (people) User(_ context.Context, id string) (session.User, error) {
	if !strings.HasPrefix(id, "u") {
		return session.User{}, fmt.Errorf("%w: %s", session.ErrNoUser, id)
	}
	return session.User{User: wire.User{ID: id, Username: id}}, nil
}

func (p people) Grants(ctx context.Context, id string) (session.User, error) { return p.User(ctx, id) }
