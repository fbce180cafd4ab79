package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store"
	"github.com/tacet-dev/tacet/rotation"
)

const (
	// renewers is how many statements of renewals are under way at most.
	renewers = 2
	// patience is how long the next statement waits for the one that is under
	// way, while renewals gather: one large statement costs less than two small
	// ones. After that it goes beside it, so that a distant server, a slow disk
	// or a row that somebody holds does not stop everybody.
	patience = 10 * time.Millisecond
	// maxBatch bounds how long the first renewal of a statement waits for the last.
	maxBatch = 256
)

// renewal is one queued call of Move.
type renewal struct {
	session.Move
	agent int64
	got   session.Session
	err   error
	done  chan struct{}
	// taken is set by whoever comes first: the renewer that will send it, or the
	// caller who gives up.
	taken atomic.Bool
}

// renewer sends renewals to the server.
type renewer struct {
	db         *DB
	pool       *pgxpool.Pool
	parameters []parameter

	queue   chan *renewal
	turn    chan struct{} // holds a value while a statement is under way
	sending sync.RWMutex  // held for reading while sending to queue
	stopped bool
	running sync.WaitGroup
}

func startRenewers(db *DB, pool *pgxpool.Pool) *renewer {
	m := &renewer{db: db, pool: pool, parameters: forRenewals(db.opts.Timeout), queue: make(chan *renewal, 4*maxBatch), turn: make(chan struct{}, 1)}
	for range renewers {
		m.running.Go(m.loop)
	}
	return m
}

// stop waits for what is queued.
func (m *renewer) stop() {
	m.sending.Lock()
	m.stopped = true
	m.sending.Unlock()
	close(m.queue)
	m.running.Wait()
	m.pool.Close()
}

// Move is session.Store.
func (st sessions) Move(ctx context.Context, mv session.Move) (session.Session, error) {
	if err := ctx.Err(); err != nil {
		return session.Session{}, err
	}
	db := st.db
	m := &renewal{Move: mv, done: make(chan struct{})}
	if db.opts.Single {
		return db.renewer.alone(ctx, m)
	}
	giveUp := time.NewTimer(db.opts.Timeout)
	defer giveUp.Stop()
	if err := db.renewer.enqueue(ctx, m, giveUp.C); err != nil {
		return session.Session{}, err
	}
	// Once it was sent it is waited for, as in repeat: its outcome is known
	// then, after another Timeout at most.
	var err error
	select {
	case <-m.done:
		return m.got, m.err
	case <-ctx.Done():
		err = fmt.Errorf("store %s: gave up waiting to renew: %w", db.where, ctx.Err())
	case <-giveUp.C:
		err = &store.Error{Where: db.where, Kind: ErrTimeout, Err: errors.New("a renewal was waiting behind others")}
	}
	if m.taken.Swap(true) {
		<-m.done
		return m.got, m.err
	}
	return session.Session{}, err
}

// alone makes a renewal without the queue.
func (m *renewer) alone(ctx context.Context, mv *renewal) (session.Session, error) {
	m.sending.RLock()
	defer m.sending.RUnlock()
	if m.stopped {
		return session.Session{}, &store.Error{Where: m.db.where, Kind: ErrClosed}
	}
	if m.db.opts.Batch != nil {
		m.db.opts.Batch(1)
	}
	m.deliver(ctx, []*renewal{mv})
	return mv.got, mv.err
}

func (m *renewer) enqueue(ctx context.Context, mv *renewal, giveUp <-chan time.Time) error {
	m.sending.RLock()
	defer m.sending.RUnlock()
	if m.stopped {
		return &store.Error{Where: m.db.where, Kind: ErrClosed}
	}
	select {
	case m.queue <- mv:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("store %s: waiting to renew: %w", m.db.where, ctx.Err())
	case <-giveUp:
		return &store.Error{Where: m.db.where, Kind: ErrTimeout, Err: fmt.Errorf("%d renewals are waiting", cap(m.queue))}
	}
}

// loop sends what is queued until the queue is closed and empty.
func (m *renewer) loop() {
	var batch, later []*renewal
	for {
		batch, later = append(batch[:0], later...), later[:0]
		if len(batch) == 0 {
			mv, ok := <-m.queue
			if !ok {
				return
			}
			batch = append(batch, mv)
		}
		end := m.begin()
		batch = m.more(batch)
		batch, later = apart(batch, later)
		m.send(batch)
		end()
		for i, mv := range batch {
			close(mv.done)
			batch[i] = nil
		}
	}
}

// begin waits until no statement is under way, or until it is out of patience.
// end must be called after the statement that follows.
func (m *renewer) begin() (end func()) {
	select {
	case m.turn <- struct{}{}:
		return m.end
	default:
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case m.turn <- struct{}{}:
		return m.end
	case <-late.C:
		return func() {}
	}
}

