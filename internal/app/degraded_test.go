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
)

// What can become of a database, and how it becomes so. Each works on what the
// database does, not on what the driver is told.
var degradations = []struct {
	name, failure string // failure: as the metrics name it
	begin, end    func(d *degraded)
}{
	{"slow", "busy", func(d *degraded) { d.hold("LOCK TABLE tacet_sessions IN ACCESS EXCLUSIVE MODE") }, func(d *degraded) { d.release() }},
	{"read-only", "read_only",
		func(d *degraded) { d.admin("ALTER ROLE "+d.role+" SET default_transaction_read_only = on", d.cut()) },
		func(d *degraded) { d.admin("ALTER ROLE "+d.role+" RESET default_transaction_read_only", d.cut()) }},
	{"gone", "unreachable", func(d *degraded) { must(d.T, d.cluster.Stop()) }, func(d *degraded) { must(d.T, d.cluster.Start()) }},
	{"hanging", "timeout", func(d *degraded) { must(d.T, d.cluster.Freeze()) }, func(d *degraded) { must(d.T, d.cluster.Thaw()) }},
	{"out of connections", "busy",
		func(d *degraded) {
			d.admin("ALTER ROLE "+d.role+" CONNECTION LIMIT 0", d.cut())
		},
		func(d *degraded) { d.admin("ALTER ROLE " + d.role + " CONNECTION LIMIT -1") }},
	// What PostgreSQL says when the disk under its tables is full, said by a
	// trigger. (A full disk under its log stops it: that is "gone".)
	{"out of disk", "full",
		func(d *degraded) {
			d.admin("CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$",
				"CREATE TRIGGER disk_full BEFORE INSERT OR UPDATE ON tacet_sessions FOR EACH ROW EXECUTE FUNCTION disk_full()")
		},
		func(d *degraded) { d.admin("DROP FUNCTION disk_full() CASCADE") }},
}

// degraded is an App on a database of its own, with a role that is no superuser.
type degraded struct {
	*testing.T
	cluster   *pgtest.Cluster
	url, role string
	app       *App
	held      interface{ Close() }
}

func (d *degraded) admin(statements ...string) {
	d.Helper()
	for _, s := range statements {
		pgtest.Exec(d.T, d.url, s)
	}
}

// cut ends the connections of the App.
func (d *degraded) cut() string {
	return "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '" + d.role + "'"
}

type closer func()

func (c closer) Close() { c() }

// hold runs a statement in a transaction that stays open until release.
func (d *degraded) hold(statement string) {
	d.Helper()
	conn := pgtest.Connect(d.T, d.url)
	_, err := conn.Exec(d.Context(), "BEGIN")
	must(d.T, err)
	_, err = conn.Exec(d.Context(), statement)
	must(d.T, err)
	d.held = closer(func() { must(d.T, conn.Close(d.Context())) })
}

func (d *degraded) release() { d.held.Close() }

func (d *degraded) call(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.app.Handler.ServeHTTP(w, r)
	return w
}

// Whatever becomes of the database: renewals and sign-outs are answered 503 with
// Retry-After, nothing is cleared, access tokens are good, the metrics say what is
// wrong, and afterwards the same refresh token renews, without a restart.
func TestDegradedDatabase(t *testing.T) {
	cluster := pgtest.Shared(t) // runs again at the end
	for i, deg := range degradations {
		t.Run(deg.name, func(t *testing.T) {
			d := &degraded{T: t, cluster: cluster, role: fmt.Sprint("app", i)}
			d.open()
			g, err := d.app.Sessions.Start(t.Context(), session.SignIn{UserID: "carol", Client: session.Client{ID: "tacet-web"}})
			must(t, err)
			body := `{"refresh_token":"` + g.RefreshToken + `"}`
			deg.begin(d)
			ended := false
			defer func() {
				if !ended {
					deg.end(d) // for the others
				}
			}()
			for _, path := range []string{"/auth/refresh", "/auth/logout"} {
				w := d.call("POST", path, body)
				if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("Set-Cookie") != "" {
					t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
				}
			}
			bearer := []string{"Authorization", "Bearer " + g.AccessToken}
			if w := d.call("GET", "/auth/verify", "", bearer...); w.Code != http.StatusOK {
				t.Errorf("an access token was refused: %d", w.Code)
			}
			if w := d.call("GET", "/auth/me", "", bearer...); w.Code != http.StatusOK && w.Code != http.StatusServiceUnavailable {
				t.Errorf("me: %d", w.Code)
			}
			if page := scrape(t, d.app); strings.Contains(page, "\ntacet_store_errors_total{failure=\""+deg.failure+"\"} 0\n") {
				t.Errorf("the metrics do not say %q", deg.failure)
			}
			deg.end(d)
			ended = true
			d.recovers(body)
		})
	}
}

func (d *degraded) open() {
	d.Helper()
	d.url = d.cluster.Schema(d.T)
	schema := d.url[strings.LastIndex(d.url, "=")+1:]
	d.admin("CREATE ROLE "+d.role+" LOGIN", "GRANT ALL ON SCHEMA "+schema+" TO "+d.role)
	u, err := url.Parse(d.url)
	must(d.T, err)
	u.User = url.User(d.role)
	people := &slowPeople{}
	d.app, err = Open(d.Context(), Config{PublicURL: "http://localhost", DatabaseURL: u.String(), DatabaseTimeout: 700 * time.Millisecond,
		MasterKey: strings.Repeat("0123456789abcdef", 4), Directory: people, Authenticator: people, Logger: slog.New(slog.DiscardHandler)})
	must(d.T, err)
	d.app.Start()
	d.Cleanup(func() { must(d.T, d.app.Close()) })
}

// recovers renews with the token that was refused, a bounded number of times.
func (d *degraded) recovers(body string) {
	d.Helper()
	var w *httptest.ResponseRecorder
	for range 100 {
		if w = d.call("POST", "/auth/refresh", body); w.Code == http.StatusOK {
			return
		}
		if w.Code != http.StatusServiceUnavailable {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	d.Fatalf("afterwards: %d %s", w.Code, w.Body)
}
