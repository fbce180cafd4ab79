package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// TestEndsAndTheirReasonsAreLogged once each.
func TestEndsAndTheirReasonsAreLogged(t *testing.T) {
	var log bytes.Buffer
	a, err := Open(t.Context(), Config{PublicURL: "http://localhost", DataDir: sqlitetest.Dir(t), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	defer a.Close()
	u, err := a.Accounts.AddUser(t.Context(), accounts.Operator, directory.NewUser{Name: "ann", Password: "some-password"})
	must(t, err)
	begin := func() rotation.SessionID {
		g, err := a.Sessions.Start(t.Context(), session.SignIn{UserID: u.ID})
		must(t, err)
		return g.Session.ID
	}
	want := func(reason string, ids ...rotation.SessionID) {
		t.Helper()
		for _, id := range ids {
			line := "event=" + wire.EventSessionEnded + " session=" + id.String() + " user=" + u.ID + " reason=" + reason
			if n := strings.Count(log.String(), line); n != 1 {
				t.Errorf("%q is %d times in the log:\n%s", line, n, log.String())
			}
		}
	}
	id := begin()
	must(t, a.Sessions.End(t.Context(), id, wire.ReasonSignedOut))
	want(wire.ReasonSignedOut, id)
	first, second := begin(), begin()
	must(t, a.Accounts.SetPassword(t.Context(), accounts.Operator, u.ID, "another-password"))
	want(wire.ReasonPassword, first, second)
}
