package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
)

var directoryTests = map[string]func(*testing.T, Stores){
	"CreateAndFind":            testUserCreate,
	"NamesAreUnique":           testUserUnique,
	"UsersInOrderOfName":       testUsersOrder,
	"UpdateUserIsAtomic":       testUserUpdate,
	"DeleteUser":               testUserDelete,
	"CreateRole":               testRoleCreate,
	"UpdateRoleReachesHolders": testRoleUpdate,
	"DeleteRoleReachesHolders": testRoleDelete,
	"RoleOfThousands":          testRoleOfThousands,
}

func newUser(name string, roles ...string) directory.User {
	return directory.User{ID: "id-" + name, Name: name, DisplayName: name + " 王", Email: name + "@example.org",
		PasswordHash: "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA", Roles: roles, GrantsVersion: 1, Credentials: 3, CreatedAt: start}
}

func userByID(t *testing.T, st Stores, id string) directory.User {
	t.Helper()
	u, err := st.Directory.UserByID(t.Context(), id)
	must(t, err)
	return u
}

func testUserCreate(t *testing.T, st Stores) {
	for _, want := range []directory.User{
		newUser("ann"), newUser("bob", "admin", "viewer"), newUser("王小明", "管理员"), newUser(`o'neil"; --`), newUser("é\u0301 \U0001F98A"),
	} {
		want.Disabled = len(want.Roles) > 0
		must(t, st.Directory.CreateUser(t.Context(), want))
		equal(t, "by id", fmt.Sprint(userByID(t, st, want.ID)), fmt.Sprint(want))
		got, err := st.Directory.UserByName(t.Context(), want.Name)
		must(t, err)
		equal(t, "by name", fmt.Sprint(got), fmt.Sprint(want))
	}
	u := newUser("zoe", "b", "a", "b")
	must(t, st.Directory.CreateUser(t.Context(), u))
	equal(t, "roles are sorted and each is there once", fmt.Sprint(userByID(t, st, u.ID).Roles), "[a b]")
	if _, err := st.Directory.UserByID(t.Context(), "nobody"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("UserByID of nobody: %v", err)
	}
	if _, err := st.Directory.UserByName(t.Context(), "Ann"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("UserByName of another spelling: %v", err)
	}
}

func testUserUnique(t *testing.T, st Stores) {
	must(t, st.Directory.CreateUser(t.Context(), newUser("ann")))
	must(t, st.Directory.CreateUser(t.Context(), newUser("bob")))
	other := newUser("ann", "admin")
	other.ID = "another id"
	if err := st.Directory.CreateUser(t.Context(), other); !errors.Is(err, directory.ErrExists) {
		t.Errorf("same name: %v, want ErrExists", err)
	}
	if _, err := st.Directory.UserByID(t.Context(), other.ID); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("the refused user: %v, want ErrNotFound", err)
	}
	other = newUser("carl")
	other.ID = "id-ann"
	if err := st.Directory.CreateUser(t.Context(), other); !errors.Is(err, directory.ErrExists) {
		t.Errorf("same id: %v, want ErrExists", err)
	}
	err := st.Directory.UpdateUser(t.Context(), "id-bob", func(u *directory.User) ([]events.Event, error) {
		u.Name, u.Roles = "ann", []string{"admin"}
		return []events.Event{{Kind: "renamed", At: start}}, nil
	})
	if !errors.Is(err, directory.ErrExists) {
		t.Errorf("rename to a taken name: %v, want ErrExists", err)
	}
	equal(t, "bob", fmt.Sprint(userByID(t, st, "id-bob")), fmt.Sprint(newUser("bob")))
	equal(t, "events", len(eventKinds(t, st)), 0)
}

