package bounded

import (
	"context"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

type links struct {
	next                                 session.Links
	add, find, remove, each, note, noted *operation
}

// Links bounds a store of links.
func (c *Config) Links(next session.Links) session.Links {
	return &links{next, c.brief("links.create"), c.brief("links.find"), c.brief("links.delete"), c.brief("links.list"),
		c.brief("notes.create"), c.brief("notes.find")}
}

// AddLink is session.Links.
func (l *links) AddLink(ctx context.Context, link session.Link, before time.Time) error {
	return run(ctx, l.add, func(ctx context.Context) error { return l.next.AddLink(ctx, link, before) })
}

// Links is session.Links.
func (l *links) Links(ctx context.Context, issuer, subject, sid string, limit int) ([]session.Link, error) {
	return do(ctx, l.find, func(ctx context.Context) ([]session.Link, error) {
		return l.next.Links(ctx, issuer, subject, sid, limit)
	})
}

// RemoveLinks is session.Links.
func (l *links) RemoveLinks(ctx context.Context, ids []rotation.SessionID) error {
	return run(ctx, l.remove, func(ctx context.Context) error { return l.next.RemoveLinks(ctx, ids) })
}

// EachLink is session.Links.
func (l *links) EachLink(ctx context.Context, after rotation.SessionID, limit int) ([]session.Link, error) {
	return do(ctx, l.each, func(ctx context.Context) ([]session.Link, error) { return l.next.EachLink(ctx, after, limit) })
}

// Note is session.Links.
func (l *links) Note(ctx context.Context, n session.NoteKey, until, before time.Time) error {
	return run(ctx, l.note, func(ctx context.Context) error { return l.next.Note(ctx, n, until, before) })
}

// Noted is session.Links.
func (l *links) Noted(ctx context.Context, n session.NoteKey) (time.Time, error) {
	return do(ctx, l.noted, func(ctx context.Context) (time.Time, error) { return l.next.Noted(ctx, n) })
}
