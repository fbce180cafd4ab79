package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

var linkTests = map[string]func(*testing.T, Stores){
	"FindLinks":       testLinksFind,
	"RemoveLinks":     testLinksRemove,
	"OldLinksAreGone": testLinksSweep,
	"Notes":           testNotes,
	"ExternalUsers":   testExternalUsers,
	"LinksReopen":     testLinksReopen,
}

const idp = "https://id.example.com"

func newLink(n int, issuer, subject, sid string) session.Link {
	return session.Link{Session: sessionID(n), At: start.Add(time.Duration(n) * time.Minute),
		Origin: session.Origin{Issuer: issuer, Subject: subject, SID: sid}}
}

// Vouched is not stored with links, so the links of these tests have none.
func addLinks(t *testing.T, st Stores, list ...session.Link) {
	t.Helper()
	for _, l := range list {
		must(t, st.Links.AddLink(t.Context(), l, time.Time{}.Add(time.Hour)))
	}
}

func testLinksFind(t *testing.T, st Stores) {
	list := []session.Link{
		1: newLink(1, idp, "ann", "s1"), 2: newLink(2, idp, "ann", "s2"), 3: newLink(3, idp, "ann", ""), 4: newLink(4, idp, "bob", "s1"),
		5: newLink(5, "https://other.example", "ann", "s1"), 6: newLink(6, idp, "Ann", "S1"), 7: newLink(7, idp, "王 'x'", `s"7`),
	}
	addLinks(t, st, list[1:]...)
	for _, c := range []struct {
		issuer, subject, sid string
		limit                int
		want                 []int
	}{
		{idp, "ann", "", 10, []int{1, 2, 3}},
		{idp, "ann", "", 2, []int{1, 2}},
		{idp, "", "s1", 10, []int{1, 4}},
		{idp, "ann", "s1", 10, []int{1}},
		{idp, "bob", "s2", 10, nil},
		{idp, "王 'x'", `s"7`, 10, []int{7}},
		{"https://nobody.example", "ann", "", 10, nil},
		{idp, "nobody", "", 10, nil},
		{idp, "nul\x00", "", 10, nil},
	} {
		got, err := st.Links.Links(t.Context(), c.issuer, c.subject, c.sid, c.limit)
		must(t, err)
		var want []session.Link
		for _, n := range c.want {
			want = append(want, list[n])
		}
		equal(t, fmt.Sprintf("links of %q %q %q", c.issuer, c.subject, c.sid), fmt.Sprint(got), fmt.Sprint(want))
	}
}

func testLinksRemove(t *testing.T, st Stores) {
	addLinks(t, st, newLink(1, idp, "ann", "s1"), newLink(2, idp, "ann", "s2"), newLink(3, idp, "ann", ""))
	must(t, st.Links.RemoveLinks(t.Context(), nil))
	must(t, st.Links.RemoveLinks(t.Context(), []rotation.SessionID{sessionID(1), sessionID(3), sessionID(9)}))
	got, err := st.Links.Links(t.Context(), idp, "ann", "", 10)
	must(t, err)
	equal(t, "left", fmt.Sprint(got), fmt.Sprint([]session.Link{newLink(2, idp, "ann", "s2")}))
}

func testLinksSweep(t *testing.T, st Stores) {
	addLinks(t, st, newLink(1, idp, "ann", "s1"), newLink(2, idp, "ann", "s2"), newLink(3, idp, "ann", "s3"))
	must(t, st.Links.AddLink(t.Context(), newLink(4, idp, "ann", "s4"), newLink(3, "", "", "").At))
	got, err := st.Links.Links(t.Context(), idp, "ann", "", 10)
	must(t, err)
	equal(t, "left", fmt.Sprint(got), fmt.Sprint([]session.Link{newLink(3, idp, "ann", "s3"), newLink(4, idp, "ann", "s4")}))
}

