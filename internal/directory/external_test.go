package directory

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

const issuer = "https://id.example.com"

func person(subject, username string, roles ...string) Person {
	return Person{Issuer: issuer, Subject: subject, Provider: "sso", Username: username, Roles: roles}
}

func receive(t *testing.T, d *Directory, p Person) User {
	t.Helper()
	u, err := d.Receive(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func rolesForTests(t *testing.T, d *Directory) {
	t.Helper()
	for _, r := range []string{"admin", "staff", "local"} {
		if err := d.AddRole(t.Context(), r, r+":all"); err != nil {
			t.Fatal(err)
		}
	}
}

// Same names and addresses do not make two people one: not a local user and a
// person, nor two people of one provider or of two.
func TestNobodyBecomesSomebodyElse(t *testing.T) {
	d := newDirectory(newMemory())
	rolesForTests(t, d)
	alice := add(t, d, "alice", "alice-password", "admin")
	email := "alice@example.com"
	seen := map[string]string{alice.ID: "the local user"}
	for _, p := range []Person{
		person("1", "alice"), person("2", "alice"), person("3", "Alice"), person("4", "ａｌｉｃｅ"), person("5", "alice@example.com"), person("6", "alice@sso"),
		{Issuer: "https://other.example", Subject: "1", Provider: "sso", Username: "alice"},
		{Issuer: issuer, Subject: "7", Provider: "sso", Username: "alice", Email: &email},
		{Issuer: issuer, Subject: alice.ID, Provider: "sso", Username: alice.ID},
		person("1 ", "alice"), person("", "alice"),
	} {
		u := receive(t, d, p)
		if who, ok := seen[u.ID]; ok {
			t.Errorf("%+v is %s", p, who)
		}
		seen[u.ID] = p.Subject + " of " + p.Issuer
		if !strings.HasSuffix(u.Name, "@sso") || slices.Contains(u.Roles, "admin") {
			t.Errorf("%+v is the user %q with %v", p, u.Name, u.Roles)
		}
		if again := receive(t, d, p); again.ID != u.ID || again.Name != u.Name {
			t.Errorf("%+v is %s once and %s then", p, u.ID, again.ID)
		}
		if _, err := d.Authenticate(t.Context(), u.Name, ""); err != ErrInvalidCredentials {
			t.Errorf("without a password: %v", err)
		}
	}
	// Nor does a user who is made here later.
	if _, err := d.Add(t.Context(), NewUser{Name: "alice@sso", Password: "a long password"}); !errors.Is(err, ErrExists) {
		t.Errorf("the name of a person: %v", err)
	}
	bob := add(t, d, "bob@sso", "bob-password", "admin")
	if u := receive(t, d, person("8", "bob")); u.ID == bob.ID || u.Name == bob.Name {
		t.Errorf("a person became the local user %s", u.Name)
	}
}

func TestAPasswordOnlyIfAnAdministratorSetsOne(t *testing.T) {
	d := newDirectory(newMemory())
	u := receive(t, d, person("1", "ann"))
	if err := d.SetPassword(t.Context(), u.ID, "a long password"); err != nil {
		t.Fatal(err)
	}
	receive(t, d, person("1", "ann")) // stays set
	if got, err := d.Authenticate(t.Context(), "ann@sso", "a long password"); err != nil || got.ID != u.ID {
		t.Errorf("%v, %v", got.ID, err)
	}
}

// The roles that the provider gave are replaced at each sign-in; those given here stay.
func TestRolesOfProviders(t *testing.T) {
	m := newMemory()
	d := newDirectory(m)
	rolesForTests(t, d)
	id := receive(t, d, person("1", "ann", "staff", "nonsense")).ID
	grant := func(role string) {
		t.Helper()
		if err := d.GrantRole(t.Context(), id, role); err != nil {
			t.Fatal(err)
		}
	}
	step := func(what string, version int64, want ...string) {
		t.Helper()
		u, err := m.UserByID(t.Context(), id)
		if err != nil || !slices.Equal(u.Roles, want) || u.GrantsVersion != version {
			t.Errorf("%s: %v, version %d, %v; want %v, %d", what, u.Roles, u.GrantsVersion, err, want, version)
		}
		if n := int64(len(m.events)); n != version-1 {
			t.Errorf("%s: %d events for version %d", what, n, version)
		}
	}
	step("first sign-in, without a role that there is not", 1, "staff")
	grant("local")
	step("given here", 2, "local", "staff")
	receive(t, d, person("1", "ann", "staff"))
	step("the same again", 2, "local", "staff")
	receive(t, d, person("1", "ann", "admin"))
	step("another from there", 3, "admin", "local")
	receive(t, d, person("1", "ann", "admin", "local"))
	step("what is given here comes from there too", 3, "admin", "local")
	receive(t, d, person("1", "ann"))
	step("nothing from there", 4, "local")
	receive(t, d, person("1", "ann", "staff"))
	grant("staff")
	step("what came from there is given here too", 5, "local", "staff")
	receive(t, d, person("1", "ann"))
	step("and taken back there", 5, "local", "staff")
	receive(t, d, person("1", "ann", "admin"))
	if err := d.DeleteRole(t.Context(), "admin"); err != nil {
		t.Fatal(err)
	}
	receive(t, d, person("1", "ann", "admin"))
	step("a role that is no more", 7, "local", "staff")
}

func TestProfilesOfProviders(t *testing.T) {
	d := newDirectory(newMemory())
	text := func(s string) *string { return &s }
	p := person("1", "ann")
	if u := receive(t, d, p); u.DisplayName != "ann" || u.Email != "" {
		t.Errorf("without a profile: %+v", u)
	}
	for _, c := range []struct {
		name, email *string
		want, mail  string
	}{
		{text("Ann 王"), text("ann@example.com"), "Ann 王", "ann@example.com"},
		{nil, nil, "Ann 王", "ann@example.com"},
		{text("A\x00n\x1b[31mn\n"), text("not an address"), "An[31mn", "ann@example.com"},
		{text("  "), text(""), "An[31mn", ""},
		{text(strings.Repeat("é", 500)), text("a@b.example\r\nBcc: x"), strings.Repeat("é", MaxDisplayName), ""},
		{text("\xff\xfe"), nil, strings.Repeat("é", MaxDisplayName), ""},
	} {
		p.DisplayName, p.Email, p.Username = c.name, c.email, "another"
		receive(t, d, p)
		u, err := d.UserByName(t.Context(), "ann@sso")
		if err != nil || u.DisplayName != c.want || u.Email != c.mail {
			t.Errorf("%q %q, %v, want %q %q", u.DisplayName, u.Email, err, c.want, c.mail)
		}
	}
}

func TestDisabledPeopleStayOut(t *testing.T) {
	d := newDirectory(newMemory())
	rolesForTests(t, d)
	u := receive(t, d, person("1", "ann"))
	if err := d.Disable(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Receive(t.Context(), person("1", "ann", "admin")); err != ErrDisabled {
		t.Errorf("%v", err)
	}
	if u, err := d.User(t.Context(), u.ID); err != nil || len(u.Roles) > 0 {
		t.Errorf("%v, %v", u.Roles, err)
	}
}

// Whoever comes in several tabs at once is one user.
func TestTheSamePersonTwiceAtOnce(t *testing.T) {
	m := newMemory()
	d := newDirectory(m)
	var mu sync.Mutex
	ids := map[string]bool{}
	var work sync.WaitGroup
	for range 32 {
		work.Go(func() {
			u, err := d.Receive(t.Context(), person("1", "ann"))
			mu.Lock()
			defer mu.Unlock()
			if ids[u.ID] = true; err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	if len(ids) != 1 || len(m.users) != 1 {
		t.Errorf("%d users, ids %v", len(m.users), ids)
	}
}

// Whatever a provider calls somebody, there is a good user name for them.
func TestUserNamesOfPeople(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDirectory(newMemory())
		suggested := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "@", "@@", "...", "a b", "ÅNGSTRÖM", "\u200b", "ᏣᎳᎩ", "\xff", "a/../b"})).Draw(rt, "name")
		for _, subject := range []string{"1", "2", "3"} {
			u, err := d.Receive(t.Context(), person(subject, suggested))
			if err != nil {
				rt.Fatal(err)
			}
			if n, err := NormalizeName(u.Name); err != nil || n != u.Name || !strings.HasSuffix(n, "@sso") || n == "@sso" {
				rt.Fatalf("%q becomes %q", suggested, u.Name)
			}
		}
	})
}

func TestReceiveInAnOutage(t *testing.T) {
	m := newMemory()
	d := newDirectory(m)
	outage := errors.New("disk on fire")
	m.fail = outage
	if _, err := d.Receive(t.Context(), person("1", "ann")); !errors.Is(err, outage) {
		t.Errorf("%v", err)
	}
}
