package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// What a user, or somebody with the user's old password, has approved is void when
// the password changes and when the user is signed out everywhere: codes wait for one
// minute and devices for ten, longer than whoever changes a password thinks.
func TestApprovalsDoNotSurvive(t *testing.T) {
	embedded := func(c *app.Config) { c.Directory, c.Authenticator = nil, nil }
	disabled, enabled, name := true, false, "Alice"
	for event, c := range map[string]struct {
		happens  func(*testing.T, *oauthHarness, string) error
		survives bool
	}{
		"new password": {happens: func(t *testing.T, h *oauthHarness, id string) error {
			return h.App.Accounts.SetPassword(t.Context(), accounts.Operator, id, "another-password")
		}},
		"disabled, and enabled again": {happens: func(t *testing.T, h *oauthHarness, id string) error {
			if err := h.App.Accounts.UpdateUser(t.Context(), accounts.Operator, id, directory.Profile{Disabled: &disabled}); err != nil {
				return err
			}
			return h.App.Accounts.UpdateUser(t.Context(), accounts.Operator, id, directory.Profile{Disabled: &enabled})
		}},
		"signed out everywhere": {happens: func(t *testing.T, h *oauthHarness, _ string) error {
			s := h.call(http.DefaultClient, "POST", "/auth/login", `{"username":"alice","password":"alice-password","delivery":"body"}`).tokens()
			h.call(http.DefaultClient, "POST", "/auth/logout", `{"everywhere":true,"refresh_token":"`+s.RefreshToken+`"}`).want(204)
			return nil
		}},
		"all sessions ended by an administrator": {happens: func(t *testing.T, h *oauthHarness, id string) error {
			return accounts.EndSessions(t.Context(), h.App.Sessions, accounts.Operator, id)
		}},
		"signed out here": {survives: true, happens: func(t *testing.T, h *oauthHarness, _ string) error {
			s := h.call(http.DefaultClient, "POST", "/auth/login", `{"username":"alice","password":"alice-password","delivery":"body"}`).tokens()
			h.call(http.DefaultClient, "POST", "/auth/logout", `{"refresh_token":"`+s.RefreshToken+`"}`).want(204)
			return nil
		}},
		"another name": {survives: true, happens: func(t *testing.T, h *oauthHarness, id string) error {
			return h.App.Accounts.UpdateUser(t.Context(), accounts.Operator, id, directory.Profile{DisplayName: &name})
		}},
	} {
		t.Run(event, func(t *testing.T) {
			h := newOAuthHarness(t, embedded)
			u, err := h.App.Directory.Add(t.Context(), directory.NewUser{Name: "alice", Password: "alice-password"})
			if err != nil {
				t.Fatal(err)
			}
			credentials := []string{"username", "alice", "password", "alice-password"}
			code := h.submit(h.authorize(request()).want(200), credentials...).redirected(callback).Get("code")
			device := h.startDevice()
			h.submit(h.enter(device.UserCode).want(200), credentials...).want(200)
			if err := c.happens(t, h, u.ID); err != nil {
				t.Fatal(err)
			}
			if c.survives {
				h.exchange(code).granted()
				h.poll(device).granted()
				return
			}
			h.exchange(code).oauthError(400, "invalid_grant")
			h.poll(device).oauthError(400, "invalid_grant")
			if list, err := h.App.DB.Sessions().List(t.Context(), u.ID, rotation.SessionID{}, 10); err != nil || len(list) != 0 {
				t.Errorf("%d sessions live, %v", len(list), err)
			}
		})
	}
}

// Users of one's own say by a number that what they approved is void.
func TestApprovalsOfUsersElsewhere(t *testing.T) {
	h := newOAuthHarness(t)
	code, device := h.code(request()), h.startDevice()
	h.submit(h.enter(device.UserCode), "username", "alice", "password", "alice").want(200)
	h.People.Change(func(users map[string]sessionUser) {
		u := users["alice"]
		u.Credentials++
		users["alice"] = u
	})
	h.exchange(code).oauthError(400, "invalid_grant")
	h.poll(device).oauthError(400, "invalid_grant")
	h.exchange(h.code(request())).granted() // with the password of now
}

// The sign-in at a provider is approved, too, when it comes back.
func TestApprovalsByAProviderDoNotSurvive(t *testing.T) {
	h := newIDPHarness(t)
	me, _ := h.signIn(h.tab())
	c := h.tab()
	page := h.call(c, "GET", wire.PathAuthorize+"?"+request().Encode(), "").want(200)
	done := h.arrive(c, page.link("Sign in with Company")).want(http.StatusSeeOther)
	if err := accounts.EndSessions(t.Context(), h.App.Sessions, accounts.Operator, me.User.ID); err != nil {
		t.Fatal(err)
	}
	h.exchange(mustURL(done.Header.Get("Location")).Query().Get("code")).oauthError(400, "invalid_grant")
	h.signIn(h.tab()) // anew
}
