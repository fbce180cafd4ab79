package verify_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// demoIssuer stands for a Tacet server: it publishes its keys.
func demoIssuer() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, publish(map[string]any{"ed": edPublic}))
	}))
}

// demoToken is what it would issue to a clerk.
func demoToken() string {
	now := time.Now()
	return signEd(header(nil), claims(object{"iat": now.Unix(), "exp": now.Add(time.Minute).Unix(), "scope": "orders:*"}))
}

// A resource server: keys from the issuer, and routes that say what they need.
func Example() {
	auth := demoIssuer()
	defer auth.Close()

	keys, err := verify.NewKeySet(verify.KeySetConfig{URL: auth.URL + wire.PathJWKS})
	if err != nil {
		panic(err)
	}
	v, err := verify.New(verify.Config{Issuer: "https://auth.example.com", Audience: "https://api.example.com", Keys: keys})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", v.Require("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := verify.FromContext(r.Context())
		fmt.Fprint(w, "orders of ", token.Subject())
	})))
	mux.Handle("GET /users", v.Require("users:read")(http.NotFoundHandler()))

	for _, path := range []string{"/orders", "/users"} {
		for _, authorization := range []string{"", "Bearer " + demoToken()} {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("Authorization", authorization)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			fmt.Printf("%s %d %q\n", path, w.Code, w.Header().Get("WWW-Authenticate"))
		}
	}
	// Output:
	// /orders 401 "Bearer"
	// /orders 200 ""
	// /users 401 "Bearer"
	// /users 403 "Bearer error=\"insufficient_scope\", error_description=\"a permission is missing\", scope=\"users:read\""
}

// Verify and its errors, for whatever is not net/http.
func ExampleVerifier_Verify() {
	v, err := verify.New(verify.Config{Issuer: "https://auth.example.com", Audience: "https://api.example.com", Keys: keys})
	if err != nil {
		panic(err)
	}
	token, err := v.Verify(context.Background(), demoToken())
	fmt.Println(token.Subject(), token.Can("orders:read"), token.Can("users:read"), err)

	_, err = v.Verify(context.Background(), demoToken()+"x")
	switch {
	case errors.Is(err, verify.ErrInvalidToken):
		fmt.Println("renew and try again:", err)
	case errors.Is(err, verify.ErrUnavailable):
		fmt.Println("try again later:", err)
	}
	// Output:
	// usr_1 true false <nil>
	// renew and try again: verify: the access token is malformed
}

// A payment needs a second factor that is at most five minutes old. The client learns
// from the challenge what to ask the user for (RFC 9470).
func ExampleVerifier_RequireAuth() {
	v, err := verify.New(verify.Config{Issuer: "https://auth.example.com", Audience: "https://api.example.com", Keys: keys})
	if err != nil {
		panic(err)
	}
	pay := v.RequireAuth(verify.StepUp{ACR: []string{"urn:example:second-factor"}, MaxAge: 5 * time.Minute})(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "paid") }))
	r := httptest.NewRequest("POST", "/payments", nil)
	r.Header.Set("Authorization", "Bearer "+demoToken())
	w := httptest.NewRecorder()
	pay.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output:
	// 401 Bearer error="insufficient_user_authentication", error_description="a stronger or more recent sign-in is needed", acr_values="urn:example:second-factor", max_age="300"
}

// A router of another kind: Authenticate and WriteError are all that a
// middleware needs.
func ExampleVerifier_Authenticate() {
	v, err := verify.New(verify.Config{Issuer: "https://auth.example.com", Audience: "https://api.example.com", Keys: keys})
	if err != nil {
		panic(err)
	}
	handle := func(w http.ResponseWriter, r *http.Request) {
		token, err := v.Authenticate(r)
		if err == nil {
			err = verify.Allow(token, "orders:write")
		}
		if err != nil {
			v.WriteError(w, r, err)
			return
		}
		fmt.Fprint(w, "written")
	}
	r := httptest.NewRequest("POST", "/orders", nil)
	r.Header.Set("Authorization", "Bearer "+demoToken())
	w := httptest.NewRecorder()
	handle(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 written
}

// Ended sessions and changed grants are enforced on the next request, without
// asking anyone.
func ExampleFeed() {
	keys, err := verify.NewKeySet(verify.KeySetConfig{URL: "https://auth.example.com" + wire.PathJWKS})
	if err != nil {
		panic(err)
	}
	feed, err := verify.NewFeed(verify.FeedConfig{
		URL:     "https://auth.example.com" + wire.DefaultBasePath + wire.PathFeed,
		Secret:  "from the environment, not from the source",
		Keys:    keys,
		OnError: func(err error) { fmt.Println("feed:", err) },
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // a server would run it for as long as it serves
	go func() { _ = feed.Run(ctx) }()

	v, err := verify.New(verify.Config{
		Issuer: "https://auth.example.com", Audience: "https://api.example.com",
		Keys: keys, Liveness: feed, Clock: feed.Now,
	})
	fmt.Println(v != nil, err)
	// Output: true <nil>
}
