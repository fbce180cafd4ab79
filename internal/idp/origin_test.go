package idp_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

// failing is a store of links of which calls by name fail.
type failing struct {
	links
	call string
}

type links = session.Links // has a method of its own name

var errDisk = errors.New("disk on fire")

func (f *failing) AddLink(ctx context.Context, l session.Link, before time.Time) error {
	if f.call == "AddLink" {
		return errDisk
	}
	return f.links.AddLink(ctx, l, before)
}

func (f *failing) RemoveLinks(ctx context.Context, ids []rotation.SessionID) error {
	if f.call == "RemoveLinks" {
		return errDisk
	}
	return f.links.RemoveLinks(ctx, ids)
}

func (f *failing) Note(ctx context.Context, n session.NoteKey, until time.Time) error {
	if f.call == "Note" {
		return errDisk
	}
	return f.links.Note(ctx, n, until)
}

func (f *failing) Noted(ctx context.Context, n session.NoteKey) (time.Time, error) {
	if f.call == "Noted" {
		return time.Time{}, errDisk
	}
	return f.links.Noted(ctx, n)
}

// A session that the provider could not end is not handed out.
func TestNoSessionWithoutItsOrigin(t *testing.T) {
	for _, call := range []string{"AddLink", "Noted"} {
		w := newWorld(t)
		a, err := w.signIn()
		must(t, err)
		w.links.call = call
		if _, err := w.sessions.Start(t.Context(), session.SignIn{UserID: a.UserID, Client: session.Client{ID: "web"}, Origin: a.Origin, Contact: contact}); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s fails: %v", call, err)
		}
		if list, err := w.sessions.List(t.Context(), ""); err != nil || len(list) != 0 {
			t.Errorf("%s fails: living sessions %v, %v", call, list, err)
		}
	}
}

// A logout that an outage broke off can be sent again, and then does all of it.
func TestLogoutAfterAnOutage(t *testing.T) {
	for _, call := range []string{"Note", "Noted", "RemoveLinks"} {
		w := newWorld(t)
		id := w.session()
		raw := w.provider.LogoutToken(func(c map[string]any) { c["sub"] = "248289761001" })
		w.links.call = call
		if _, err := w.Logout(t.Context(), "company", raw); !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s fails: %v", call, err)
		}
		w.links.call = ""
		if _, err := w.Logout(t.Context(), "company", raw); err != nil || w.alive(id) {
			t.Errorf("sent again after %s had failed: %v", call, err)
		}
		if _, err := w.Logout(t.Context(), "company", raw); !errors.As(err, new(*idp.InvalidError)) {
			t.Errorf("and again after it was done: %v", err)
		}
	}
}

// Links are kept as long as a session can live, and no longer.
func TestLinksOutliveTheirSessions(t *testing.T) {
	w := newWorld(t)
	first := w.session()
	w.advance(absolute + session.Retention - time.Second)
	w.session()
	count := func() int {
		list, err := documents.All(t.Context(), w.store.Documents, session.KindLink, documents.Query{})
		must(t, err)
		return len(list)
	}
	if n := count(); n != 2 {
		t.Errorf("%d links while the session %s is still known", n, first)
	}
	w.advance(2 * time.Second)
	w.session()
	if n := count(); n != 2 {
		t.Errorf("%d links, want those of the two sessions that may live", n)
	}
}