func testNotes(t *testing.T, st Stores) {
	noted := func(n string) bool {
		t.Helper()
		until, err := st.Links.Noted(t.Context(), session.NoteOf(n))
		must(t, err)
		return !until.IsZero()
	}
	if noted("a") {
		t.Error("a note that nobody made")
	}
	must(t, st.Links.Note(t.Context(), session.NoteOf("a"), start.Add(time.Minute)))
	must(t, st.Links.Note(t.Context(), session.NoteOf("b"), start.Add(time.Hour)))
	must(t, st.Links.Note(t.Context(), session.NoteOf("b"), start.Add(time.Minute))) // the longer one counts
	if !noted("a") || !noted("b") || noted("c") {
		t.Error("notes are lost or invented")
	}
	until, err := st.Links.Noted(t.Context(), session.NoteOf("b"))
	must(t, err)
	equal(t, "kept until", until, start.Add(time.Hour))
	st.clock.set(start.Add(2 * time.Minute))
	must(t, st.Links.Note(t.Context(), session.NoteOf("c"), start.Add(time.Hour)))
	if noted("a") || !noted("b") || !noted("c") {
		t.Error("not just the notes whose time was over are gone")
	}
}

func testExternalUsers(t *testing.T, st Stores) {
	external := func(name, issuer, subject string, given ...string) directory.User {
		u := newUser(name, append(given, "local")...)
		u.External = directory.External{Issuer: issuer, Subject: subject, Roles: given}
		return u
	}
	ann, bob := external("ann@sso", idp, "1", "admin", "staff"), external("bob@sso", idp, "2")
	for _, u := range []directory.User{ann, bob, external("ann@other", "https://other.example", "1"), newUser("local1"), newUser("local2")} {
		must(t, st.Directory.CreateUser(t.Context(), u))
	}
	got, err := st.Directory.UserByExternal(t.Context(), idp, "1")
	must(t, err)
	equal(t, "by person", fmt.Sprint(got.External, got.Roles, got.Name), fmt.Sprint(ann.External, []string{"admin", "local", "staff"}, ann.Name))
	for _, who := range [][2]string{{"", ""}, {idp, ""}, {idp, "3"}, {"https://ID.example.com", "1"}, {"", "1"}, {idp, "1\x00"}} {
		if _, err := st.Directory.UserByExternal(t.Context(), who[0], who[1]); !errors.Is(err, directory.ErrNotFound) {
			t.Errorf("person %q: %v", who, err)
		}
	}
	if err := st.Directory.CreateUser(t.Context(), external("ann2@sso", idp, "1")); !errors.Is(err, directory.ErrExists) {
		t.Errorf("a second user for one person: %v", err)
	}
	become := func(issuer, subject string, roles ...string) error {
		return st.Directory.UpdateUser(t.Context(), bob.ID, func(u *directory.User) ([]events.Event, error) {
			u.External = directory.External{Issuer: issuer, Subject: subject, Roles: roles}
			return nil, nil
		})
	}
	if err := become(idp, "1"); !errors.Is(err, directory.ErrExists) {
		t.Errorf("a user who becomes another's person: %v", err)
	}
	must(t, become(idp, "2", "staff"))
	equal(t, "roles that the provider gave", fmt.Sprint(userByID(t, st, bob.ID).External), fmt.Sprint(directory.External{Issuer: idp, Subject: "2", Roles: []string{"staff"}}))
	must(t, become("", ""))
	if _, err := st.Directory.UserByExternal(t.Context(), idp, "2"); !errors.Is(err, directory.ErrNotFound) {
		t.Errorf("a person who was let go: %v", err)
	}
}

func testLinksReopen(t *testing.T, st Stores) {
	if st.Reopen == nil {
		t.Skip("this store keeps nothing")
	}
	addLinks(t, st, newLink(1, idp, "ann", "s1"))
	must(t, st.Links.Note(t.Context(), session.NoteOf("a"), start.Add(time.Minute)))
	again := st.Reopen(t)
	got, err := again.Links.Links(t.Context(), idp, "", "s1", 10)
	must(t, err)
	equal(t, "links", fmt.Sprint(got), fmt.Sprint([]session.Link{newLink(1, idp, "ann", "s1")}))
	if until, err := again.Links.Noted(t.Context(), session.NoteOf("a")); err != nil || !until.Equal(start.Add(time.Minute)) {
		t.Errorf("the note: %v, %v", until, err)
	}
}
