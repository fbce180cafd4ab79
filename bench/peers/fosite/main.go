// Command fosite serves the token endpoint of ory/fosite over its storage in
// memory, on a loopback port. It stops when its stdin ends.
//
// What it does: POST /token, the password grant (which its storage compares as
// plain text) and the refresh grant for a public client, with rotation; a refresh
// token that was used already ends its session. Access tokens are opaque (HMAC) or,
// with -jwt, JWTs signed with ES256, the fastest signature that it has. What it does
// not do: nothing is durable, and a repeated request signs its sender out.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"flag"
	"log"
	"net/http"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"
	"github.com/ory/fosite/token/jwt"

	"github.com/tacet-dev/tacet/bench/peers/loopback"
)

func main() {
	jwts := flag.Bool("jwt", false, "access tokens are JWTs")
	flag.Parse()
	if err := run(*jwts); err != nil {
		log.Fatal("fosite: ", err)
	}
}

func run(jwts bool) error {
	secret := make([]byte, 32)
	rand.Read(secret)
	config := &fosite.Config{
		AccessTokenLifespan:  15 * time.Minute,
		RefreshTokenLifespan: 14 * 24 * time.Hour,
		AccessTokenIssuer:    "https://auth.test",
		GlobalSecret:         secret,
	}
	store := &lockedStore{MemoryStore: storage.NewMemoryStore()}
	store.Clients["bench"] = &fosite.DefaultClient{
		ID: "bench", Public: true, // a confidential client's secret is checked with bcrypt, each time
		GrantTypes: fosite.Arguments{"password", "refresh_token"}, Scopes: fosite.Arguments{"offline"},
	}
	store.Users["bench"] = storage.MemoryUserRelation{Username: "bench", Password: "bench"}

	var strategy oauth2.CoreStrategy = compose.NewOAuth2HMACStrategy(config)
	session := func() fosite.Session { return &fosite.DefaultSession{Username: "bench", Subject: "usr_bench"} }
	if jwts {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		strategy = compose.NewOAuth2JWTStrategy(func(context.Context) (any, error) { return key, nil }, strategy, config)
		session = func() fosite.Session {
			return &oauth2.JWTSession{JWTClaims: &jwt.JWTClaims{Subject: "usr_bench"}, JWTHeader: &jwt.Headers{}, Username: "bench", Subject: "usr_bench"}
		}
	}
	provider := compose.Compose(config, store, &compose.CommonStrategy{CoreStrategy: strategy},
		compose.OAuth2ResourceOwnerPasswordCredentialsFactory, compose.OAuth2RefreshTokenGrantFactory)
	return loopback.Serve(tokenEndpoint(provider, session))
}

// lockedStore guards the refresh tokens of the storage, which writes to them
// under the wrong mutex when it revokes one (0.49.0: "concurrent map read and
// map write" after some thousand renewals).
type lockedStore struct {
	*storage.MemoryStore
	tokens sync.RWMutex
}

func (s *lockedStore) GetRefreshTokenSession(ctx context.Context, signature string, session fosite.Session) (fosite.Requester, error) {
	s.tokens.RLock()
	defer s.tokens.RUnlock()
	return s.MemoryStore.GetRefreshTokenSession(ctx, signature, session)
}

func (s *lockedStore) CreateRefreshTokenSession(ctx context.Context, signature, access string, request fosite.Requester) error {
	s.tokens.Lock()
	defer s.tokens.Unlock()
	return s.MemoryStore.CreateRefreshTokenSession(ctx, signature, access, request)
}

func (s *lockedStore) RotateRefreshToken(ctx context.Context, request, signature string) error {
	s.tokens.Lock()
	defer s.tokens.Unlock()
	return s.MemoryStore.RotateRefreshToken(ctx, request, signature)
}

func (s *lockedStore) RevokeRefreshToken(ctx context.Context, request string) error {
	s.tokens.Lock()
	defer s.tokens.Unlock()
	return s.MemoryStore.RevokeRefreshToken(ctx, request)
}

func tokenEndpoint(provider fosite.OAuth2Provider, session func() fosite.Session) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		request, err := provider.NewAccessRequest(ctx, r, session())
		if err != nil {
			provider.WriteAccessError(ctx, w, request, err)
			return
		}
		for _, scope := range request.GetRequestedScopes() {
			request.GrantScope(scope)
		}
		response, err := provider.NewAccessResponse(ctx, request)
		if err != nil {
			provider.WriteAccessError(ctx, w, request, err)
			return
		}
		provider.WriteAccessResponse(ctx, w, request, response)
	}
}
