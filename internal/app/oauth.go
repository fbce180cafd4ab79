package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

func (a *App) openOAuth() {
	a.OAuth = oauth.New(oauth.Config{
		Store:        oauth.NewStore(a.documents),
		Sessions:     a.Sessions,
		Throttle:     a.throttle,
		Rand:         rand.Reader,
		Logger:       a.Config.Logger,
		Access:       accessClaims(a.Verifier.ForAnyAudience()),
		Tokens:       a.Keys,
		NativeClient: a.Config.ClientID,
		// A device is started by hand; behind one address there may be an office.
		DeviceStarts: directory.NewThrottle(directory.ThrottleConfig{Clock: a.Config.Clock,
			PerName: 20, PerAddress: 20, MaxDelay: time.Minute, Forgive: 30 * time.Second, ForgiveAddress: 30 * time.Second}),
	})
}

// accessClaims is oauth.Config.Access.
func accessClaims(v *verify.Verifier) func(context.Context, string) (wire.AccessClaims, error) {
	return func(ctx context.Context, raw string) (wire.AccessClaims, error) { return inspected(ctx, v, raw) }
}

func inspected(ctx context.Context, v *verify.Verifier, raw string) (wire.AccessClaims, error) {
	t, err := v.Verify(verify.Inspecting(ctx), raw)
	if errors.Is(err, verify.ErrInvalidToken) {
		return wire.AccessClaims{}, fmt.Errorf("%w: %w", oauth.ErrInactive, err)
	} else if err != nil {
		return wire.AccessClaims{}, err
	}
	var bound *wire.Confirmation
	if key := t.ProofKey(); key != "" {
		bound = &wire.Confirmation{KeyThumbprint: key}
	}
	authTime := int64(0)
	if at := t.AuthTime(); !at.IsZero() {
		authTime = at.Unix()
	}
	return wire.AccessClaims{
		Confirmation: bound,
		ACR:          t.ACR(), AMR: t.AMR(), AuthTime: authTime,
		Issuer: t.Issuer(), Subject: t.Subject(), Audience: strings.Join(t.Audience(), " "), ID: t.ID(), ClientID: t.ClientID(), SessionID: t.SessionID(),
		ExpiresAt: t.ExpiresAt().Unix(), IssuedAt: t.IssuedAt().Unix(),
		Roles: t.Roles(), Scope: strings.Join(t.Permissions(), " "), GrantsVersion: t.GrantsVersion(),
	}, nil
}