func testUserDelete(t *testing.T, st Stores) {
	ann, bob := newUser("ann", "r"), newUser("bob", "r")
	ann.External = directory.External{Issuer: "https://idp.example.com", Subject: "1", Roles: []string{"r"}}
	must(t, st.Directory.CreateRole(t.Context(), directory.Role{Name: "r"}))
	must(t, st.Directory.CreateUser(t.Context(), ann))
	must(t, st.Directory.CreateUser(t.Context(), bob))
	must(t, st.Directory.DeleteUser(t.Context(), ann.ID))
	if err := st.Directory.DeleteUser(t.Context(), ann.ID); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("again: %v, want ErrNotFound", err)
	}
	for by, find := range map[string]func() (directory.User, error){
		"id":   func() (directory.User, error) { return st.Directory.UserByID(t.Context(), ann.ID) },
		"name": func() (directory.User, error) { return st.Directory.UserByName(t.Context(), ann.Name) },
		"provider": func() (directory.User, error) {
			return st.Directory.UserByExternal(t.Context(), ann.External.Issuer, "1")
		},
	} {
		if _, err := find(); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("found by %s: %v", by, err)
		}
	}
	// Those who hold the role are told of a change; the one who is gone is not.
	told := 0
	must(t, st.Directory.UpdateRole(t.Context(), "r", func(r *directory.Role) error { r.Permissions = []string{"a:b"}; return nil }, func(u directory.User) events.Event {
		told++
		return events.Event{Kind: "changed", UserID: u.ID, At: start}
	}))
	equal(t, "told", told, 1)
	ann.ID = "another id"
	must(t, st.Directory.CreateUser(t.Context(), ann)) // name and person are free
	equal(t, "anew", fmt.Sprint(userByID(t, st, ann.ID)), fmt.Sprint(ann))
}

func testUsersOrder(t *testing.T, st Stores) {
	names := []string{"b", "a", "ä", "Z", "aa", "王", "a b", "\U0001F98A"}
	for _, name := range names {
		must(t, st.Directory.CreateUser(t.Context(), newUser(name, "r")))
	}
	slices.Sort(names) // by bytes
	for after := -1; after < len(names); after++ {
		for limit := range 4 {
			from, want := "", names[after+1:]
			if after >= 0 {
				from = names[after]
			}
			list, err := st.Directory.Users(t.Context(), from, limit)
			must(t, err)
			want = want[:min(limit, len(want))]
			if len(list) != len(want) {
				t.Fatalf("Users(%q, %d): %d users, want %q", from, limit, len(list), want)
			}
			for i, u := range list {
				equal(t, "user", fmt.Sprint(u), fmt.Sprint(newUser(want[i], "r")))
			}
		}
	}
}

func testUserUpdate(t *testing.T, st Stores) {
	must(t, st.Directory.CreateUser(t.Context(), newUser("ann", "viewer")))
	boom := errors.New("boom")
	err := st.Directory.UpdateUser(t.Context(), "id-ann", func(u *directory.User) ([]events.Event, error) {
		u.Disabled, u.Roles = true, nil
		return []events.Event{{Kind: "never", At: start}}, boom
	})
	if err != boom {
		t.Errorf("error of change: got %v, want it as it is", err)
	}
	equal(t, "after an error", fmt.Sprint(userByID(t, st, "id-ann")), fmt.Sprint(newUser("ann", "viewer")))

	var want directory.User
	must(t, st.Directory.UpdateUser(t.Context(), "id-ann", func(u *directory.User) ([]events.Event, error) {
		equal(t, "user given to change", fmt.Sprint(*u), fmt.Sprint(newUser("ann", "viewer")))
		u.Name, u.DisplayName, u.Email, u.PasswordHash = "anna", "Anna", "anna@example.org", "$other"
		u.Disabled, u.Roles, u.GrantsVersion = true, []string{"admin", "editor"}, 2
		u.Credentials = 4
		want = *u
		return []events.Event{{Kind: "one", At: start, UserID: u.ID}, {Kind: "two", At: start}}, nil
	}))
	equal(t, "after the change", fmt.Sprint(userByID(t, st, "id-ann")), fmt.Sprint(want))
	if kinds := eventKinds(t, st); !slices.Equal(kinds, []string{"one", "two"}) {
		t.Errorf("events %q", kinds)
	}
	err = st.Directory.UpdateUser(t.Context(), "nobody", func(*directory.User) ([]events.Event, error) {
		t.Error("change was called for nobody")
		return nil, nil
	})
	if !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("UpdateUser of nobody: %v", err)
	}
	err = st.Directory.UpdateUser(t.Context(), "id-ann", func(u *directory.User) ([]events.Event, error) {
		u.ID = "another"
		return []events.Event{{Kind: "never", At: start}}, nil
	})
	if err == nil {
		t.Error("the id of a user was changed")
	}
	equal(t, "events after all", len(eventKinds(t, st)), 2)
}

