package main

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/examples/internal/exampletest"
	"github.com/tacet-dev/tacet/examples/internal/handlers"
	"github.com/tacet-dev/tacet/examples/internal/resource"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Every run is a process of its own, as far as the session is concerned.
func TestSignInOnceUseItEverywhere(t *testing.T) {
	s := exampletest.New(t)
	api := s.API(func(ln net.Listener, v *verify.Verifier) error {
		mux := http.NewServeMux()
		mux.Handle("GET /me", v.Middleware(http.HandlerFunc((&handlers.API{}).Me)))
		mux.Handle("GET /admin", v.Require("admin:read")(http.NotFoundHandler()))
		return resource.Serve(ln, mux)
	})
	flags := []string{"-auth", s.URL + wire.DefaultBasePath, "-api", api, "-file", filepath.Join(t.TempDir(), "tool", "session.json")}
	do := func(stdin string, args ...string) (string, error) {
		var out bytes.Buffer
		err := run(t.Context(), append(flags[:len(flags):len(flags)], args...), strings.NewReader(stdin), &out)
		return out.String(), err
	}

	if _, err := do("", "whoami"); !errors.Is(err, client.ErrNotSignedIn) {
		t.Errorf("before the sign-in: %v", err)
	}
	_, err := do("wrong\n", "login", "bob")
	if p, ok := errors.AsType[*client.ProblemError](err); !ok || p.Code != wire.CodeInvalidCredentials {
		t.Errorf("a wrong password: %v", err)
	}
	if out, err := do("bob-password\n", "login", "bob"); err != nil || !strings.HasSuffix(out, "hello, bob\n") {
		t.Fatal(out, err)
	}
	if out, err := do("", "whoami"); err != nil || !strings.HasPrefix(out, "bob, until 2") {
		t.Errorf("whoami: %q, %v", out, err)
	}
	if out, err := do("", "get", "/me"); err != nil || !strings.Contains(out, s.ID("bob")) {
		t.Errorf("get: %q, %v", out, err)
	}
	if _, err := do("", "get", "/admin"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a missing permission: %v", err)
	}
	if _, err := do("", "logout"); err != nil {
		t.Error(err)
	}
	if _, err := do("", "get", "/me"); !errors.Is(err, client.ErrNotSignedIn) {
		t.Errorf("after the sign-out: %v", err)
	}
	if _, err := do("", "dance"); err == nil {
		t.Error("an unknown command passed")
	}
}
