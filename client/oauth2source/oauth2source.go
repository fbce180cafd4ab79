// Package oauth2source lets code written for golang.org/x/oauth2 use a session
// of package client: SDKs and HTTP clients that take an oauth2.TokenSource.
//
// It is a package of its own so that package client does not depend on
// golang.org/x/oauth2. Where the choice is free, prefer client.Transport: it
// also renews on a 401, and keeps the token to its origins.
package oauth2source

import (
	"context"

	"golang.org/x/oauth2"

	"github.com/tacet-dev/tacet/client"
)

// New returns src as an [oauth2.TokenSource]. ctx bounds every Token call, as it
// does elsewhere in golang.org/x/oauth2; the renewals themselves are the
// source's. The tokens have no refresh token: nothing but src may present that.
//
// [oauth2.NewClient] and [oauth2.ReuseTokenSource] hold on to a token until ten
// seconds before its end; until then they do not ask src.
func New(ctx context.Context, src *client.Source) oauth2.TokenSource {
	return tokenSource{ctx, src}
}

type tokenSource struct {
	ctx context.Context
	src *client.Source
}

// Token implements [oauth2.TokenSource]. Its errors are those of
// [client.Source.Token].
func (t tokenSource) Token() (*oauth2.Token, error) {
	tok, err := t.src.Token(t.ctx)
	if err != nil {
		return nil, err
	}
	return &oauth2.Token{AccessToken: tok.AccessToken, TokenType: "Bearer", Expiry: tok.ExpiresAt}, nil
}