func grantsChanged(u directory.User) events.Event {
	return events.Event{Kind: fmt.Sprintf("%s %d %v", u.Name, u.GrantsVersion, u.Roles), At: start, UserID: u.ID}
}

func sortedEvents(t *testing.T, st Stores) []string {
	t.Helper()
	kinds := eventKinds(t, st)
	slices.Sort(kinds)
	return kinds
}

func testRoleCreate(t *testing.T, st Stores) {
	must(t, st.Directory.CreateUser(t.Context(), newUser("ann", "editor", "viewer"))) // there is no such role yet
	must(t, st.Directory.CreateRole(t.Context(), directory.Role{Name: "editor", Permissions: []string{"pages:write", "pages:read", "pages:write"}}))
	must(t, st.Directory.CreateRole(t.Context(), directory.Role{Name: "aardvark"}))
	if err := st.Directory.CreateRole(t.Context(), directory.Role{Name: "editor", Permissions: []string{"*"}}); !errors.Is(err, directory.ErrExists) {
		t.Errorf("same name: %v, want ErrExists", err)
	}
	roles, err := st.Directory.Roles(t.Context())
	must(t, err)
	equal(t, "roles", fmt.Sprint(roles), "[{aardvark []} {editor [pages:read pages:write]}]")
	equal(t, "roles of who named the role before there was one", fmt.Sprint(userByID(t, st, "id-ann").Roles), "[viewer]")
	equal(t, "events", len(eventKinds(t, st)), 0)
}

func testRoleUpdate(t *testing.T, st Stores) {
	must(t, st.Directory.CreateRole(t.Context(), directory.Role{Name: "editor"}))
	must(t, st.Directory.CreateRole(t.Context(), directory.Role{Name: "viewer"}))
	for _, u := range []directory.User{newUser("zoe", "editor", "viewer"), newUser("ann", "editor"), newUser("bob", "viewer")} {
		must(t, st.Directory.CreateUser(t.Context(), u))
	}
	must(t, st.Directory.UpdateRole(t.Context(), "editor", func(r *directory.Role) error {
		equal(t, "role given to change", fmt.Sprint(*r), "{editor []}")
		r.Permissions = []string{"pages:write", "pages:read"}
		return nil
	}, grantsChanged))
	must(t, st.Directory.UpdateRole(t.Context(), "editor", func(r *directory.Role) error {
		equal(t, "role given to change", fmt.Sprint(*r), "{editor [pages:read pages:write]}")
		r.Permissions = append(r.Permissions, "页:删")
		return nil
	}, grantsChanged))
	boom := errors.New("boom")
	err := st.Directory.UpdateRole(t.Context(), "editor", func(r *directory.Role) error {
		r.Permissions = nil
		return boom
	}, grantsChanged)
	if err != boom {
		t.Errorf("error of change: got %v, want it as it is", err)
	}
	err = st.Directory.UpdateRole(t.Context(), "nothing", func(*directory.Role) error {
		t.Error("change was called for a role that does not exist")
		return nil
	}, grantsChanged)
	if !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("UpdateRole of nothing: %v, want ErrNotFound", err)
	}
	roles, err := st.Directory.Roles(t.Context())
	must(t, err)
	equal(t, "roles", fmt.Sprint(roles), "[{editor [pages:read pages:write 页:删]} {viewer []}]")
	for id, version := range map[string]int64{"id-zoe": 3, "id-ann": 3, "id-bob": 1} {
		equal(t, "grants version of "+id, userByID(t, st, id).GrantsVersion, version)
	}
	want := []string{"ann 2 [editor]", "ann 3 [editor]", "zoe 2 [editor viewer]", "zoe 3 [editor viewer]"}
	equal(t, "events", fmt.Sprint(sortedEvents(t, st)), fmt.Sprint(want))
}

