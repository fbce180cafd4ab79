package session

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/rotation"
)

// Kinds of documents and their indexes.
const (
	KindLink  = "session_link" // its key is the session
	bySubject = "subject"      // the issuer and its subject
	bySID     = "sid"          // the issuer and its session
	byAge     = "at"           // milliseconds in 16 hexadecimal digits

	kindNote = "note" // its key is the NoteKey in hexadecimal
)

// sweptLinks bounds how many old links one AddLink deletes.
const sweptLinks = 16

// NewLinks returns Links on documents.
func NewLinks(d documents.Store) Links { return links{d} }

type links struct{ documents.Store }

type storedLink struct {
	Issuer  string `json:"iss"`
	Subject string `json:"sub"`
	SID     string `json:"sid,omitempty"`
	At      int64  `json:"at"` // milliseconds
}

// both are two things as one value; no issuer has a space in it.
func both(issuer, what string) string {
	if what == "" {
		return ""
	}
	return issuer + " " + what
}

func age(at time.Time) string { return fmt.Sprintf("%016x", max(at.UnixMilli(), 0)) }

func encodeLink(l Link) documents.Document {
	return documents.Encode(KindLink, l.Session.String(), storedLink{l.Issuer, l.Subject, l.SID, l.At.UnixMilli()},
		documents.Value{Index: bySubject, Value: both(l.Issuer, l.Subject)},
		documents.Value{Index: bySID, Value: both(l.Issuer, l.SID)},
		documents.Value{Index: byAge, Value: age(l.At)})
}

func decodeLink(d documents.Document) (l Link, err error) {
	var s storedLink
	if err := d.Decode(&s); err != nil {
		return l, err
	}
	l = Link{Origin: Origin{Issuer: s.Issuer, Subject: s.Subject, SID: s.SID}, At: time.UnixMilli(s.At).UTC()}
	l.Session, err = rotation.ParseSessionID(d.Key)
	return l, err
}

func (st links) AddLink(ctx context.Context, l Link, before time.Time) error {
	return st.Update(ctx, documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		old, err := tx.List(ctx, KindLink, documents.Query{Index: byAge, Limit: 1})
		if err == nil && len(old) > 0 && isOld(old[0], before) {
			old, err = tx.List(ctx, KindLink, documents.Query{Index: byAge, Limit: sweptLinks})
		}
		for _, d := range old {
			if isOld(d, before) {
				tx.Delete(d)
			}
		}
		tx.Put(encodeLink(l))
		return err
	})
}

func isOld(d documents.Document, before time.Time) bool {
	l, err := decodeLink(d)
	return err == nil && l.At.Before(before)
}

func (st links) Links(ctx context.Context, issuer, subject, sid string, limit int) (list []Link, err error) {
	q := documents.Query{Index: bySubject, Equal: both(issuer, subject), Limit: limit}
	if sid != "" {
		q.Index, q.Equal = bySID, both(issuer, sid)
	}
	if q.Equal == "" {
		return nil, nil
	}
	found, err := st.List(ctx, KindLink, q)
	for _, d := range found {
		l, err := decodeLink(d)
		if err != nil {
			return nil, err
		}
		if subject == "" || l.Subject == subject { // a session of a provider has one user
			list = append(list, l)
		}
	}
	return list, err
}

func (st links) RemoveLinks(ctx context.Context, ids []rotation.SessionID) error {
	return st.Update(ctx, documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		for _, id := range ids {
			d, err := tx.Get(ctx, KindLink, id.String())
			switch {
			case err == nil:
				tx.Delete(d)
			case !errors.Is(err, documents.ErrNotFound):
				return err
			}
		}
		return nil
	})
}

func (st links) Note(ctx context.Context, n NoteKey, until time.Time) error {
	next := documents.Document{Kind: kindNote, Key: hex.EncodeToString(n[:]), Expires: until}
	return st.Update(ctx, documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		d, err := tx.Get(ctx, kindNote, next.Key)
		switch {
		case errors.Is(err, documents.ErrNotFound):
			tx.Put(next)
		case err != nil:
			return err
		case d.Expires.Before(until):
			tx.Put(d.With(next))
		}
		return nil
	})
}

func (st links) Noted(ctx context.Context, n NoteKey) (until time.Time, err error) {
	d, err := st.Get(ctx, kindNote, hex.EncodeToString(n[:]))
	if errors.Is(err, documents.ErrNotFound) {
		return time.Time{}, nil
	}
	return d.Expires, err
}
