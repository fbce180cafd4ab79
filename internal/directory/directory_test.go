package directory

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

func TestAuthenticate(t *testing.T) {
	m := newMemory()
	d := newDirectory(m)
	alice := add(t, d, "Alice", "alice-password")
	gone := add(t, d, "gone", "gone-password")
	if err := d.Disable(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Alice", "alice", " ALICE ", "ａｌｉｃｅ"} {
		u, err := d.Authenticate(t.Context(), name, "alice-password")
		if err != nil || u.ID != alice.ID {
			t.Errorf("%q: %v, %v", name, u.ID, err)
		}
		if u.PasswordHash != "" {
			t.Errorf("%q: the hash is handed out", name)
		}
	}
	for name, c := range map[string][2]string{
		"wrong password":    {"alice", "alice-passwore"},
		"empty password":    {"alice", ""},
		"unknown name":      {"nobody", "alice-password"},
		"impossible name":   {"no body", "alice-password"},
		"empty name":        {"", "alice-password"},
		"disabled":          {"gone", "gone-password"},
		"too long password": {"alice", "alice-password" + strings.Repeat("x", MaxPassword)},
		"not UTF-8":         {"alice\xff", "\xff"},
	} {
		if u, err := d.Authenticate(t.Context(), c[0], c[1]); err != ErrInvalidCredentials || u.ID != "" {
			t.Errorf("%s: %v, %v", name, u.ID, err)
		}
	}
	outage := errors.New("disk on fire")
	m.fail = outage
	if _, err := d.Authenticate(t.Context(), "alice", "alice-password"); !errors.Is(err, outage) {
		t.Errorf("an outage looks like %v", err)
	}
}

