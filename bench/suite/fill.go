package suite

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/postgres"
	"github.com/tacet-dev/tacet/internal/store/sqlite"
	"github.com/tacet-dev/tacet/rotation"

	"golang.org/x/sync/errgroup"
)

// importPage is how many rows go to PostgreSQL at once.
const importPage = 1000

// newUsers makes the people whom sessions belong to.
func newUsers(n int, at time.Time) []directory.User {
	users := make([]directory.User, n)
	for i := range users {
		users[i] = directory.User{ID: newSession(i, at).UserID, Name: fmt.Sprintf("user%07d", i), CreatedAt: at, GrantsVersion: 1}
	}
	return users
}

// ownedSessions makes n sessions of users in turn, in the order of their ids.
func ownedSessions(n int, users []directory.User, at time.Time) []session.Session {
	list := make([]session.Session, n)
	for i := range list {
		list[i] = newSession(i, at.Add(time.Duration(i)*time.Millisecond))
		list[i].UserID = users[i%len(users)].ID
	}
	slices.SortFunc(list, func(a, b session.Session) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return list
}

// fillSQLite writes through the store, as sign-ins do, but more at a time, and
// returns how many bytes sessions take.
func fillSQLite(ctx context.Context, dir string, users []directory.User, list []session.Session) (size int64, err error) {
	empty, err := inStore(ctx, dir, len(users), func(db *sqlite.DB, i int) error { return directory.NewStore(db.Documents()).CreateUser(ctx, users[i]) })
	if err != nil {
		return 0, err
	}
	full, err := inStore(ctx, dir, len(list), func(db *sqlite.DB, i int) error { return db.Sessions().Create(ctx, list[i]) })
	return full - empty, err
}

// fillPostgres writes as tacet migrate copy does.
func fillPostgres(ctx context.Context, db *database, users []directory.User, list []session.Session) (size int64, err error) {
	im, err := postgres.OpenImport(ctx, db.URL(), postgres.Options{Timeout: time.Minute})
	if err != nil {
		return 0, err
	}
	defer im.Close() // what was written was waited for
	dir := directory.NewStore(im.Documents())
	var adding errgroup.Group
	adding.SetLimit(8)
	for _, u := range users {
		adding.Go(func() error { return dir.CreateUser(ctx, u) })
	}
	if err := adding.Wait(); err != nil {
		return 0, err
	}
	empty, err := im.Size()
	if err != nil {
		return 0, err
	}
	var from rotation.SessionID
	for page := range slices.Chunk(list, importPage) {
		if _, err := im.PutSessions(ctx, from, page, false); err != nil {
			return 0, err
		}
		from = page[len(page)-1].ID
	}
	if err := im.Finish(ctx); err != nil {
		return 0, err
	}
	// What autovacuum does within a minute; not while something is measured.
	if err := db.exec(ctx, "VACUUM ANALYZE tacet_sessions"); err != nil {
		return 0, err
	}
	full, err := im.Size()
	return full - empty, err
}

// inStore opens the store in dir, calls write for 0…n-1 from many goroutines,
// closes the store and returns what it then takes on disk.
func inStore(ctx context.Context, dir string, n int, write func(*sqlite.DB, int) error) (int64, error) {
	db, err := sqlite.Open(ctx, dir, sqlite.Options{})
	if err != nil {
		return 0, err
	}
	next := make(chan int)
	errs := make(chan error, writersAtOnce)
	var wg sync.WaitGroup
	for range writersAtOnce {
		wg.Go(func() {
			var failed error
			for i := range next {
				if failed == nil {
					failed = write(db, i)
				}
			}
			errs <- failed
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	close(errs)
	for failed := range errs {
		if err == nil {
			err = failed
		}
	}
	if closed := db.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return 0, err
	}
	return db.Size()
}
