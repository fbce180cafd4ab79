package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/internal/fakeauth"
	"github.com/tacet-dev/tacet/wire"
)

// An auth server and an API for the examples.
func exampleServers() (auth *fakeauth.Server, authURL, apiURL string, stop func()) {
	auth = fakeauth.New()
	a, b := httptest.NewServer(auth), httptest.NewServer(auth.API())
	return auth, a.URL + "/auth", b.URL, func() { a.Close(); b.Close() }
}

// A command-line tool: sign in once, use the session from any number of
// processes until it ends.
func Example() {
	auth, authURL, apiURL, stop := exampleServers()
	defer stop()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	store, err := client.NewFileStore(filepath.Join(dir, "mytool", "session.json"))
	if err != nil {
		log.Fatal(err)
	}
	source, err := client.New(client.Config{URL: authURL, Store: store})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()

	session, err := source.SignIn(context.Background(), "alice", "alice-password")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("hello,", session.User.Username)

	transport, err := client.NewTransport(source, nil, apiURL)
	if err != nil {
		log.Fatal(err)
	}
	api := &http.Client{Transport: transport, Timeout: time.Minute}
	auth.ForgetAccess() // the token is refused from now on; nobody will notice
	res, err := api.Get(apiURL + "/orders")
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	fmt.Println(res.Status)

	if err := source.SignOut(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello, alice
	// 200 OK
}

// What to do about each kind of error.
func ExampleSource_Token() {
	auth, authURL, _, stop := exampleServers()
	defer stop()
	source, err := client.New(client.Config{URL: authURL})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	if _, err := source.SignIn(context.Background(), "alice", "alice-password"); err != nil {
		log.Fatal(err)
	}
	old, err := source.Token(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	auth.EndAll() // an administrator ends the session

	_, err = source.Renew(context.Background(), old)
	if out, ok := errors.AsType[*client.SignedOutError](err); ok {
		fmt.Println("final: sign in again;", out.Session == old.Session)
	} else if tmp, ok := errors.AsType[*client.TemporaryError](err); ok {
		fmt.Println("later: try again in", tmp.RetryAfter)
	} else if errors.Is(err, context.DeadlineExceeded) {
		fmt.Println("the caller's own deadline")
	}
	// Output: final: sign in again; true
}

// A wrong password is not a temporary error, and not a 401.
func ExampleSource_SignIn() {
	_, authURL, _, stop := exampleServers()
	defer stop()
	source, err := client.New(client.Config{URL: authURL})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	_, err = source.SignIn(context.Background(), "alice", "wrong")
	if p, ok := errors.AsType[*client.ProblemError](err); ok && p.Code == wire.CodeInvalidCredentials {
		fmt.Println("wrong name or password")
	}
	// Output: wrong name or password
}

// The session in the system's keyring, through a library that has Get, Set and
// Delete; here, a map.
func ExampleNewKeyringStore() {
	_, authURL, _, stop := exampleServers()
	defer stop()
	ring := map[string]string{}
	store, err := client.NewKeyringStore(client.Keyring{
		Get:    func() (string, bool, error) { s, ok := ring["mytool"]; return s, ok, nil },
		Set:    func(s string) error { ring["mytool"] = s; return nil },
		Delete: func() error { delete(ring, "mytool"); return nil },
	}, "")
	if err != nil {
		log.Fatal(err)
	}
	source, err := client.New(client.Config{URL: authURL, Store: store})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	if _, err := source.SignIn(context.Background(), "alice", "alice-password"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(ring), "entry")
	// Output: 1 entry
}
