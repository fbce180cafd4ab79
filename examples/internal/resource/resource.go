// Package resource is what the APIs of the examples share: how a resource server
// gets its verifier. A program of your own copies [Verifier].
package resource

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Config says where the auth server is.
type Config struct {
	// Issuer is the auth server's public URL.
	Issuer string
	// Audience is the aud of its access tokens; the issuer if it is empty.
	Audience string
	// FeedToken is the secret with which the feed is read. Without it ended
	// sessions and changed grants are noticed when the access token expires.
	FeedToken string
}

// Verifier returns what checks access tokens. Keys are fetched when the first
// token comes; the feed is read until ctx is done.
func Verifier(ctx context.Context, c Config) (*verify.Verifier, error) {
	keys, err := verify.NewKeySet(verify.KeySetConfig{URL: c.Issuer + wire.PathJWKS, OnError: logError})
	if err != nil {
		return nil, err
	}
	vc := verify.Config{Issuer: c.Issuer, Audience: c.Audience, Keys: keys}
	if c.Audience == "" {
		vc.Audience = c.Issuer
	}
	if c.FeedToken != "" {
		feed, err := verify.NewFeed(verify.FeedConfig{
			URL:     c.Issuer + wire.DefaultBasePath + wire.PathFeed,
			Secret:  c.FeedToken,
			Keys:    keys,
			OnError: logError,
		})
		if err != nil {
			return nil, err
		}
		go func() { _ = feed.Run(ctx) }() // ends with ctx; what goes wrong before is logged
		vc.Liveness, vc.Clock = feed, feed.Now
	}
	return verify.New(vc)
}

func logError(err error) { log.Print(err) }

// Main runs an API on LISTEN (127.0.0.1:9000) that accepts the tokens of the
// auth server at TACET_URL (http://127.0.0.1:8080, where "make dev" is).
func Main(serve func(net.Listener, *verify.Verifier) error) {
	c := Config{Issuer: env("TACET_URL", "http://127.0.0.1:8080"), FeedToken: os.Getenv("TACET_FEED_TOKEN")}
	v, err := Verifier(context.Background(), c)
	if err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("tcp", env("LISTEN", "127.0.0.1:9000"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s accepts the tokens of %s\n", ln.Addr(), c.Issuer)
	log.Fatal(serve(ln, v))
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// Serve is http.Serve with a limit on how long a client may take to ask.
func Serve(ln net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	return srv.Serve(ln)
}