func (m *renewer) end() { <-m.turn }

// more takes what waits in the queue.
func (m *renewer) more(batch []*renewal) []*renewal {
	for len(batch) < maxBatch {
		select {
		case mv, ok := <-m.queue:
			if ok {
				batch = append(batch, mv)
				continue
			}
		default:
		}
		break
	}
	return batch
}

// apart puts the renewals of one session into different statements, in their
// order: of two that meet in one, the server would make either. The batch is
// ordered by id, so that two nodes lock rows in the same order.
func apart(batch, later []*renewal) (now, rest []*renewal) {
	slices.SortStableFunc(batch, func(a, b *renewal) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	n := 0
	for i, mv := range batch {
		if i > 0 && mv.ID == batch[i-1].ID {
			later = append(later, mv)
			continue
		}
		now = append(batch[:n], mv)
		n++
	}
	return now, later
}

// send gives every renewal of the batch its result.
func (m *renewer) send(batch []*renewal) {
	wanted := slices.DeleteFunc(slices.Clone(batch), func(mv *renewal) bool {
		return mv.taken.Swap(true) // nobody waits any more
	})
	if len(wanted) > 0 {
		if m.db.opts.Batch != nil {
			m.db.opts.Batch(len(wanted))
		}
		m.deliver(context.Background(), wanted)
	}
}

// errLocked is wrapped when another transaction holds one of the rows for long:
// a node that stands still in the middle of one. The server ends that after
// Options.Timeout; meanwhile the other sessions must not wait with it.
var errLocked = errors.New("a row is locked")

func (m *renewer) deliver(ctx context.Context, wanted []*renewal) {
	var unsure bool
	version := int64(-1)
	err := m.db.repeat(ctx, m.pool, func(ctx context.Context, c *pgxpool.Conn) error {
		v, err := m.attempt(ctx, c, wanted, unsure)
		if err != nil && outcomeOf(err) == unknown {
			unsure = true
		}
		version = max(version, v)
		return err
	})
	if version >= 0 {
		m.db.sawDirectory(version)
	}
	switch {
	case err == nil:
	case errors.Is(err, errLocked):
		for i := range wanted {
			m.deliver(ctx, wanted[i:i+1])
		}
	default:
		for _, mv := range wanted {
			mv.err = err
		}
	}
}

// attempt makes the renewals in one statement. After an attempt of unknown outcome
// (unsure), a renewal that finds its condition broken looks whether it was itself that
// broke it.
func (m *renewer) attempt(ctx context.Context, c *pgxpool.Conn, batch []*renewal, unsure bool) (version int64, err error) {
	if err := m.db.texts.ids(ctx, c, batch); err != nil {
		return -1, err
	}
	for _, mv := range batch {
		mv.got, mv.err = session.Session{}, session.ErrConflict
	}
	if len(batch) == 1 {
		version, err = m.renewOne(ctx, c, batch[0])
	} else {
		version, err = m.renewMany(ctx, c, batch)
		if state(err) == "55P03" && !unsure {
			err = finally(fmt.Errorf("%w: %w", errLocked, err))
		}
	}
	if err != nil || !unsure {
		return version, err
	}
	return version, m.recognise(ctx, c, batch)
}

const moveReturning = ` AND s.ended = '' RETURNING s.id, s.user_key, s.user_id, s.client, s.created_at, s.details, ` + directoryVersion

const (
	renewOneSQL = `UPDATE tacet_sessions s SET generation = $2, tag = $3, parent = $4, head_at = $5, address = $6, agent = $7
	WHERE s.id = $1 AND s.generation = $8 AND s.tag = $9 AND s.head_at > $10 AND s.created_at > $11 AND s.bound_to = $12` + moveReturning

	renewManySQL = `UPDATE tacet_sessions s
	SET generation = m.generation, tag = m.tag, parent = m.parent, head_at = m.head_at, address = m.address, agent = m.agent
	FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[],
		$8::integer[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[])
		AS m (id, generation, tag, parent, head_at, address, agent, if_generation, if_tag, if_head_after, if_created_after, if_bound_to)
	WHERE s.id = m.id AND s.generation = m.if_generation AND s.tag = m.if_tag
		AND s.head_at > m.if_head_after AND s.created_at > m.if_created_after AND s.bound_to = m.if_bound_to` + moveReturning
)

// lockWait is how long a renewal waits for a row: longer than others take to
// commit.
const lockWait = 500 * time.Millisecond

func (m *renewer) renewOne(ctx context.Context, c *pgxpool.Conn, mv *renewal) (version int64, err error) {
	h, only := mv.Head, mv.Condition
	return m.moved(ctx, c, func(rotation.SessionID) *renewal { return mv }, renewOneSQL,
		uuid(mv.ID), int32(h.Generation), number(h.Tag), number(h.Parent), millis(mv.At), address(mv.Contact.Address), mv.agent,
		int32(only.Generation), number(only.Tag), after(only.HeadAfter), after(only.CreatedAfter), string(mv.Constraint))
}

func (m *renewer) renewMany(ctx context.Context, c *pgxpool.Conn, batch []*renewal) (version int64, err error) {
	n := len(batch)
	ids, addresses, ifBoundTo := make([]pgtype.UUID, n), make([][]byte, n), make([]string, n)
	generation, ifGeneration := make([]int32, n), make([]int32, n)
	numbers := make([]int64, 7*n)
	column := func(i int) []int64 { return numbers[i*n : (i+1)*n : (i+1)*n] }
	tag, parent, headAt, agent, ifTag, ifHead, ifCreated := column(0), column(1), column(2), column(3), column(4), column(5), column(6)
	for i, mv := range batch {
		h, only := mv.Head, mv.Condition
		ids[i], addresses[i], agent[i] = uuid(mv.ID), address(mv.Contact.Address), mv.agent
		generation[i], tag[i], parent[i], headAt[i] = int32(h.Generation), number(h.Tag), number(h.Parent), millis(mv.At)
		ifGeneration[i], ifTag[i], ifHead[i], ifCreated[i] = int32(only.Generation), number(only.Tag), after(only.HeadAfter), after(only.CreatedAfter)
		ifBoundTo[i] = string(mv.Constraint)
	}
	find := func(id rotation.SessionID) *renewal {
		i, _ := slices.BinarySearchFunc(batch, id, func(mv *renewal, id rotation.SessionID) int { return bytes.Compare(mv.ID[:], id[:]) })
		return batch[i]
	}
	return m.moved(ctx, c, find, renewManySQL, ids, generation, tag, parent, headAt, addresses, agent, ifGeneration, ifTag, ifHead, ifCreated, ifBoundTo)
}

// moved runs a statement and reads what it returns.
func (m *renewer) moved(ctx context.Context, c *pgxpool.Conn, find func(rotation.SessionID) *renewal, sql string, args ...any) (version int64, err error) {
	version = -1
	err = m.db.run(ctx, c, m.parameters, func(rows pgx.Rows) error {
		var id, key pgtype.UUID
		var user, client, details string
		var created int64
		_, err := pgx.ForEachRow(rows, []any{&id, &key, &user, &client, &created, &details, &version}, func() error {
			mv := find(id.Bytes)
			mv.err = nil
			mv.got = session.Session{ID: mv.ID, UserID: userID(key, user), ClientID: client, Constraint: mv.Constraint, Details: details, Contact: mv.Contact,
				State: rotation.State{Head: mv.Head, HeadAt: instant(millis(mv.At)), CreatedAt: instant(created)}}
			return nil
		})
		return err
	}, sql, args...)
	if err != nil {
		return -1, err
	}
	return version, nil
}

// errOutcome is of a renewal that was sent, and then nobody could see any more
// whether it was made.
var errOutcome = errors.New("the outcome of a renewal is not known: its response was lost, and the session has been renewed since")

// recognise judges renewals whose condition is broken, perhaps by an earlier attempt of
// their own. A row that is exactly what the renewal asks for was made by it. (One
// that somebody else has left like that, in the same millisecond and from the
// same address, differs in nothing.) Generations only grow: a row that has not
// gone beyond that of the renewal shows that it was not made.
func (m *renewer) recognise(ctx context.Context, c *pgxpool.Conn, batch []*renewal) error {
	var ids []pgtype.UUID
	for _, mv := range batch {
		if mv.err != nil {
			ids = append(ids, uuid(mv.ID))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	list, err := m.db.query(ctx, c, "WHERE s.id = ANY ($1)", ids)
	if err != nil {
		return err
	}
	found := map[rotation.SessionID]session.Session{}
	for _, s := range list {
		found[s.ID] = s
	}
	for _, mv := range batch {
		s, ok := found[mv.ID]
		switch {
		case mv.err == nil:
		case ok && s.State.Head == mv.Head && s.State.HeadAt.Equal(instant(millis(mv.At))) && s.Contact == mv.Contact && s.Constraint == mv.Constraint:
			mv.got, mv.err = s, nil
			mv.got.State.Ended, mv.got.End = false, session.End{} // as it was when the renewal was made
		case !ok || s.State.Head.Generation > mv.Head.Generation:
			mv.err = &store.Error{Where: m.db.where, Kind: ErrUnreachable, Err: errOutcome}
		}
	}
	return nil
}
