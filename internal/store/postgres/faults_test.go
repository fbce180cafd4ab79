package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres/pgtest"
	"github.com/tacet-dev/tacet/rotation"
)

// behind returns the URL of a new schema, reached through a proxy, and the same
// without it.
func behind(t *testing.T) (through, direct string, p *pgtest.Proxy) {
	t.Helper()
	c := pgtest.Shared(t)
	direct = c.Schema(t)
	p = pgtest.NewProxy(t, c.Addr())
	return pgtest.URL(p.Addr()) + direct[len(c.URL()):], direct, p
}

// behindAPooler is behind with a pooler between the proxy and the server.
func behindAPooler(t *testing.T) (through, direct string, p *pgtest.Proxy) {
	t.Helper()
	b := pgtest.SharedBouncer(t)
	through, direct = b.Schema(t)
	p = pgtest.NewProxy(t, b.Addr())
	return strings.Replace(through, b.Addr(), p.Addr(), 1), direct, p
}

// ways are those to a server over which a test is run.
var ways = map[string]func(*testing.T) (through, direct string, p *pgtest.Proxy){"direct": behind, "pooled": behindAPooler}

// cuts judges requests by chance, reproducibly for one seed as far as the order
// of requests is.
func cuts(seed uint64, oneIn int) func([]byte) pgtest.Fate {
	rng := rand.New(rand.NewPCG(seed, 0))
	return func([]byte) pgtest.Fate {
		if rng.IntN(oneIn) > 0 {
			return pgtest.Pass
		}
		return []pgtest.Fate{pgtest.CutBefore, pgtest.CutAfter, pgtest.CutAnswer}[rng.IntN(3)]
	}
}

// called is one call of a history as the model sees it.
type called struct {
	op    string // move, get or end
	move  session.Move
	end   session.End
	got   session.Session
	err   error
	maybe bool // it failed: it was carried out or not, perhaps only after the end
}

// heads is the contract of session.Store for one session that exists.
var heads = porcupine.Model{
	Init: func() any { return benchSession(0) },
	Step: func(state, input, _ any) (bool, any) {
		s, c := state.(session.Session), input.(called)
		switch c.op {
		case "get":
			return c.maybe || c.got == s, s
		case "end":
			if s.State.Ended {
				return c.maybe || errors.Is(c.err, session.ErrConflict), s
			}
			s.State.Ended, s.End = true, c.end
			return c.maybe || c.err == nil, s
		}
		if !c.move.Condition.Holds(s.State) {
			return c.maybe || errors.Is(c.err, session.ErrConflict), s
		}
		s.State.Head, s.State.HeadAt, s.Contact = c.move.Head, c.move.At, c.move.Contact
		return c.maybe || c.err == nil && c.got == s, s
	},
}

const checkTime = 20 * time.Second

// TestHeadsAreLinearisableWhenConnectionsBreak: two nodes renew the same
// sessions through a network that loses requests and answers.
func TestHeadsAreLinearisableWhenConnectionsBreak(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			url, _, proxy := way(t)
			headsAreLinearisable(t, url, proxy)
		})
	}
}

func headsAreLinearisable(t *testing.T, url string, proxy *pgtest.Proxy) {
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	nodes := []*DB{openURL(t, url, Options{}), openURL(t, url, Options{})}
	var cut, unsure int
	for round := range rounds {
		deleteAll(t, nodes[0])
		must(t, nodes[0].Sessions().Create(t.Context(), benchSession(0)))
		judge := cuts(uint64(round), 12)
		proxy.Judge(func(b []byte) pgtest.Fate {
			f := judge(b)
			if f != pgtest.Pass {
				cut++
			}
			return f
		})
		history := renewTogether(t.Context(), nodes, uint64(round))
		proxy.Judge(nil)
		final, err := nodes[0].Sessions().Get(t.Context(), benchSession(0).ID)
		must(t, err)
		// What is still under way may show after this Get: it is not over.
		end := int64(math.MaxInt64 / 2)
		history = append(history, porcupine.Operation{ClientId: 99, Input: called{op: "get", got: final}, Call: end, Return: end + 1})
		for _, op := range history {
			if op.Input.(called).maybe {
				unsure++
			}
		}
		if res := porcupine.CheckOperationsTimeout(heads, history, checkTime); res != porcupine.Ok {
			t.Fatalf("round %d: %d calls, linearisable: %s", round, len(history), res)
		}
	}
	t.Logf("%d requests or answers were cut, %d calls failed", cut, unsure)
	if cut < rounds {
		t.Errorf("only %d requests or answers were cut in %d rounds", cut, rounds)
	}
}