func testRoleDelete(t *testing.T, st Stores) {
	must(t, st.Directory.CreateRole(t.Context(), directory.Role{Name: "editor", Permissions: []string{"pages:write"}}))
	must(t, st.Directory.CreateRole(t.Context(), directory.Role{Name: "viewer"}))
	for _, u := range []directory.User{newUser("zoe", "editor", "viewer"), newUser("ann", "editor"), newUser("bob", "viewer")} {
		must(t, st.Directory.CreateUser(t.Context(), u))
	}
	if err := st.Directory.DeleteRole(t.Context(), "nothing", grantsChanged); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("DeleteRole of nothing: %v, want ErrNotFound", err)
	}
	must(t, st.Directory.DeleteRole(t.Context(), "editor", grantsChanged))
	if err := st.Directory.DeleteRole(t.Context(), "editor", grantsChanged); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("DeleteRole again: %v, want ErrNotFound", err)
	}
	roles, err := st.Directory.Roles(t.Context())
	must(t, err)
	equal(t, "roles", fmt.Sprint(roles), "[{viewer []}]")
	for id, want := range map[string]string{"id-zoe": "2 [viewer]", "id-ann": "2 []", "id-bob": "1 [viewer]"} {
		u := userByID(t, st, id)
		equal(t, "grants version and roles of "+id, fmt.Sprint(u.GrantsVersion, u.Roles), want)
	}
	equal(t, "events", fmt.Sprint(sortedEvents(t, st)), "[ann 2 [] zoe 2 [viewer]]")
}

// testRoleOfThousands: one edit of a role is one commit, however many hold it.
func testRoleOfThousands(t *testing.T, st Stores) {
	holders := 3_000
	if testing.Short() {
		holders = 500
	}
	must(t, st.Directory.CreateRole(t.Context(), directory.Role{Name: "staff"}))
	var creating sync.WaitGroup
	const together = 64 // so that commits are shared
	for w := range together {
		creating.Go(func() {
			for i := w; i < holders; i += together {
				if err := st.Directory.CreateUser(t.Context(), newUser(fmt.Sprintf("user%05d", i), "staff")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	creating.Wait()

	// Whoever reads meanwhile sees all of it or nothing of it.
	stop, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		for done := false; !done; {
			select {
			case <-stop:
				done = true // and look a last time
			default:
			}
			list, err := st.Directory.Users(t.Context(), "", holders+1)
			if err != nil || len(list) != holders {
				t.Errorf("%d users, %v", len(list), err)
				return
			}
			for _, u := range list {
				if u.GrantsVersion != list[0].GrantsVersion {
					t.Errorf("%s has version %d, %s has %d", u.Name, u.GrantsVersion, list[0].Name, list[0].GrantsVersion)
					return
				}
			}
		}
	}()
	err := st.Directory.UpdateRole(t.Context(), "staff", func(r *directory.Role) error {
		r.Permissions = []string{"doors:open"}
		return nil
	}, grantsChanged)
	close(stop)
	<-read
	must(t, err)

	told := map[string]bool{}
	after := int64(0)
	for len(told) < holders {
		page, err := st.Events.Since(t.Context(), after, 1000)
		must(t, err)
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			if told[e.UserID] || !strings.HasSuffix(e.Kind, " 2 [staff]") {
				t.Fatalf("event %+v", e)
			}
			told[e.UserID], after = true, e.Seq
		}
	}
	equal(t, "holders that were told", len(told), holders)
}
