package idp

import (
	"context"
	"time"
)

// Probe says why nobody could sign in at a provider now, as far as that can be
// seen without a person: its metadata and its keys.
func Probe(ctx context.Context, s Settings) error {
	p := newProvider(s, nil, time.Now, "")
	k, err := p.discover(ctx)
	if err != nil {
		return err
	}
	if err := k.keys.read(ctx); err != nil {
		return &DownError{p.Name, err}
	}
	return nil
}
