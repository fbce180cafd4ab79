package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// addUser adds to the embedded directory and returns the id.
func (h *harness) addUser(name string, roles ...string) string {
	h.Helper()
	u, err := h.App.Directory.Add(h.Context(), directory.NewUser{Name: name, Password: name + "-password", Roles: roles})
	if err != nil {
		h.Fatal(err)
	}
	return u.ID
}

func (h *harness) refused(what, token string, want error) {
	h.Helper()
	if _, err := h.App.Verifier.Verify(h.Context(), token); err != want {
		h.Errorf("%s: %v, want %v", what, err, want)
	}
}

// When the call that ends a session returns, the next request with its token is
// refused, by this process without a look at the store. The background work does
// not even run here.
func TestAnEndedSessionIsRefusedAtOnce(t *testing.T) {
	h := newHarness(t)
	ends := map[string]func(g session.Grant) error{
		"logout": func(g session.Grant) error {
			h.call(http.DefaultClient, "POST", "/auth/logout", `{"refresh_token":"`+g.RefreshToken+`"}`).want(204)
			return nil
		},
		"logout everywhere": func(g session.Grant) error {
			h.call(http.DefaultClient, "POST", "/auth/logout", `{"everywhere":true,"refresh_token":"`+g.RefreshToken+`"}`).want(204)
			return nil
		},
		"end from another device": func(g session.Grant) error {
			h.call(http.DefaultClient, "DELETE", "/auth/sessions/"+g.Session.ID.String(), "", bearer(h.begin("alice").AccessToken)...).want(204)
			return nil
		},
		"admin": func(g session.Grant) error {
			return h.App.Sessions.EndAll(t.Context(), "alice", wire.ReasonEndedByAdmin, rotation.SessionID{})
		},
		"reuse": func(g session.Grant) error {
			next := h.refreshBody(g.RefreshToken).tokens().RefreshToken
			next = h.refreshBody(next).tokens().RefreshToken
			h.refreshBody(next).tokens()
			h.refreshBody(g.RefreshToken).problem(400, wire.CodeInvalidGrant)
			return nil
		},
		"user gone": func(g session.Grant) error {
			h.People.Change(func(u map[string]session.User) { delete(u, "alice") })
			defer h.People.Change(func(u map[string]session.User) { u["alice"] = session.User{User: wire.User{ID: "alice"}} })
			h.refreshBody(g.RefreshToken).problem(400, wire.CodeInvalidGrant)
			return nil
		},
		"ended by another process, then here": func(g session.Grant) error {
			if err := h.elsewhere().Sessions.End(t.Context(), g.Session.ID, wire.ReasonEndedByAdmin); err != nil {
				return err
			}
			return h.App.Sessions.End(t.Context(), g.Session.ID, wire.ReasonSignedOut)
		},
	}
	for name, end := range ends {
		g, bystander := h.begin("alice"), h.begin("bob")
		if got := h.status(g.AccessToken); got != 204 {
			t.Fatalf("%s: status %d before the end", name, got)
		}
		if err := end(g); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := h.status(g.AccessToken); got != 401 {
			t.Errorf("%s: status %d after the end", name, got)
		}
		h.refused(name, g.AccessToken, verify.ErrSessionEnded)
		h.refused(name+", somebody else", bystander.AccessToken, nil)
	}
}

// Also after a restart, as long as a token of the session can live.
func TestWhatEndedStaysEndedAcrossARestart(t *testing.T) {
	h := newHarness(t, withDirectory)
	if err := h.App.Directory.AddRole(t.Context(), "clerk", "orders:read"); err != nil {
		t.Fatal(err)
	}
	ann, ben := h.addUser("ann", "clerk"), h.addUser("ben")
	ended, stale, honest := h.begin(ann), h.begin(ann), h.begin(ben)
	if err := h.App.Sessions.End(t.Context(), ended.Session.ID, wire.ReasonSignedOut); err != nil {
		t.Fatal(err)
	}
	if err := h.App.Directory.RevokeRole(t.Context(), ann, "clerk"); err != nil {
		t.Fatal(err)
	}
	fresh := h.begin(ann)
	check := func(when string) {
		h.refused(when+": ended", ended.AccessToken, verify.ErrSessionEnded)
		h.refused(when+": stale", stale.AccessToken, verify.ErrStaleGrants)
		h.refused(when+": renewed", fresh.AccessToken, nil)
		h.refused(when+": honest", honest.AccessToken, nil)
	}
	check("before")
	cfg := h.App.Config
	if err := h.App.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.App, err = app.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	check("after")
}

// A role that is edited is enforced for all who hold it and nobody else.
func TestChangedGrantsAreEnforcedAtOnce(t *testing.T) {
	h := newHarness(t, withDirectory)
	dir := h.App.Directory
	if err := dir.AddRole(t.Context(), "clerk", "orders:read"); err != nil {
		t.Fatal(err)
	}
	ann, ben := h.addUser("ann", "clerk"), h.addUser("ben")
	for _, c := range []struct {
		name   string
		change func() error
	}{
		{"role edited", func() error { return dir.SetPermissions(t.Context(), "clerk", "orders:read", "orders:write") }},
		{"role taken", func() error { return dir.RevokeRole(t.Context(), ann, "clerk") }},
		{"role given", func() error { return dir.GrantRole(t.Context(), ann, "clerk") }},
		{"role deleted", func() error { return dir.DeleteRole(t.Context(), "clerk") }},
		{"user disabled", func() error { return dir.Disable(t.Context(), ann) }},
	} {
		old, other := h.begin(ann), h.begin(ben)
		if err := c.change(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		h.refused(c.name, old.AccessToken, verify.ErrStaleGrants)
		h.refused(c.name+", somebody else", other.AccessToken, nil)
		if c.name == "user disabled" {
			continue
		}
		// The renewal that a client answers with helps.
		renewed := h.refreshBody(old.RefreshToken).tokens()
		h.refused(c.name+", renewed", renewed.AccessToken, nil)
	}
}
