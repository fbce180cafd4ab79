// Command oauth2 gives code that was written for golang.org/x/oauth2 a session of
// Tacet: the SDK below takes an oauth2.TokenSource and knows of nothing else.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/oauth2source"
)

func main() {
	ctx := context.Background()
	source, err := client.New(client.Config{URL: "http://127.0.0.1:8080/auth"})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	if _, err := source.SignIn(ctx, "alice", "alice-password"); err != nil {
		log.Fatal(err)
	}
	shop := newSDK(ctx, "http://127.0.0.1:9000", oauth2source.New(ctx, source))
	orders, err := shop.Orders(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(orders), "orders")
}

// sdk stands for somebody else's package.
type sdk struct {
	url  string
	http *http.Client
}

func newSDK(ctx context.Context, url string, tokens oauth2.TokenSource) *sdk {
	return &sdk{url, oauth2.NewClient(ctx, tokens)}
}

type order struct {
	ID   int
	Item string
}

func (s *sdk) Orders(ctx context.Context) ([]order, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/orders", nil)
	if err != nil {
		return nil, err
	}
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("orders: %s", res.Status)
	}
	var list []order
	return list, json.NewDecoder(res.Body).Decode(&list)
}
