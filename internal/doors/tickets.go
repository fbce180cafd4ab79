package doors

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

const (
	kindTicket   = "ticket" // its key is hashed
	ticketPrefix = "tacet_st_"
	ticketLife   = time.Minute
)

// ticket is a session that waits for its browser.
type ticket struct {
	UserID      string
	Credentials int64 // of the user when it was issued
	ClientID    string
	Details     string // session.Details, encoded
}

// issue makes a ticket for a sign-in.
func (d *Doors) issue(ctx context.Context, in session.SignIn) (string, error) {
	raw := ticketPrefix + rand.Text()
	doc := documents.Encode(kindTicket, hashed(raw), ticket{in.UserID, in.Credentials, in.Client.ID, in.Details.Encode()})
	doc.Expires = d.Sessions.Now().Add(ticketLife)
	err := d.Store.Update(ctx, documents.Loose, func(_ context.Context, tx documents.Tx) error {
		tx.Put(doc)
		return nil
	})
	if err != nil {
		return "", unavailable(err)
	}
	return raw, nil
}

// take takes a ticket away, so that nobody else can redeem it. The error is
// errTicket, or wraps session.ErrUnavailable.
func (d *Doors) take(ctx context.Context, raw string) (t ticket, err error) {
	err = d.Store.Update(ctx, documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		doc, err := tx.Get(ctx, kindTicket, hashed(raw))
		if err != nil {
			return err
		}
		tx.Delete(doc)
		return doc.Decode(&t)
	})
	if errors.Is(err, documents.ErrNotFound) {
		return t, errTicket
	}
	if err != nil {
		return t, unavailable(err)
	}
	return t, nil
}

// signInWithTicket is httpapi.Wing.SignInWithTicket. A ticket is gone when it is
// redeemed, also if no session comes of it.
func (d *Doors) signInWithTicket(ctx context.Context, raw string, in session.SignIn) (session.Grant, error) {
	t, err := d.take(ctx, raw)
	if err != nil {
		return session.Grant{}, err
	}
	in.UserID, in.Credentials, in.Client = t.UserID, t.Credentials, session.Client{ID: t.ClientID}
	if in.Details, err = session.DecodeDetails(t.Details); err != nil {
		return session.Grant{}, unavailable(err)
	}
	g, err := d.start(ctx, in)
	if errors.Is(err, session.ErrNoUser) {
		return session.Grant{}, errTicket
	}
	return g, err
}

// errTicket is the one refusal of tickets: unknown, used, late, or of a user who has
// gone or has a new password.
var errTicket = &problem.Problem{Status: http.StatusBadRequest, Code: wire.CodeInvalidTicket,
	Title:  problem.Text{EN: "Sign-in failed", ZH: "登录失败"},
	Detail: problem.Text{EN: "The ticket is not valid, or not any more: it is good once, for a minute. Ask the application for a new one.", ZH: "票据无效或已失效：票据仅可在一分钟内使用一次，请向应用重新获取。"}}
