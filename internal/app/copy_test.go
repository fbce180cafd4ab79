package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/internal/store/sqlite"
	"github.com/tacet-dev/tacet/rotation"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var start = time.Date(2026, 11, 21, 12, 0, 0, 123e6, time.UTC)

// original makes a store with some of everything, and more than one page of
// sessions, users and events.
func original(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	db, err := sqlite.Open(t.Context(), dir, sqlite.Options{})
	must(t, err)
	defer db.Close()
	for _, r := range []directory.Role{{Name: "staff", Permissions: []string{"a:b", "c:*"}}, {Name: "空", Permissions: nil}} {
		must(t, directory.NewStore(db.Documents()).CreateRole(t.Context(), r))
	}
	must(t, oauth.NewStore(db.Documents()).AddClient(t.Context(), oauth.Client{ID: "native", Name: "应用", RedirectURIs: []string{"http://127.0.0.1/"}, CreatedAt: start}))
	must(t, keys.NewStore(db.Documents()).Replace(t.Context(), 0, []keys.Key{
		{ID: 1, Use: keys.UseSign, Algorithm: "EdDSA", CreatedAt: start, ActiveAt: start, RetiredAt: start.Add(time.Hour), Sealed: []byte{1, 0, 255}},
		{ID: 1<<32 - 1, Use: keys.UseMAC, Algorithm: "HS256", CreatedAt: start, ActiveAt: start, Sealed: []byte{2}}}))
	all := make(chan error)
	const n = copyPage + 200
	for i := range n {
		go func() {
			u := directory.User{ID: fmt.Sprint("id ", i), Name: fmt.Sprintf("user%04d ä", i), GrantsVersion: int64(i), CreatedAt: start}
			if i%3 == 0 {
				u.Roles = []string{"staff", "空"}
				u.External = directory.External{Issuer: "https://id.example.com", Subject: fmt.Sprint("人", i), Roles: []string{"staff"}}
			}
			s := session.Session{ID: rotation.SessionID{0: 1, 14: byte(i >> 8), 15: byte(i)}, UserID: u.ID, ClientID: "web",
				State:   rotation.State{Head: rotation.Root(rotation.Tag{0xff, byte(i)}), HeadAt: start, CreatedAt: start},
				Contact: session.Contact{Address: netip.MustParseAddr("2001:db8::1"), UserAgent: fmt.Sprint("caf\xe9 ", i%7)}}
			err := errors.Join(directory.NewStore(db.Documents()).CreateUser(context.Background(), u), db.Sessions().Create(context.Background(), s))
			if u.External.Issuer != "" && err == nil {
				err = session.NewLinks(db.Documents()).AddLink(context.Background(), session.Link{Session: s.ID, At: start,
					Origin: session.Origin{Issuer: u.External.Issuer, Subject: u.External.Subject, SID: fmt.Sprint(i % 6)}}, time.Time{}.Add(time.Hour))
			}
			if i%10 > 0 && err == nil {
				err = db.Sessions().End(context.Background(), s.ID, session.End{Reason: "logout", At: start},
					events.Event{At: start, Kind: "session.ended", UserID: u.ID, SessionID: s.ID.String(), Data: []byte(`{}`)})
			}
			all <- err
		}()
	}
	for range n {
		must(t, <-all)
	}
	_, err = db.Events().Prune(t.Context(), start.Add(time.Hour), 7) // numbers do not begin at 1
	must(t, err)
	return dir
}

// TestCopyMovesEverything also when it is broken off again and again.
func TestCopyMovesEverything(t *testing.T) {
	dir, url := original(t), pgtest.Shared(t).Schema(t)
	var steps []string
	o := CopyOptions{From: dir, To: url, Progress: func(step string, _, _ int64) {
		if len(steps) == 0 || steps[len(steps)-1] != step {
			steps = append(steps, step)
		}
	}}
	for brokenOff := range 4 {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		broken := o
		broken.Progress = func(string, int64, int64) {
			if n++; n == brokenOff+1 {
				cancel()
			}
		}
		_, err := Copy(ctx, broken)
		cancel()
		if err == nil {
			t.Fatalf("the copy that was broken off at step %d succeeded", brokenOff)
		}
		if brokenOff == 3 {
			if _, err := postgres.Open(t.Context(), url, postgres.Options{}); !errors.Is(err, postgres.ErrCopying) {
				t.Errorf("a server could use half a copy: %v", err)
			}
		}
	}
	got, err := Copy(t.Context(), o)
	must(t, err)
	if got.Sessions != copyPage+200 || got.Users != got.Sessions || got.Roles != 2 || got.Clients != 1 || got.Keys != 2 || got.Links != got.Sessions/3 || got.Events != got.Sessions*9/10-7 {
		t.Errorf("%+v", got)
	}
	if s := strings.Join(steps, " "); s != "reading copying verifying" {
		t.Errorf("steps %s", s)
	}

	db, err := postgres.Open(t.Context(), url, postgres.Options{})
	must(t, err)
	defer db.Close()
	first, last, err := db.Events().Bounds(t.Context())
	must(t, err)
	if first != 8 || last != got.Sessions*9/10 {
		t.Errorf("events %d…%d", first, last)
	}
	if _, err := Copy(t.Context(), o); !errors.Is(err, postgres.ErrNotEmpty) {
		t.Errorf("copied over a database that is in use: %v", err)
	}
}

// TestCopyNoticesDifferences between the original and the copy.
func TestCopyNoticesDifferences(t *testing.T) {
	dir, url := original(t), pgtest.Shared(t).Schema(t)
	changed := false
	o := CopyOptions{From: dir, To: url, Progress: func(step string, _, _ int64) {
		if step == "copying" && !changed { // a server is running on the original after all
			changed = true
			db, err := sqlite.Open(context.Background(), dir, sqlite.Options{})
			if err == nil {
				err = errors.Join(db.Sessions().End(context.Background(), rotation.SessionID{0: 1, 15: 10}, session.End{Reason: "logout", At: start},
					events.Event{Kind: "late", At: start}), db.Close())
			}
			if err != nil {
				t.Error(err)
			}
		}
	}}
	if _, err := Copy(t.Context(), o); !errors.Is(err, ErrCopyDiffers) {
		t.Errorf("a copy of something that changed meanwhile: %v", err)
	}
	if _, err := Copy(t.Context(), o); err != nil { // without that server, all is well
		t.Error(err)
	}

	url = pgtest.Shared(t).Schema(t)
	o.To = url
	o.Progress = func(step string, _, _ int64) {
		if step == "verifying" {
			pgtest.Exec(t, url, "UPDATE tacet_sessions SET tag = tag + 1 WHERE id = '01000000-0000-0000-0000-0000000004a0'")
		}
	}
	if _, err := Copy(t.Context(), o); !errors.Is(err, ErrCopyDiffers) {
		t.Errorf("a copy with one wrong bit: %v", err)
	}
}

func TestCopyRefusesWhatIsNoStore(t *testing.T) {
	dir := t.TempDir()
	if _, err := Copy(t.Context(), CopyOptions{From: dir, To: "postgres://127.0.0.1:1/x"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Error("it made an empty store")
	}
}
