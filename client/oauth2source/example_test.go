package oauth2source_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"golang.org/x/oauth2"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/internal/fakeauth"
	"github.com/tacet-dev/tacet/client/oauth2source"
)

func ExampleNew() {
	fake := fakeauth.New()
	auth, api := httptest.NewServer(fake), httptest.NewServer(fake.API())
	defer auth.Close()
	defer api.Close()
	source, err := client.New(client.Config{URL: auth.URL + "/auth"})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	ctx := context.Background()
	if _, err := source.SignIn(ctx, "alice", "alice-password"); err != nil {
		log.Fatal(err)
	}

	c := oauth2.NewClient(ctx, oauth2source.New(ctx, source))
	res, err := c.Get(api.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	fmt.Println(res.Status)
	// Output: 200 OK
}
