package accounts_test

import (
	"errors"
	"testing"

	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/wire"
)

func TestARemovedUserIsGoneWithTheSessions(t *testing.T) {
	w := newWorld()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.AddRole(t.Context(), accounts.Operator, "root", "admin:*"))
	root, ann, bob := w.addUser(t, "root", "root"), w.addUser(t, "ann"), w.addUser(t, "bob")
	anns, bobs := w.startSession(t, 1, ann), w.startSession(t, 2, bob)
	must(w.RemoveUser(t.Context(), accounts.Operator, ann))
	if w.reason(t, anns) != wire.ReasonUserDisabled || w.reason(t, bobs) != "" {
		t.Errorf("ended because of %q, another user's because of %q", w.reason(t, anns), w.reason(t, bobs))
	}
	if _, err := w.UserByName(t.Context(), "ann"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("ann is still there: %v", err)
	}
	if err := w.RemoveUser(t.Context(), accounts.Operator, ann); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("again: %v", err)
	}
	w.addUser(t, "ann") // the name is free

	// The fences are those of every other change.
	clerk := accounts.Caller(bob, []string{wire.PermissionUsersWrite})
	if err := w.RemoveUser(t.Context(), clerk, bob); !errors.As(err, new(*accounts.OwnError)) {
		t.Errorf("oneself: %v", err)
	}
	if err := w.RemoveUser(t.Context(), clerk, root); !errors.As(err, new(*accounts.AboveError)) {
		t.Errorf("somebody above: %v", err)
	}
	if err := w.RemoveUser(t.Context(), accounts.Operator, root); !errors.Is(err, accounts.ErrLastAdmin) {
		t.Errorf("the last administrator: %v", err)
	}
	must(w.RemoveUser(t.Context(), accounts.OperatorEvenLast, root))
}
