package main

import (
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/oauth2source"
	"github.com/tacet-dev/tacet/examples/internal/exampletest"
	"github.com/tacet-dev/tacet/examples/internal/handlers"
	"github.com/tacet-dev/tacet/examples/internal/resource"
	"github.com/tacet-dev/tacet/verify"
)

func TestSDKOnASession(t *testing.T) {
	s := exampletest.New(t)
	url := s.API(func(ln net.Listener, v *verify.Verifier) error {
		return resource.Serve(ln, v.Require("orders:read")(http.HandlerFunc((&handlers.API{}).Orders)))
	})
	source := s.SignIn("bob")
	shop := newSDK(t.Context(), url, oauth2source.New(t.Context(), source))
	if list, err := shop.Orders(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("%v, %v", list, err)
	}
	if err := source.SignOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	// oauth2.NewClient holds on to a token; a new client asks the source.
	_, err := newSDK(t.Context(), url, oauth2source.New(t.Context(), source)).Orders(t.Context())
	if _, ok := errors.AsType[*client.SignedOutError](err); !ok {
		t.Errorf("after the sign-out: %v", err)
	}
}
