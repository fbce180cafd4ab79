package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/tacet-dev/tacet/seal"
	"github.com/tacet-dev/tacet/wire/jose"
)

// channel is the agreement for a session; numbers go on where they were.
func (e *Encrypted) channel(ctx context.Context, session string) (*seal.Channel, error) {
	server, err := e.serverKey(ctx)
	if err != nil {
		return nil, err
	}
	name := server.ID() + " " + session
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.channels[name]; c != nil {
		return c, nil
	}
	c, err := e.client.Channel(server, session)
	if err == nil {
		e.channels[name] = c
	}
	return c, err
}

func (e *Encrypted) serverKey(ctx context.Context) (*seal.PublicKey, error) {
	e.mu.Lock()
	known := e.server
	e.mu.Unlock()
	if known != nil {
		return known, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.c.Keys, nil)
	if err != nil {
		return nil, err
	}
	res, err := e.c.Base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("client: the key set at %s responded with %d instead of 200", e.c.Keys, res.StatusCode)
	}
	key, err := seal.ParseJWKS(body)
	if err != nil {
		return nil, err
	}
	if len(e.c.Pins) > 0 && !slices.Contains(e.c.Pins, key.ID()) {
		return nil, fmt.Errorf("client: the server's key for encryption is %s, which is not one of the pins: it was replaced, by its owner or by somebody on the way", key.ID())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server = key
	return key, nil
}

func (e *Encrypted) forgetServer() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server = nil
}

func (e *Encrypted) now() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.c.Clock().Add(e.ahead)
}

// setClock takes the server's time from a Date. That has whole seconds, cut off:
// a little ahead is accepted, behind may be before the server's start.
func (e *Encrypted) setClock(date string) {
	if t, err := http.ParseTime(date); err == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.ahead = t.Add(time.Second).Sub(e.c.Clock())
	}
}

// sessionOf is the sid of a token: only looked at, whether it is true is the
// server's business.
func sessionOf(token string) string {
	var claims struct {
		SessionID string `json:"sid"`
	}
	_ = json.Unmarshal(jose.UnverifiedPayload(token), &claims) // of another kind of token, there is none
	return claims.SessionID
}
