package accounts_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/storetest"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

var epoch = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

// world is a directory with its sessions in memory.
type world struct {
	*accounts.Accounts
	stores   storetest.Stores
	sessions *session.Service
}

// holders are the users of a directory as sessions see them.
type holders struct {
	session.Directory
	d *directory.Directory
}

func (h holders) User(ctx context.Context, id string) (session.User, error) {
	u, err := h.d.User(ctx, id)
	if err != nil {
		return session.User{}, err
	}
	roles, err := h.d.Roles(ctx)
	return session.User{User: wire.User{ID: u.ID}, Permissions: directory.PermissionsOf(u, roles)}, err
}

func newWorld() *world {
	stores := storetest.Memory()
	clock := func() time.Time { return epoch }
	d := directory.New(directory.Config{Store: stores.Directory, Clock: clock, Rand: rand.Reader, Hash: directory.HashParams{Memory: 64, Time: 1, Threads: 1}})
	s := session.New(session.Config{Store: stores.Sessions, Directory: holders{d: d}, Clock: clock, Rand: rand.Reader, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Lifetimes: session.Lifetimes{Policy: rotation.Policy{Idle: time.Hour}}})
	return &world{accounts.New(d, s), stores, s}
}

func (w *world) addUser(t fataler, name string, roles ...string) string {
	u, err := w.AddUser(context.Background(), accounts.Operator, directory.NewUser{Name: name, Password: "some-password", Roles: roles})
	if err != nil {
		t.Fatal(err)
	}
	return u.ID
}

type fataler interface{ Fatal(...any) }

// startSession puts a living session into the store.
func (w *world) startSession(t fataler, n byte, userID string) rotation.SessionID {
	id := rotation.SessionID{15: n}
	if err := w.stores.Sessions.Create(context.Background(), session.Session{ID: id, UserID: userID, State: rotation.State{HeadAt: epoch, CreatedAt: epoch}}); err != nil {
		t.Fatal(err)
	}
	return id
}

func (w *world) reason(t *testing.T, id rotation.SessionID) string {
	t.Helper()
	s, err := w.stores.Sessions.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return s.End.Reason
}

func TestWhatEndsSessions(t *testing.T) {
	yes, no, name := true, false, "Ann"
	for want, change := range map[string]func(*world, string) error{
		wire.ReasonPassword: func(w *world, id string) error {
			return w.SetPassword(t.Context(), accounts.Operator, id, "another-password")
		},
		wire.ReasonUserDisabled: func(w *world, id string) error {
			return w.UpdateUser(t.Context(), accounts.Operator, id, directory.Profile{Disabled: &yes})
		},
		"": func(w *world, id string) error {
			return errors.Join(w.UpdateUser(t.Context(), accounts.Operator, id, directory.Profile{Disabled: &no, DisplayName: &name}),
				w.AddRole(t.Context(), accounts.Operator, "clerk"), w.GrantRole(t.Context(), accounts.Operator, id, "clerk"),
				w.RevokeRole(t.Context(), accounts.Operator, id, "clerk"))
		},
	} {
		w := newWorld()
		ann, bob := w.addUser(t, "ann"), w.addUser(t, "bob")
		first, second, other := w.startSession(t, 1, ann), w.startSession(t, 2, ann), w.startSession(t, 3, bob)
		if err := change(w, ann); err != nil {
			t.Fatal(err)
		}
		if w.reason(t, first) != want || w.reason(t, second) != want || w.reason(t, other) != "" {
			t.Errorf("ended because of %q and %q, another user's because of %q; want %q", w.reason(t, first), w.reason(t, second), w.reason(t, other), want)
		}
	}
}

// A change whose second half failed is finished by making it again.
func TestDisablingCanBeRepeated(t *testing.T) {
	w, yes := newWorld(), true
	ann := w.addUser(t, "ann")
	disable := func() {
		if err := w.UpdateUser(t.Context(), accounts.Operator, ann, directory.Profile{Disabled: &yes}); err != nil {
			t.Fatal(err)
		}
	}
	disable()
	id := w.startSession(t, 1, ann) // as if it had not been ended
	disable()
	if w.reason(t, id) != wire.ReasonUserDisabled {
		t.Error("the session lives on")
	}
}