// Every effective change of grants moves the version by one and leaves one
// event; a change that changes nothing does neither.
func TestGrantsVersionMovesWithEveryEffectiveChange(t *testing.T) {
	m := newMemory()
	d := newDirectory(m)
	ctx := t.Context()
	if err := errors.Join(d.AddRole(ctx, "clerk", "orders:read"), d.AddRole(ctx, "admin", "*"), d.AddRole(ctx, "empty")); err != nil {
		t.Fatal(err)
	}
	u := add(t, d, "alice", "alice-password", "clerk")
	steps := []struct {
		name        string
		do          func() error
		moves       bool
		permissions string
	}{
		{"grant a role", func() error { return d.GrantRole(ctx, u.ID, "admin") }, true, "* orders:read"},
		{"grant it again", func() error { return d.GrantRole(ctx, u.ID, "admin") }, false, "* orders:read"},
		{"revoke a role", func() error { return d.RevokeRole(ctx, u.ID, "admin") }, true, "orders:read"},
		{"revoke it again", func() error { return d.RevokeRole(ctx, u.ID, "admin") }, false, "orders:read"},
		{"a held role gets more", func() error { return d.ChangePermissions(ctx, "clerk", []string{"orders:list"}, nil) }, true, "orders:list orders:read"},
		{"it gets the same again", func() error { return d.ChangePermissions(ctx, "clerk", []string{"orders:list"}, nil) }, false, "orders:list orders:read"},
		{"it loses one", func() error { return d.ChangePermissions(ctx, "clerk", nil, []string{"orders:read"}) }, true, "orders:list"},
		{"it loses what it has not", func() error { return d.ChangePermissions(ctx, "clerk", nil, []string{"orders:read"}) }, false, "orders:list"},
		{"it is set", func() error { return d.SetPermissions(ctx, "clerk", "b:x", "a:x", "b:x") }, true, "a:x b:x"},
		{"it is set to the same", func() error { return d.SetPermissions(ctx, "clerk", "a:x", "b:x") }, false, "a:x b:x"},
		{"another role changes", func() error { return d.SetPermissions(ctx, "admin", "users:*") }, false, "a:x b:x"},
		{"the last permission goes", func() error { return d.SetPermissions(ctx, "clerk") }, true, ""},
		{"it is deleted", func() error { return d.DeleteRole(ctx, "clerk") }, true, ""},
		{"one nobody holds is deleted", func() error { return d.DeleteRole(ctx, "empty") }, false, ""},
		{"a new password", func() error { return d.SetPassword(ctx, u.ID, "another-password") }, false, ""},
	}
	version := int64(1)
	for _, s := range steps {
		seen := len(m.events)
		if err := s.do(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		want := 0
		if s.moves {
			version++
			want = 1
		}
		ev := m.events[seen:]
		if len(ev) != want {
			t.Fatalf("%s: %d events, want %d", s.name, len(ev), want)
		}
		if want == 1 && (ev[0].Kind != wire.EventGrantsChanged || ev[0].UserID != u.ID || ev[0].At != epoch) {
			t.Errorf("%s: event %+v", s.name, ev[0])
		}
		g, err := d.Grants(ctx, u.ID)
		if err != nil || g.Version != version || g.Scope != s.permissions {
			t.Errorf("%s: grants %+v, %v; want version %d, %q", s.name, g, err, version, s.permissions)
		}
	}
}

func TestDisabledUsersHaveNoGrants(t *testing.T) {
	m := newMemory()
	d := newDirectory(m)
	u := add(t, d, "alice", "alice-password")
	if _, err := d.Grants(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	if err := d.Disable(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Grants(t.Context(), u.ID); !errors.Is(err, ErrDisabled) {
		t.Errorf("disabled: %v", err)
	}
	if len(m.events) != 1 {
		t.Errorf("%d events for disabling, want 1", len(m.events))
	}
	if err := d.Enable(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	if g, err := d.Grants(t.Context(), u.ID); err != nil || g.Version != 3 {
		t.Errorf("enabled again: %+v, %v", g, err)
	}
	if _, err := d.Grants(t.Context(), "usr_nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown: %v", err)
	}
}

// What was loaded before a change must not be served after it.
func TestGrantsLoadedBeforeAChangeAreNotKept(t *testing.T) {
	m := newMemory()
	d := newDirectory(m)
	ctx := t.Context()
	if err := d.AddRole(ctx, "admin", "*"); err != nil {
		t.Fatal(err)
	}
	u := add(t, d, "alice", "alice-password", "admin")
	m.onRead = func() { // between the load and its way into the cache
		m.onRead = nil
		if err := d.RevokeRole(ctx, u.ID, "admin"); err != nil {
			t.Error(err)
		}
	}
	if _, err := d.Grants(ctx, u.ID); err != nil {
		t.Fatal(err)
	}
	g, err := d.Grants(ctx, u.ID)
	if err != nil || len(g.Roles) != 0 || g.Version != 2 {
		t.Errorf("stale grants are served: %+v, %v", g, err)
	}
	reads := m.reads
	if _, err := d.Grants(ctx, u.ID); err != nil || m.reads != reads {
		t.Errorf("grants are not served from memory: %d reads, %v", m.reads-reads, err)
	}
}

func TestBadInputIsNamed(t *testing.T) {
	d := newDirectory(newMemory())
	ctx := t.Context()
	if err := d.AddRole(ctx, "clerk"); err != nil {
		t.Fatal(err)
	}
	u := add(t, d, "alice", "alice-password")
	good := NewUser{Name: "bob", Password: "bob-password"}
	with := func(change func(*NewUser)) error {
		n := good
		change(&n)
		_, err := d.Add(ctx, n)
		return err
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{with(func(n *NewUser) { n.Name = "" }), "must not be empty"},
		{with(func(n *NewUser) { n.Name = "two words" }), `must not contain ' '`},
		{with(func(n *NewUser) { n.Name = strings.Repeat("x", MaxName+1) }), "at most 128"},
		{with(func(n *NewUser) { n.Name = "ALICE" }), `there is a user "alice" already`},
		{with(func(n *NewUser) { n.Password = "1234567" }), "has 7 characters, at least 8"},
		{with(func(n *NewUser) { n.Password = strings.Repeat("x", MaxPassword+1) }), "at most 1024"},
		{with(func(n *NewUser) { n.Email = "bob" }), "name@example.com"},
		{with(func(n *NewUser) { n.DisplayName = "a\nb" }), "control characters"},
		{with(func(n *NewUser) { n.Roles = []string{"clerk", "boss"} }), `no role "boss", only clerk`},
		{d.SetPassword(ctx, u.ID, "short"), "at least 8"},
		{d.SetPassword(ctx, "usr_x", "long enough"), "not found"},
		{d.GrantRole(ctx, u.ID, "boss"), `no role "boss"`},
		{d.AddRole(ctx, "clerk"), `a role "clerk" already`},
		{d.AddRole(ctx, "two words"), "letters, digits"},
		{d.AddRole(ctx, ""), "1 to 64"},
		{d.AddRole(ctx, "r", "orders read"), `"orders read" must be segments`},
		{d.AddRole(ctx, "r", "orders::read"), "empty segment"},
		{d.AddRole(ctx, "r", ""), "empty"},
		{d.AddRole(ctx, "r", "orders:re*d"), "or * for any segment"},
		{d.SetPermissions(ctx, "boss", "a:b"), `no role "boss", only clerk`},
		{d.SetPermissions(ctx, "clerk", "a b"), `"a b" must be`},
		{d.DeleteRole(ctx, "boss"), `no role "boss", only clerk`},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("error %v does not say %q", c.err, c.want)
		}
	}
	if roles, _ := d.Roles(ctx); len(roles) != 1 {
		t.Errorf("a refused role was stored: %v", roles)
	}
	users, err := d.List(ctx, "", 10)
	if err != nil || !slices.EqualFunc(users, []string{"alice"}, func(u User, name string) bool { return u.Name == name && u.PasswordHash == "" }) {
		t.Errorf("users: %v, %v", users, err)
	}
}

func BenchmarkGrants(b *testing.B) {
	m := newMemory()
	d := newDirectory(m)
	if err := d.AddRole(b.Context(), "admin", "*"); err != nil {
		b.Fatal(err)
	}
	u, err := d.Add(b.Context(), NewUser{Name: "alice", Password: "alice-password", Roles: []string{"admin"}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Grants(b.Context(), u.ID); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuthenticateAtDefaultCost(b *testing.B) {
	d := New(Config{Store: newMemory(), Clock: func() time.Time { return epoch }, Rand: rand.Reader})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Authenticate(b.Context(), "nobody", "alice-password"); err != ErrInvalidCredentials {
			b.Fatal(err)
		}
	}
}