// deleteAll deletes all sessions.
func deleteAll(t *testing.T, db *DB) {
	t.Helper()
	_, _, err := db.Sessions().Sweep(t.Context(), rotation.SessionID{}, 100, func(session.Session) bool { return true })
	must(t, err)
}

func renewTogether(ctx context.Context, nodes []*DB, seed uint64) []porcupine.Operation {
	const clients, calls = 5, 12
	var clock atomic.Int64
	var mu sync.Mutex
	var history []porcupine.Operation
	var running sync.WaitGroup
	id := benchSession(0).ID
	for i := range clients {
		st := nodes[i%len(nodes)].Sessions()
		rng := rand.New(rand.NewPCG(seed, uint64(i)+1))
		running.Go(func() {
			known := benchSession(0)
			for n := range calls {
				c := called{op: "get"}
				begin := clock.Add(1)
				switch {
				case i == 0 && n == calls-2 && seed%3 == 0:
					c.op, c.end = "end", session.End{Reason: "logout", At: known.State.CreatedAt}
					c.err = st.End(ctx, id, c.end, events.Event{Kind: "e", At: known.State.CreatedAt})
				case rng.IntN(4) == 0:
					c.got, c.err = st.Get(ctx, id)
				default:
					c.op, c.move = "move", nextMove(known)
					c.move.Contact.UserAgent = fmt.Sprint("agent ", i)
					c.got, c.err = st.Move(ctx, c.move)
				}
				op := porcupine.Operation{ClientId: i, Call: begin, Return: clock.Add(1)}
				if c.err != nil && !errors.Is(c.err, session.ErrConflict) {
					c.maybe, op.Return = true, math.MaxInt64
				}
				if c.err == nil && c.op != "end" {
					known = c.got
				}
				op.Input = c
				mu.Lock()
				history = append(history, op)
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return history
}

// TestTransactionsHappenOnceWhenConnectionsBreak: every change of a user raises
// a number and tells it in an event under a name of its own; none may be lost
// after it was answered, and none made twice.
func TestTransactionsHappenOnceWhenConnectionsBreak(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			url, direct, proxy := way(t)
			transactionsHappenOnce(t, url, direct, proxy)
		})
	}
}

func transactionsHappenOnce(t *testing.T, url, direct string, proxy *pgtest.Proxy) {
	nodes := []*DB{openURL(t, url, Options{}), openURL(t, url, Options{})}
	must(t, directory.NewStore(nodes[0].Documents()).CreateUser(t.Context(), directory.User{ID: "u", Name: "ann"}))
	calls := 60
	if testing.Short() {
		calls = 40
	}
	proxy.Judge(cuts(7, 15))
	var answered, failed sync.Map
	inParallel(t, 6, calls, func(i int) error {
		err := directory.NewStore(nodes[i%2].Documents()).UpdateUser(t.Context(), "u", func(u *directory.User) ([]events.Event, error) {
			u.GrantsVersion++
			return []events.Event{{Kind: fmt.Sprint(i)}}, nil
		})
		if err == nil {
			answered.Store(fmt.Sprint(i), true)
		} else {
			failed.Store(fmt.Sprint(i), err)
		}
		return nil
	})
	proxy.Judge(nil)

	db := openURL(t, direct, Options{})
	u, err := directory.NewStore(db.Documents()).UserByID(t.Context(), "u")
	must(t, err)
	list, err := db.Events().Since(t.Context(), 0, 2*calls)
	must(t, err)
	times := map[string]int{}
	for i, e := range list {
		times[e.Kind]++
		if e.Seq != int64(i+1) {
			t.Errorf("event %d has number %d", i, e.Seq)
		}
		_, ok := answered.Load(e.Kind)
		_, maybe := failed.Load(e.Kind)
		if times[e.Kind] > 1 || !ok && !maybe {
			t.Errorf("change %s was made %d times", e.Kind, times[e.Kind])
		}
	}
	answered.Range(func(kind, _ any) bool {
		if times[kind.(string)] != 1 {
			t.Errorf("change %s was answered and is not there", kind)
		}
		return true
	})
	if int(u.GrantsVersion) != len(list) {
		t.Errorf("version %d after %d changes", u.GrantsVersion, len(list))
	}
	lost := 0
	failed.Range(func(any, any) bool { lost++; return true })
	t.Logf("%d changes made, %d calls failed", len(list), lost)
}

// TestLostAnswerOfEachWrite: the answer to each kind of write is lost once, and
// the call succeeds all the same, having happened once.
func TestLostAnswerOfEachWrite(t *testing.T) {
	for _, fate := range []pgtest.Fate{pgtest.CutBefore, pgtest.CutAfter, pgtest.CutAnswer} {
		url, _, proxy := behind(t)
		db := openURL(t, url, Options{})
		st := db.Sessions()
		must(t, directory.NewStore(db.Documents()).CreateUser(t.Context(), directory.User{ID: "u", Name: "ann"}))
		first := benchSession(0)
		must(t, st.Create(t.Context(), first))
		const rounds = 9
		for i := range rounds {
			// The n-th piece of what is sent, and at last the COMMIT, where there is one.
			lose := func(write func() error) {
				t.Helper()
				n, done := 0, false
				proxy.Judge(func(b []byte) pgtest.Fate {
					n++
					commit := i == rounds-1 && strings.Contains(string(b), "commit\x00")
					if !done && (commit || n == 1+i && i < rounds-1) {
						done = true
						return fate
					}
					return pgtest.Pass
				})
				must(t, write())
				proxy.Judge(nil)
			}
			s := benchSession(100 + i)
			lose(func() error { return st.Create(t.Context(), s) })
			lose(func() (err error) { first, err = st.Move(t.Context(), nextMove(first)); return err })
			lose(func() error {
				return st.End(t.Context(), s.ID, session.End{Reason: "logout", At: s.State.CreatedAt}, events.Event{Kind: "end"})
			})
			lose(func() error {
				return directory.NewStore(db.Documents()).UpdateUser(t.Context(), "u", func(u *directory.User) ([]events.Event, error) {
					u.GrantsVersion++
					return []events.Event{{Kind: "grants"}}, nil
				})
			})
			lose(func() error {
				return directory.NewStore(db.Documents()).CreateUser(t.Context(), directory.User{ID: fmt.Sprint(i), Name: fmt.Sprint("user ", i)})
			})
			_, version, err := keys.NewStore(db.Documents()).Load(t.Context())
			must(t, err)
			lose(func() error {
				return keys.NewStore(db.Documents()).Replace(t.Context(), version, nil, events.Event{Kind: "keys"})
			})
		}
		u, err := directory.NewStore(db.Documents()).UserByID(t.Context(), "u")
		must(t, err)
		list, err := db.Events().Since(t.Context(), 0, 1000)
		must(t, err)
		if first.State.Head.Generation != rounds || u.GrantsVersion != rounds || len(list) != 3*rounds {
			t.Errorf("fate %d: generation %d, version %d, %d events; want %d, %[5]d, %d", fate, first.State.Head.Generation, u.GrantsVersion, len(list), rounds, 3*rounds)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
