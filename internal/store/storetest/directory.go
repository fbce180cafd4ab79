package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
)

var directoryTests = map[string]func(*testing.T, Stores){
	"CreateAndFind":            testUserCreate,
	"NamesAreUnique":           testUserUnique,
	"UsersInOrderOfName":       testUsersOrder,
	"UpdateUserIsAtomic":       testUserUpdate,
	"UpdateRoleReachesHolders": testRoleUpdate,
}

func newUser(name string, roles ...string) directory.User {
	return directory.User{ID: "id-" + name, Name: name, DisplayName: name + " 王", Email: name + "@example.org",
		PasswordHash: "$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA", Roles: roles, GrantsVersion: 1, CreatedAt: start}
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

func testRoleUpdate(t *testing.T, st Stores) {
	for _, u := range []directory.User{newUser("zoe", "editor", "viewer"), newUser("ann", "editor"), newUser("bob", "viewer")} {
		must(t, st.Directory.CreateUser(t.Context(), u))
	}
	changed := func(u directory.User) events.Event {
		return events.Event{Kind: fmt.Sprintf("%s %d %v", u.Name, u.GrantsVersion, u.Roles), At: start, UserID: u.ID}
	}
	must(t, st.Directory.UpdateRole(t.Context(), "editor", func(r *directory.Role) error {
		equal(t, "new role", fmt.Sprint(*r), "{editor []}")
		r.Permissions = []string{"pages:write", "pages:read"}
		return nil
	}, changed))
	must(t, st.Directory.UpdateRole(t.Context(), "aardvark", func(*directory.Role) error { return nil }, changed))
	must(t, st.Directory.UpdateRole(t.Context(), "editor", func(r *directory.Role) error {
		equal(t, "role given to change", fmt.Sprint(*r), "{editor [pages:read pages:write]}")
		r.Permissions = append(r.Permissions, "页:删")
		return nil
	}, changed))
	boom := errors.New("boom")
	err := st.Directory.UpdateRole(t.Context(), "editor", func(r *directory.Role) error {
		r.Permissions = nil
		return boom
	}, changed)
	if err != boom {
		t.Errorf("error of change: got %v, want it as it is", err)
	}
	roles, err := st.Directory.Roles(t.Context())
	must(t, err)
	equal(t, "roles", fmt.Sprint(roles), "[{aardvark []} {editor [pages:read pages:write 页:删]}]")
	for id, version := range map[string]int64{"id-zoe": 3, "id-ann": 3, "id-bob": 1} {
		equal(t, "grants version of "+id, userByID(t, st, id).GrantsVersion, version)
	}
	kinds := eventKinds(t, st)
	slices.Sort(kinds)
	want := []string{"ann 2 [editor]", "ann 3 [editor]", "zoe 2 [editor viewer]", "zoe 3 [editor viewer]"}
	if !slices.Equal(kinds, want) {
		t.Errorf("events %q, want %q", kinds, want)
	}
}
