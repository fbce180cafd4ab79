package postgres

import (
	"context"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// statements remembers what was sent.
type statements struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (s *statements) note(sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[strings.Join(strings.Fields(sql), " ")] = true
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	s.note(d.SQL)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	for _, q := range d.Batch.QueuedQueries {
		s.note(q.SQL)
	}
	return ctx
}

func (s *statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

var (
	lockingRows = regexp.MustCompile(`(?i)\bFOR (NO KEY )?(UPDATE|(KEY )?SHARE)\b`)
	ofASession  = regexp.MustCompile(`^(UPDATE tacet_sessions( s)? SET .* WHERE (s\.)?id = \$\d|DELETE FROM tacet_sessions( s)? WHERE (s\.)?id = \$\d|INSERT INTO tacet_sessions \([^)]*\) VALUES )`)
	ofTheSweep  = regexp.MustCompile(`^DELETE FROM tacet_sessions s USING unnest\(.* WHERE s\.id = d\.id AND `)
	ofABatch    = regexp.MustCompile(`^UPDATE tacet_sessions s SET .* FROM unnest\(.* WHERE s\.id = m\.id AND `)
	ofTheServer = regexp.MustCompile(`(?i)^SET |set_config\([^()]*(\([^()]*\)[^()]*)*, (false|'f')\)|\bpg_(try_)?advisory_lock|^(PREPARE|LISTEN|DECLARE|LOCK)\b|\bTEMP(ORARY)? TABLE`)
)

// breach is the rule that a statement breaks, empty if none. A statement about
// sessions changes one by its id, is the sweep's or (batch) that of renewals, or
// reads without locks: so it goes to where the session is, in a database that is
// spread over several machines. None leaves anything in the server's session.
func breach(sql string, batch bool) string {
	switch {
	case ofTheServer.MatchString(sql) && !strings.HasPrefix(sql, "SET LOCAL "):
		return "it changes the session of the server"
	case !regexp.MustCompile(`\btacet_sessions\b`).MatchString(sql):
		return ""
	case lockingRows.MatchString(sql):
		return "it locks rows that it does not change"
	case strings.HasPrefix(sql, "SELECT "), ofASession.MatchString(sql), ofTheSweep.MatchString(sql), batch && ofABatch.MatchString(sql):
		return ""
	}
	return "it changes sessions otherwise than one by its id"
}

// check is the rule for all statements of a test, which must have sent those that
// the rule is about.
func (s *statements) check(t *testing.T, batch bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := map[*regexp.Regexp]bool{}
	for sql := range s.seen {
		if why := breach(sql, batch); why != "" {
			t.Errorf("%s: %s", why, sql)
		}
		for _, kind := range []*regexp.Regexp{ofASession, ofTheSweep, ofABatch} {
			sent[kind] = sent[kind] || kind.MatchString(sql)
		}
	}
	if !sent[ofASession] || !sent[ofTheSweep] || sent[ofABatch] != batch {
		t.Errorf("the tests sent %d statements, and not those that the rule is about: %v", len(s.seen), sent)
	}
}

func TestStatementsThatBreakTheRuleAreFound(t *testing.T) {
	for sql, broken := range map[string]bool{
		"SELECT s.id FROM tacet_sessions s WHERE s.user_key = $1":                                   false,
		"SELECT s.id FROM tacet_sessions s WHERE s.id = ANY ($1) ORDER BY s.id FOR UPDATE OF s":     true,
		"UPDATE tacet_sessions SET ended = $2 WHERE id = $1 AND ended = ''":                         false,
		"UPDATE tacet_sessions SET ended = $2 WHERE user_key = $1":                                  true,
		"DELETE FROM tacet_sessions WHERE id = ANY ($1)":                                            true,
		"INSERT INTO tacet_sessions (id) SELECT * FROM unnest($1::uuid[])":                          true,
		"WITH x AS (UPDATE tacet_sessions SET ended = '' RETURNING id) SELECT * FROM x":             true,
		"UPDATE tacet_sessions s SET tag = m.tag FROM unnest($1) AS m (id) WHERE s.id = m.id AND x": true, // in a batch only
		"SELECT set_config('lock_timeout', '500', true)":                                            false,
		"SELECT set_config('x', CASE current_setting('x') WHEN 'off' THEN 'on' END, false)":         true,
		"SET lock_timeout = 500":            true,
		"SET LOCAL lock_timeout = 500":      false,
		"SELECT pg_advisory_lock($1)":       true,
		"SELECT pg_advisory_xact_lock($1)":  false,
		"LISTEN tacet":                      true,
		"SELECT name FROM tacet_session_xs": false,
	} {
		if got := breach(sql, false); (got != "") != broken {
			t.Errorf("%s: %q", sql, got)
		}
	}
}
