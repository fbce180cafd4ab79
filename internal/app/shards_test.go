package app

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/internal/store/sharded"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// TestNodesWithShards: two nodes on three databases. Sessions are spread, wander
// between nodes, and end everywhere; without one of the databases its sessions get
// 503 and nothing else changes.
func TestNodesWithShards(t *testing.T) {
	cluster := pgtest.Shared(t)
	home, near, far := cluster.Schema(t), cluster.Schema(t), cluster.Schema(t)
	proxy := pgtest.NewProxy(t, cluster.Addr())
	through, err := url.Parse(far)
	must(t, err)
	through.Host = proxy.Addr()
	shards := []string{near, through.String()}
	var nodes []*App
	for range 2 {
		a, err := Open(t.Context(), Config{PublicURL: "http://localhost", DatabaseURL: home, ShardURLs: shards, DatabaseTimeout: 2 * time.Second,
			MasterKey: strings.Repeat("0123456789abcdef", 4), Directory: anyone{}, Authenticator: anyone{}, Logger: slog.New(slog.DiscardHandler)})
		must(t, err)
		a.Start()
		t.Cleanup(func() { must(t, a.Close()) })
		nodes = append(nodes, a)
	}
	lost := 0
	list, err := nodes[0].DB.(*sharded.Store).Statuses(t.Context())
	must(t, err)
	for _, s := range list {
		if strings.Contains(s.Where, proxy.Addr()) {
			lost = s.Number
		}
	}
	type client struct {
		user, refresh, access string
		id                    rotation.SessionID
	}
	in := map[int][]*client{}
	var all []*client
	for i := range 30 {
		g, err := nodes[i%2].Sessions.Start(t.Context(), fmt.Sprint("user-", i), "test", session.Contact{})
		must(t, err)
		c := &client{fmt.Sprint("user-", i), g.RefreshToken, g.AccessToken, g.Session.ID}
		shard := 0
		if id := g.Session.ID; id[6]>>4 == 8 {
			shard = int(id[7])
		}
		in[shard], all = append(in[shard], c), append(all, c)
	}
	if len(in) != 3 {
		t.Fatalf("sessions are in %d of 3 databases", len(in))
	}
	renew := func(c *client, node *App) int {
		code, tokens := post(t, node, "/refresh", wire.RefreshRequest{RefreshToken: c.refresh})
		if code == http.StatusOK {
			c.refresh, c.access = tokens.RefreshToken, tokens.AccessToken
		}
		return code
	}
	ready := func() (int, string) {
		w := httptest.NewRecorder()
		nodes[0].Handler.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/readyz", nil))
		return w.Code, w.Body.String()
	}
	for round := range 3 {
		for i, c := range all {
			if code := renew(c, nodes[(i+round)%2]); code != http.StatusOK {
				t.Fatalf("a renewal: %d", code)
			}
		}
	}

	// What ends on one node is over on the other one, and told once.
	for shard := range 3 {
		c := in[shard][0]
		must(t, nodes[0].Sessions.End(t.Context(), c.id, wire.ReasonEndedByAdmin))
		soon(t, fmt.Sprint("the token of an ended session of shard ", shard, " is refused"), func() bool {
			_, err := nodes[1].Verifier.Verify(t.Context(), c.access)
			return err != nil
		})
		if _, err := nodes[0].Verifier.Verify(t.Context(), c.access); err == nil {
			t.Error("the node that ended a session lets it go on")
		}
	}
	told, err := nodes[0].DB.Events().Since(t.Context(), 0, 100)
	must(t, err)
	if len(told) != 3 {
		t.Errorf("%d events of 3 ends", len(told))
	}

	proxy.Judge(func([]byte) pgtest.Fate { return pgtest.CutBefore })
	proxy.Cut()
	for shard, clients := range in {
		for _, c := range clients[1:3] {
			code, want := renew(c, nodes[0]), http.StatusOK
			if shard == lost {
				want = http.StatusServiceUnavailable
			}
			if code != want {
				t.Errorf("without shard %d, a renewal in shard %d: %d, want %d", lost, shard, code, want)
			}
			if _, err := nodes[1].Verifier.Verify(t.Context(), c.access); err != nil {
				t.Errorf("without shard %d, a token of shard %d: %v", lost, shard, err)
			}
		}
	}
	soon(t, "the shard that is down is named", func() bool {
		code, body := ready()
		return code == http.StatusOK && strings.Contains(body, fmt.Sprintf("shard %d does not answer", lost))
	})
	for _, c := range all { // everybody can sign in
		if _, err := nodes[0].Sessions.Start(t.Context(), c.user, "test", session.Contact{}); err != nil {
			t.Errorf("a sign-in without shard %d: %v", lost, err)
		}
	}
	// To sign out everywhere does what it can, and says that it is not all.
	c := in[lost][2]
	g, err := nodes[0].Sessions.Start(t.Context(), c.user, "test", session.Contact{})
	must(t, err)
	if err := nodes[0].Sessions.EndAll(t.Context(), c.user, wire.ReasonSignedOut, rotation.SessionID{}); err == nil {
		t.Error("all sessions of a user are said to be over, and one cannot be reached")
	}
	if _, err := nodes[0].Sessions.Living(t.Context(), g.Session.ID); err == nil {
		t.Error("a session that could be reached lives on")
	}
	if _, err := nodes[0].Sessions.List(t.Context(), c.user); err == nil {
		t.Error("a list without what cannot be reached is given as whole")
	}

	proxy.Judge(nil)
	for _, c := range in[lost][1:] {
		soon(t, "its sessions go on", func() bool { return renew(c, nodes[0]) == http.StatusOK })
	}
	soon(t, "all is well", func() bool { _, body := ready(); return !strings.Contains(body, "degraded") })
	must(t, nodes[0].Sessions.EndAll(t.Context(), c.user, wire.ReasonSignedOut, rotation.SessionID{}))
	if _, err := nodes[1].Sessions.Living(t.Context(), c.id); err == nil {
		t.Error("a session lives on after all have been ended")
	}
}