func TestOutagesAreToldFromRefusals(t *testing.T) {
	w := newWorld()
	ann := w.addUser(t, "ann")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"password": w.SetPassword(gone, accounts.Operator, ann, "another-password"),
		"user":     second(w.User(gone, ann)),
		"users":    second(w.Users(gone, "", 1)),
		"role":     w.AddRole(gone, accounts.Operator, "clerk"),
		"grant":    w.GrantRole(gone, accounts.Caller(ann, nil), ann, "clerk"),
	} {
		if !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%s: %v is no outage", name, err)
		}
	}
	if err := w.SetPassword(t.Context(), accounts.Operator, ann, "short"); errors.Is(err, session.ErrUnavailable) || !errors.As(err, new(*directory.InvalidError)) {
		t.Errorf("short password: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// permissions are what a user may do by the stored roles, or would if not disabled.
func (w *world) permissions(t fataler, userID string) []string {
	u, err := w.User(context.Background(), userID)
	if err != nil {
		t.Fatal(err)
	}
	roles, err := w.Roles(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return directory.PermissionsOf(u, roles)
}

// administration is what a user may do of it now.
func (w *world) administration(t fataler, userID string) (out []string) {
	u, err := w.User(context.Background(), userID)
	if err != nil {
		t.Fatal(err)
	}
	granted := w.permissions(t, userID)
	for _, p := range wire.AdminPermissions() {
		if !u.Disabled && covered(granted, p) {
			out = append(out, p)
		}
	}
	return out
}

func covered(granted []string, p string) bool {
	return slices.ContainsFunc(granted, func(g string) bool { return wire.Covers(g, p) })
}

// Whatever users, and programs with API keys, do through the API: nobody loses administration
// by their own hand, nobody gets a permission that the one who gave it lacks,
// nobody who has more than the caller is changed, signed out or given a password,
// and somebody is always left who can do everything.
func TestAdministrationNeitherGrowsNorDies(t *testing.T) {
	ctx := context.Background()
	permissions := append(wire.AdminPermissions(), "admin:*", "admin:users:*", "*:roles:*", "*", "*:*:write", "orders:read", "orders:*", "pages:write")
	roleNames := []string{"r0", "r1", "r2", "r3"}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		some := rapid.SliceOfN(rapid.SampledFrom(permissions), 0, 3)
		for _, r := range roleNames {
			if err := w.AddRole(ctx, accounts.Operator, r, some.Draw(t, r)...); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.AddRole(ctx, accounts.Operator, "root", "admin:*"); err != nil {
			t.Fatal(err)
		}
		ids := []string{w.addUser(t, "u0", "root")}
		for i := range 3 {
			ids = append(ids, w.addUser(t, fmt.Sprint("u", i+1), rapid.SliceOfNDistinct(rapid.SampledFrom(roleNames), 0, 2, rapid.ID).Draw(t, "roles")...))
		}
		role := rapid.SampledFrom(append(roleNames, "root"))
		for step := range 12 {
			who := ids[rapid.IntRange(0, len(ids)-1).Draw(t, "caller")]
			target := ids[rapid.IntRange(0, len(ids)-1).Draw(t, "target")]
			before, administered := map[string][]string{}, map[string][]string{}
			for _, id := range ids {
				before[id], administered[id] = w.permissions(t, id), w.administration(t, id)
			}
			mine := before[who]
			by := accounts.Caller(who, mine)
			program := rapid.Bool().Draw(t, "program") // with an API key of the same permissions
			if program {
				by = accounts.Caller("", mine)
			}
			flag := rapid.Bool().Draw(t, "flag")
			var err error
			touches := "" // the user that the call is about
			switch rapid.IntRange(0, 9).Draw(t, "call") {
			case 0:
				touches, err = target, w.GrantRole(ctx, by, target, role.Draw(t, "role"))
			case 1:
				touches, err = target, w.RevokeRole(ctx, by, target, role.Draw(t, "role"))
			case 2:
				touches, err = target, w.UpdateUser(ctx, by, target, directory.Profile{Disabled: &flag})
			case 3:
				err = w.SetPermissions(ctx, by, role.Draw(t, "role"), some.Draw(t, "permissions")...)
			case 4:
				err = w.ChangePermissions(ctx, by, role.Draw(t, "role"), some.Draw(t, "add"), some.Draw(t, "remove"))
			case 5:
				err = w.RemoveRole(ctx, by, role.Draw(t, "role"))
			case 6:
				err = w.AddRole(ctx, by, role.Draw(t, "role"), some.Draw(t, "permissions")...)
			case 7:
				u, e := w.AddUser(ctx, by, directory.NewUser{Name: fmt.Sprint("u", len(ids)), Password: "some-password", Roles: []string{role.Draw(t, "role")}})
				if err = e; err == nil {
					ids = append(ids, u.ID)
				}
			case 8:
				touches, err = target, w.SetPassword(ctx, by, target, "some-password")
			case 9:
				touches, err = target, w.endSession(t, by, byte(step), target)
			}
			escalates := covered(mine, wire.PermissionEscalate)
			for _, id := range ids {
				after := w.permissions(t, id)
				for _, p := range after {
					if !escalates && !covered(before[id], p) && !covered(mine, p) {
						t.Fatalf("%s got %s from a caller who has %v", id, p, mine)
					}
				}
				if err != nil && !slices.Equal(after, before[id]) {
					t.Fatalf("a call that failed (%v) changed %s from %v to %v", err, id, before[id], after)
				}
			}
			if err == nil && !program && !subset(administered[who], w.administration(t, who)) {
				t.Fatalf("the caller had %v and took it from himself: %v", mine, w.permissions(t, who))
			}
			if err == nil && touches != "" && !escalates {
				for _, p := range before[touches] {
					if !covered(mine, p) {
						t.Fatalf("a caller with %v changed one with %v", mine, before[touches])
					}
				}
			}
			if !slices.ContainsFunc(ids, func(id string) bool { return len(w.administration(t, id)) == len(wire.AdminPermissions()) }) {
				t.Fatal("nobody is left who can administrate")
			}
		}
	})
}

// endSession lets by end a session of a user, or all of them.
func (w *world) endSession(t fataler, by accounts.Actor, n byte, userID string) error {
	id := w.startSession(t, n, userID)
	err := accounts.EndSession(context.Background(), w.sessions, by, id)
	if all := accounts.EndSessions(context.Background(), w.sessions, by, userID); fmt.Sprint(all) != fmt.Sprint(err) {
		t.Fatal("one session: ", err, ", all sessions: ", all)
	}
	if s, e := w.stores.Sessions.Get(context.Background(), id); e != nil || s.State.Ended != (err == nil) {
		t.Fatal("the call said ", err, ", the session ", s.End)
	}
	return err
}

// The operator is above the fences, but for the last administrator, whom it takes
// another word to remove.
func TestTheLastAdministratorStaysAlsoForOperators(t *testing.T) {
	yes := true
	takes := map[string]func(*world, accounts.Actor, string) error{
		"disable": func(w *world, by accounts.Actor, id string) error {
			return w.UpdateUser(t.Context(), by, id, directory.Profile{Disabled: &yes})
		},
		"revoke": func(w *world, by accounts.Actor, id string) error { return w.RevokeRole(t.Context(), by, id, "root") },
		"edit": func(w *world, by accounts.Actor, _ string) error {
			return w.SetPermissions(t.Context(), by, "root", "admin:users:*")
		},
		"less": func(w *world, by accounts.Actor, _ string) error {
			return w.ChangePermissions(t.Context(), by, "root", nil, []string{"admin:*"})
		},
		"remove": func(w *world, by accounts.Actor, _ string) error { return w.RemoveRole(t.Context(), by, "root") },
	}
	for name, take := range takes {
		w := newWorld()
		for role, permissions := range map[string]string{"root": "admin:*", "boss": "*", "desk": "admin:users:*"} {
			if err := w.AddRole(t.Context(), accounts.Operator, role, permissions); err != nil {
				t.Fatal(err)
			}
		}
		ann, bob := w.addUser(t, "ann", "root"), w.addUser(t, "bob", "boss", "desk")
		w.addUser(t, "cy", "desk")
		session := w.startSession(t, 1, ann)
		if err := w.UpdateUser(t.Context(), accounts.Operator, bob, directory.Profile{Disabled: &yes}); err != nil {
			t.Fatal(err) // ann is left
		}
		if err := take(w, accounts.Operator, ann); !errors.Is(err, accounts.ErrLastAdmin) {
			t.Errorf("%s: %v, want ErrLastAdmin", name, err)
		}
		if len(w.administration(t, ann)) != len(wire.AdminPermissions()) || w.reason(t, session) != "" {
			t.Errorf("%s: refused, and done all the same", name)
		}
		if err := take(w, accounts.OperatorEvenLast, ann); err != nil || len(w.administration(t, ann)) != 0 && name != "edit" {
			t.Errorf("%s, even the last: %v, left %v", name, err, w.administration(t, ann))
		}
		if err := take(w, accounts.Operator, ann); errors.Is(err, accounts.ErrLastAdmin) {
			t.Errorf("%s: nobody was left before either", name)
		}
	}
}

// Two administrators who take it from each other in the same instant: one is left.
func TestAdministratorsCannotRemoveEachOther(t *testing.T) {
	for range 20 {
		w := newWorld()
		if err := w.AddRole(t.Context(), accounts.Operator, "root", "admin:*"); err != nil {
			t.Fatal(err)
		}
		ann, bob := w.addUser(t, "ann", "root"), w.addUser(t, "bob", "root")
		var both sync.WaitGroup
		for _, pair := range [][2]string{{ann, bob}, {bob, ann}} {
			both.Go(func() { _ = w.RevokeRole(t.Context(), accounts.Caller(pair[0], []string{"admin:*"}), pair[1], "root") })
		}
		both.Wait()
		if len(w.administration(t, ann))+len(w.administration(t, bob)) != len(wire.AdminPermissions()) {
			t.Fatalf("left: ann %v, bob %v", w.administration(t, ann), w.administration(t, bob))
		}
	}
}

func subset(small, large []string) bool {
	return !slices.ContainsFunc(small, func(p string) bool { return !slices.Contains(large, p) })
}
