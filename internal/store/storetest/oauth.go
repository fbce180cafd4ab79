package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/oauth"
)

var errNo = errors.New("no")

var oauthTests = map[string]func(*testing.T, Stores){
	"Clients":        testClients,
	"FlowRoundTrip":  testFlowRoundTrip,
	"FlowTaken":      testFlowTaken,
	"FlowSweep":      testFlowSweep,
	"FlowChange":     testFlowChange,
	"FlowIsUsedOnce": testFlowIsUsedOnce,
	"OAuthReopen":    testOAuthReopen,
}

func newClient(id string) oauth.Client {
	return oauth.Client{ID: id, Name: "An application, 应用", SecretHash: []byte{0, 1, 255},
		RedirectURIs: []string{"https://app.example/cb", "http://127.0.0.1/cb?x=1"}, LogoutURIs: []string{"https://app.example/"},
		Scopes: []string{"openid", "orders:read"}, Audiences: []string{"https://api.example"},
		Device: true, CreatedAt: start}
}

func newFlow(n byte, userCode string) oauth.Flow {
	return oauth.Flow{Key: oauth.Key{n, 0, 255}, UserCode: userCode, ClientID: "app", RedirectURI: "https://app.example/cb",
		Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", Scope: "openid email", Resource: "https://api.example", Nonce: "n-0S6_WzA2Mj \"'",
		UserID: "0194c9f1-5b0e-7cc3-98c4-dc0c0c07398f", SignedInAt: start, ExpiresAt: start.Add(time.Minute),
		Session: sessionID(7), PolledAt: start.Add(time.Second), Interval: 5 * time.Second}
}

func testClients(t *testing.T, st Stores) {
	if _, err := st.OAuth.Client(t.Context(), "app"); !errors.Is(err, oauth.ErrNotFound) {
		t.Errorf("a client that is not there: %v", err)
	}
	for _, id := range []string{"web", "app", "App"} {
		must(t, st.OAuth.AddClient(t.Context(), newClient(id)))
	}
	if err := st.OAuth.AddClient(t.Context(), oauth.Client{ID: "app"}); !errors.Is(err, oauth.ErrExists) {
		t.Errorf("a client whose id is taken: %v", err)
	}
	got, err := st.OAuth.Client(t.Context(), "app")
	must(t, err)
	equal(t, "client", fmt.Sprint(got), fmt.Sprint(newClient("app")))
	for id, want := range map[string]error{"nobody": oauth.ErrNotFound, "app": errNo} {
		if err := st.OAuth.UpdateClient(t.Context(), id, func(c *oauth.Client) error { c.Name = "no"; return errNo }); !errors.Is(err, want) {
			t.Errorf("a change of %s that fails: %v", id, err)
		}
	}
	changed := newClient("app")
	changed.Scopes, changed.OldSecretHash, changed.OldSecretUntil = []string{"a:b"}, []byte{7}, start.Add(time.Hour)
	must(t, st.OAuth.UpdateClient(t.Context(), "app", func(c *oauth.Client) error {
		equal(t, "client before the change", fmt.Sprint(*c), fmt.Sprint(newClient("app")))
		*c = changed
		return nil
	}))
	got, err = st.OAuth.Client(t.Context(), "app")
	must(t, err)
	equal(t, "client after the change", fmt.Sprint(got), fmt.Sprint(changed))
	must(t, st.OAuth.RemoveClient(t.Context(), "app"))
	if err := st.OAuth.RemoveClient(t.Context(), "app"); !errors.Is(err, oauth.ErrNotFound) {
		t.Errorf("a client that is gone: %v", err)
	}
	list, err := st.OAuth.Clients(t.Context())
	must(t, err)
	var ids []string
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	equal(t, "clients in order of id", strings.Join(ids, " "), "App web")
}

func loadFlow(t *testing.T, st Stores, k oauth.Key) (f oauth.Flow) {
	t.Helper()
	must(t, st.OAuth.UpdateFlow(t.Context(), k, func(stored *oauth.Flow) error {
		f = *stored
		return nil
	}))
	return f
}

func testFlowRoundTrip(t *testing.T, st Stores) {
	for i, want := range []oauth.Flow{newFlow(1, ""), newFlow(2, "BDFGHJKL"), {Key: oauth.Key{3}, ExpiresAt: start}, newFlow(4, "")} {
		must(t, st.OAuth.AddFlow(t.Context(), want))
		equal(t, fmt.Sprint("flow ", i), fmt.Sprint(loadFlow(t, st, want.Key)), fmt.Sprint(want))
	}
	got, err := st.OAuth.FlowByUserCode(t.Context(), "BDFGHJKL")
	must(t, err)
	equal(t, "flow by user code", fmt.Sprint(got), fmt.Sprint(newFlow(2, "BDFGHJKL")))
	for _, code := range []string{"", "BDFGHJKM", "bdfghjkl"} {
		if _, err := st.OAuth.FlowByUserCode(t.Context(), code); !errors.Is(err, oauth.ErrNotFound) {
			t.Errorf("user code %q: %v", code, err)
		}
	}
}

