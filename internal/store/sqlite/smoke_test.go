package sqlite

import (
	"net/netip"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
)

func TestSmoke(t *testing.T) {
	db, err := Open(t.Context(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.UnixMilli(1700000000000).UTC()
	s := session.Session{ID: rotation.SessionID{1}, UserID: "u", ClientID: "c", Contact: session.Contact{Address: netip.MustParseAddr("1.2.3.4"), UserAgent: "x"},
		State: rotation.State{Head: rotation.Root(rotation.Tag{255, 1}), HeadAt: now, CreatedAt: now}}
	st := db.Sessions()
	if err := st.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	got, err := st.Get(t.Context(), s.ID)
	if err != nil || got != s {
		t.Fatal(got, err)
	}
	got, err = st.Move(t.Context(), session.Move{ID: s.ID, Guard: s.State.Guard(), Head: rotation.Head{Generation: 1, Tag: rotation.Tag{200}, Parent: s.State.Head.Tag}, At: now.Add(time.Second), Contact: s.Contact})
	t.Log(got, err)
	if err := db.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := st.End(t.Context(), s.ID, session.End{Reason: "r", At: now}); err != nil {
		t.Fatal(err)
	}
	next, n, err := st.Sweep(t.Context(), rotation.SessionID{}, 10, func(s session.Session) bool { return s.State.Ended })
	t.Log(next, n, err)
	t.Log(db.Keys().Load(t.Context()))
	t.Log(db.Events().Bounds(t.Context()))
	t.Log(db.Size())
}
