package storetest

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

type memoryLinks struct{ *memory }

func (m memoryLinks) AddLink(ctx context.Context, l session.Link, before time.Time) error {
	return m.locked(ctx, func() error {
		maps.DeleteFunc(m.links, func(_ rotation.SessionID, l session.Link) bool { return l.At.Before(before) })
		l.At, l.Vouched = stored(l.At), time.Time{}
		m.links[l.Session] = l
		return nil
	})
}

func (m memoryLinks) find(ctx context.Context, limit int, is func(session.Link) bool) (list []session.Link, err error) {
	err = m.locked(ctx, func() error {
		for _, l := range m.links {
			if is(l) {
				list = append(list, l)
			}
		}
		slices.SortFunc(list, func(a, b session.Link) int { return bytes.Compare(a.Session[:], b.Session[:]) })
		return nil
	})
	return firstN(list, limit), err
}

func (m memoryLinks) Links(ctx context.Context, issuer, subject, sid string, limit int) ([]session.Link, error) {
	return m.find(ctx, limit, func(l session.Link) bool {
		return l.Issuer == issuer && (subject == "" || l.Subject == subject) && (sid == "" || l.SID == sid)
	})
}

func (m memoryLinks) EachLink(ctx context.Context, after rotation.SessionID, limit int) ([]session.Link, error) {
	return m.find(ctx, limit, func(l session.Link) bool { return bytes.Compare(l.Session[:], after[:]) > 0 })
}

func (m memoryLinks) RemoveLinks(ctx context.Context, ids []rotation.SessionID) error {
	return m.locked(ctx, func() error {
		for _, id := range ids {
			delete(m.links, id)
		}
		return nil
	})
}

func (m memoryLinks) Note(ctx context.Context, n session.NoteKey, until, before time.Time) error {
	return m.locked(ctx, func() error {
		maps.DeleteFunc(m.notes, func(_ session.NoteKey, u time.Time) bool { return u.Before(before) })
		if until = stored(until); until.After(m.notes[n]) {
			m.notes[n] = until
		}
		return nil
	})
}

func (m memoryLinks) Noted(ctx context.Context, n session.NoteKey) (until time.Time, err error) {
	err = m.locked(ctx, func() error {
		until = m.notes[n]
		return nil
	})
	return until, err
}
