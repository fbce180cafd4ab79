// Command cli-client is a command-line tool that stays signed in: its session is
// in a file, which any number of its processes may use at the same time.
//
//	cli-client login alice     (asks for the password)
//	cli-client whoami
//	cli-client get /orders
//	cli-client logout
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/tacet-dev/tacet/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("cli-client", flag.ContinueOnError)
	auth := flags.String("auth", "http://127.0.0.1:8080/auth", "base URL of the auth server")
	api := flags.String("api", "http://127.0.0.1:9000", "origin of the API")
	file := flags.String("file", defaultFile(), "where the session is kept")
	if err := flags.Parse(args); err != nil {
		return err
	}
	store, err := client.NewFileStore(*file)
	if err != nil {
		return err
	}
	source, err := client.New(client.Config{URL: *auth, Store: store})
	if err != nil {
		return err
	}
	defer source.Close()

	switch command, arg := flags.Arg(0), flags.Arg(1); {
	case command == "login" && arg != "":
		return login(ctx, source, arg, stdin, stdout)
	case command == "whoami":
		return whoami(ctx, source, stdout)
	case command == "get" && arg != "":
		return get(ctx, source, *api, arg, stdout)
	case command == "logout":
		return source.SignOut(ctx)
	}
	return errors.New("usage: cli-client [flags] login NAME | whoami | get PATH | logout")
}

func defaultFile() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		dir = "."
	}
	return filepath.Join(dir, "tacet-example", "session.json")
}

func login(ctx context.Context, source *client.Source, name string, stdin io.Reader, stdout io.Writer) error {
	fmt.Fprint(stdout, "password: ")
	password, err := readPassword(stdin)
	fmt.Fprintln(stdout)
	if err != nil {
		return err
	}
	session, err := source.SignIn(ctx, name, password)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "hello, %s\n", session.User.Username)
	return nil
}

// readPassword reads a line, without showing it if a person types it.
func readPassword(stdin io.Reader) (string, error) {
	if f, ok := stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		b, err := term.ReadPassword(int(f.Fd()))
		return string(b), err
	}
	line, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func whoami(ctx context.Context, source *client.Source, stdout io.Writer) error {
	session, err := source.Session(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s, until %s\n", session.User.Username, session.ExpiresAt.Local().Format(time.DateOnly))
	return nil
}

// get shows what the API answers. The transport adds the token, renews it, and
// repeats the request where that is needed.
func get(ctx context.Context, source *client.Source, api, path string, stdout io.Writer) error {
	transport, err := client.NewTransport(source, nil, api)
	if err != nil {
		return err
	}
	c := &http.Client{Transport: transport, Timeout: time.Minute}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, api+path, nil)
	if err != nil {
		return err
	}
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s responded with %s", path, res.Status)
	}
	_, err = io.Copy(stdout, res.Body)
	return err
}
