package app

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// everyWay runs a test of three nodes that reach their database directly, and of
// three behind a pooler.
func everyWay(t *testing.T, f func(*testing.T, []*App)) {
	t.Run("direct", func(t *testing.T) { f(t, openNodes(t, pgtest.Shared(t).Schema(t), 3)) })
	t.Run("pooled", func(t *testing.T) {
		url, _ := pgtest.SharedBouncer(t).Schema(t)
		f(t, openNodes(t, url, 3))
	})
}

// openNodes starts n nodes at once on one empty database.
func openNodes(t *testing.T, url string, n int) []*App {
	t.Helper()
	nodes := make([]*App, n)
	var running sync.WaitGroup
	for i := range nodes {
		running.Go(func() {
			a, err := Open(t.Context(), Config{PublicURL: "http://localhost", DatabaseURL: url,
				MasterKey: strings.Repeat("0123456789abcdef", 4), Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Error(err)
				return
			}
			nodes[i] = a
			a.Start()
			t.Cleanup(func() {
				if err := a.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return nodes
}

// post calls a node and returns the status and, if it is 200, the tokens.
func post(t *testing.T, a *App, path string, body any) (int, wire.TokenResponse) {
	t.Helper()
	b, err := json.Marshal(body)
	must(t, err)
	r := httptest.NewRequest("POST", "http://localhost/auth"+path, bytes.NewReader(b))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.Handler.ServeHTTP(w, r)
	var tokens wire.TokenResponse
	if w.Code == http.StatusOK {
		must(t, json.Unmarshal(w.Body.Bytes(), &tokens))
	}
	return w.Code, tokens
}

// soon waits for a condition, a bounded number of times.
func soon(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for range 500 {
		if condition() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it did not come to: " + what)
}

// TestNodesShareEverything: a session wanders between nodes; what is changed on
// one is enforced on all.
func TestNodesShareEverything(t *testing.T) { everyWay(t, testNodesShareEverything) }

func testNodesShareEverything(t *testing.T, nodes []*App) {
	a, b := nodes[0], nodes[1]
	must(t, a.Directory.AddRole(t.Context(), "staff", "orders:read"))
	u, err := a.Directory.Add(t.Context(), directory.NewUser{Name: "ann", Password: "correct horse battery", Roles: []string{"staff"}})
	must(t, err)

	code, tokens := post(t, b, "/login", wire.LoginRequest{Username: "ann", Password: "correct horse battery", Delivery: wire.DeliveryBody})
	if code != http.StatusOK {
		t.Fatalf("sign-in on the second node: %d", code)
	}
	for i := range 12 {
		node := nodes[i%len(nodes)]
		if code, tokens = post(t, node, "/refresh", wire.RefreshRequest{RefreshToken: tokens.RefreshToken}); code != http.StatusOK {
			t.Fatalf("renewal %d: %d", i, code)
		}
		for j, other := range nodes {
			if _, err := other.Verifier.Verify(t.Context(), tokens.AccessToken); err != nil {
				t.Errorf("node %d refuses a token of node %d: %v", j, i%len(nodes), err)
			}
		}
	}

	// The next renewal anywhere has the new permissions, whatever was remembered.
	for i, permission := range []string{"a:b", "c:d", "e:f"} {
		must(t, nodes[i].Directory.ChangePermissions(t.Context(), "staff", []string{permission}, nil))
		for j, node := range nodes {
			if code, tokens = post(t, node, "/refresh", wire.RefreshRequest{RefreshToken: tokens.RefreshToken}); code != http.StatusOK {
				t.Fatalf("renewal after a change: %d", code)
			}
			claims := claimsOf(t, tokens.AccessToken)
			if !slices.Contains(strings.Fields(claims.Scope), permission) {
				t.Errorf("node %d renewed with scope %q after node %d had added %s", j, claims.Scope, i, permission)
			}
		}
	}
	// A token from before is refused everywhere.
	old := tokens.AccessToken
	must(t, b.Directory.ChangePermissions(t.Context(), "staff", nil, []string{"a:b"}))
	for _, node := range nodes {
		soon(t, "an old token is refused", func() bool {
			_, err := node.Verifier.Verify(t.Context(), old)
			return err != nil
		})
	}
	// And so is a session that was ended elsewhere.
	if code, tokens = post(t, a, "/refresh", wire.RefreshRequest{RefreshToken: tokens.RefreshToken}); code != http.StatusOK {
		t.Fatalf("renewal: %d", code)
	}
	must(t, b.Sessions.EndAll(t.Context(), u.ID, wire.ReasonEndedByAdmin, rotation.SessionID{}))
	for _, node := range nodes {
		soon(t, "the token of an ended session is refused", func() bool {
			_, err := node.Verifier.Verify(t.Context(), tokens.AccessToken)
			return err != nil
		})
	}
	if code, _ = post(t, a, "/refresh", wire.RefreshRequest{RefreshToken: tokens.RefreshToken}); code == http.StatusOK {
		t.Error("an ended session was renewed")
	}
}

// TestNodesShareKeys: the keys that one node makes are used by all, and no token
// is refused meanwhile.
func TestNodesShareKeys(t *testing.T) { everyWay(t, testNodesShareKeys) }

func testNodesShareKeys(t *testing.T, nodes []*App) {
	first := nodes[0].Keys.List()
	if len(first) == 0 {
		t.Fatal("no keys")
	}
	for i, node := range nodes {
		if got := node.Keys.List(); !slices.Equal(got, first) {
			t.Errorf("node %d has the keys %+v, node 0 %+v", i, got, first)
		}
	}
	if _, err := nodes[1].Keys.Rotate(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	want := nodes[1].Keys.List()
	if len(want) <= len(first) {
		t.Fatalf("no key was announced: %+v", want)
	}
	for _, node := range nodes {
		soon(t, "the announced keys are known", func() bool { return slices.Equal(node.Keys.List(), want) })
	}
}

func claimsOf(t *testing.T, token string) *wire.AccessClaims {
	t.Helper()
	var c wire.AccessClaims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatal("not a JWT")
	}
	must(t, json.NewDecoder(base64Reader(parts[1])).Decode(&c))
	return &c
}

func base64Reader(s string) io.Reader {
	return base64.NewDecoder(base64.RawURLEncoding, strings.NewReader(s))
}

// TestNodesRedeemATicketOnce: of many who redeem one at all nodes at once, one gets a
// session. An API key of one node is good at the others, until it is removed.
func TestNodesRedeemATicketOnce(t *testing.T) { everyWay(t, testNodesRedeemATicketOnce) }

func testNodesRedeemATicketOnce(t *testing.T, nodes []*App) {
	u, err := nodes[0].Directory.Add(t.Context(), directory.NewUser{Name: "ann", Password: "correct horse battery"})
	must(t, err)
	key, err := nodes[0].Doors.AddKey(t.Context(), "app", []string{wire.PermissionSessionsBegin}, 0)
	must(t, err)
	issue := func(a *App) (int, wire.Ticket) {
		r := httptest.NewRequest("POST", "http://localhost/auth/admin/sessions", strings.NewReader(`{"username":"ann"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		a.Handler.ServeHTTP(w, r)
		var ticket wire.Ticket
		must(t, json.Unmarshal(w.Body.Bytes(), &ticket))
		return w.Code, ticket
	}
	code, ticket := issue(nodes[1])
	if code != http.StatusCreated {
		t.Fatalf("a ticket of the second node: %d", code)
	}
	codes := make([]int, 24)
	var all sync.WaitGroup
	for i := range codes {
		all.Go(func() {
			codes[i], _ = post(t, nodes[i%len(nodes)], "/login", wire.LoginRequest{Ticket: ticket.Ticket, Delivery: wire.DeliveryBody})
		})
	}
	all.Wait()
	slices.Sort(codes)
	if codes[0] != http.StatusOK || codes[1] != http.StatusBadRequest || codes[len(codes)-1] != http.StatusBadRequest {
		t.Errorf("statuses %v, want 200 once, and else 400", codes)
	}
	if list, err := nodes[2].Sessions.List(t.Context(), u.ID); err != nil || len(list) != 1 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
	must(t, nodes[2].Doors.RemoveKey(t.Context(), "app"))
	for i, a := range nodes {
		if code, _ := issue(a); code != http.StatusUnauthorized {
			t.Errorf("node %d and a key that was removed at another one: %d", i, code)
		}
	}
}