func testFlowTaken(t *testing.T, st Stores) {
	must(t, st.OAuth.AddFlow(t.Context(), newFlow(1, "BDFGHJKL")))
	for _, f := range []oauth.Flow{newFlow(1, ""), newFlow(2, "BDFGHJKL")} {
		if err := st.OAuth.AddFlow(t.Context(), f); !errors.Is(err, oauth.ErrExists) {
			t.Errorf("key %v, user code %q: %v", f.Key[0], f.UserCode, err)
		}
	}
	if err := st.OAuth.UpdateFlow(t.Context(), oauth.Key{2}, func(*oauth.Flow) error { return nil }); !errors.Is(err, oauth.ErrNotFound) {
		t.Errorf("the flow that was refused: %v", err)
	}
}

func testFlowSweep(t *testing.T, st Stores) {
	for i := range byte(5) {
		f := newFlow(i, "")
		f.ExpiresAt = start.Add(time.Duration(i) * time.Minute)
		must(t, st.OAuth.AddFlow(t.Context(), f))
	}
	// Each is kept for an hour longer.
	st.clock.set(start.Add(time.Hour + 2*time.Minute - time.Millisecond))
	must(t, st.OAuth.AddFlow(t.Context(), newFlow(9, "")))
	for i := range byte(5) {
		err := st.OAuth.UpdateFlow(t.Context(), newFlow(i, "").Key, func(*oauth.Flow) error { return nil })
		if gone := errors.Is(err, oauth.ErrNotFound); gone != (i < 2) {
			t.Errorf("flow that expires at minute %d, swept up to minute 2: %v", i, err)
		}
	}
}

func testFlowChange(t *testing.T, st Stores) {
	must(t, st.OAuth.AddFlow(t.Context(), newFlow(1, "BDFGHJKL")))
	refused := errors.New("refused")
	err := st.OAuth.UpdateFlow(t.Context(), newFlow(1, "").Key, func(f *oauth.Flow) error {
		f.Used = true
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("the error of the change: %v", err)
	}
	must(t, st.OAuth.UpdateFlow(t.Context(), newFlow(1, "").Key, func(f *oauth.Flow) error {
		if f.Used {
			t.Error("a change that failed was stored")
		}
		f.Denied, f.Interval, f.UserID, f.Session = true, time.Hour, "", sessionID(9)
		return nil
	}))
	want := newFlow(1, "BDFGHJKL")
	want.Denied, want.Interval, want.UserID, want.Session = true, time.Hour, "", sessionID(9)
	got, err := st.OAuth.FlowByUserCode(t.Context(), "BDFGHJKL")
	must(t, err)
	equal(t, "changed flow", fmt.Sprint(got), fmt.Sprint(want))
}

func testFlowIsUsedOnce(t *testing.T, st Stores) {
	must(t, st.OAuth.AddFlow(t.Context(), newFlow(1, "")))
	var mu sync.Mutex
	var first []bool
	var work sync.WaitGroup
	for range 16 {
		work.Go(func() {
			var used bool
			err := st.OAuth.UpdateFlow(t.Context(), newFlow(1, "").Key, func(f *oauth.Flow) error {
				used, f.Used = f.Used, true
				return nil
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			first = append(first, !used)
		})
	}
	work.Wait()
	if n := len(slices.DeleteFunc(first, func(f bool) bool { return !f })); n != 1 {
		t.Errorf("%d of 16 found the flow unused, want 1", n)
	}
}

func testOAuthReopen(t *testing.T, st Stores) {
	if st.Reopen == nil {
		t.Skip("this store keeps nothing")
	}
	must(t, st.OAuth.AddClient(t.Context(), newClient("app")))
	must(t, st.OAuth.AddFlow(t.Context(), newFlow(1, "")))
	again := st.Reopen(t)
	c, err := again.OAuth.Client(t.Context(), "app")
	must(t, err)
	equal(t, "client", fmt.Sprint(c), fmt.Sprint(newClient("app")))
	equal(t, "flow", fmt.Sprint(loadFlow(t, again, newFlow(1, "").Key)), fmt.Sprint(newFlow(1, "")))
}
