package client_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/internal/fakeauth"
)

// fakeKeyring is a keyring in memory.
type fakeKeyring struct {
	mu     sync.Mutex
	secret *string
	fail   error
}

func (k *fakeKeyring) hooks() client.Keyring {
	return client.Keyring{
		Get: func() (string, bool, error) {
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.secret == nil || k.fail != nil {
				return "", false, k.fail
			}
			return *k.secret, true, nil
		},
		Set: func(s string) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.secret = &s
			return k.fail
		},
		Delete: func() error {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.secret = nil
			return k.fail
		},
	}
}

func stores(t *testing.T) map[string]client.TokenStore {
	file, err := client.NewFileStore(filepath.Join(t.TempDir(), "new", "dir", "token.json"))
	must(t, err)
	alone, err := client.NewKeyringStore((&fakeKeyring{}).hooks(), "")
	must(t, err)
	locked, err := client.NewKeyringStore((&fakeKeyring{}).hooks(), filepath.Join(t.TempDir(), "keyring.lock"))
	must(t, err)
	return map[string]client.TokenStore{"memory": client.NewMemoryStore(), "file": file, "keyring": alone, "keyring with lock": locked}
}

// The contract of TokenStore.
func TestStores(t *testing.T) {
	for name, s := range stores(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			load := func(want string) {
				t.Helper()
				b, err := s.Load(ctx)
				must(t, err)
				if string(b) != want || (b == nil) != (want == "") {
					t.Fatalf("loaded %q, want %q", b, want)
				}
			}
			load("")
			unlock, err := s.Lock(ctx)
			must(t, err)
			must(t, s.Clear(ctx))
			record := []byte("one")
			must(t, s.Save(ctx, record))
			record[0] = 'X' // the store has its own
			load("one")
			must(t, s.Save(ctx, []byte("two, which is longer")))
			must(t, s.Save(ctx, []byte("3")))
			load("3")

			short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
			defer cancel()
			if _, err := s.Lock(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a held lock: %v", err)
			}
			unlock()
			inside, most := 0, 0
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					unlock, err := s.Lock(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					inside++
					most = max(most, inside)
					mu.Unlock()
					runtime.Gosched()
					mu.Lock()
					inside--
					mu.Unlock()
					unlock()
				})
			}
			wg.Wait()
			if most != 1 {
				t.Errorf("%d held the lock at once", most)
			}
			must(t, s.Clear(ctx))
			must(t, s.Clear(ctx))
			load("")
		})
	}
}

// A whole life in every store.
func TestSessionsInEveryStore(t *testing.T) {
	for name, store := range stores(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.store = store
			w.source = w.newSource(nil)
			w.http = w.client(w.source)
			w.signIn()
			w.auth.ForgetAccess()
			if s := w.get("/"); s != 200 {
				t.Fatal(s)
			}
			again := w.newSource(nil)
			if tok, err := again.Token(t.Context()); err != nil || tok.AccessToken != w.token().AccessToken {
				t.Errorf("the next run: %v %v", tok, err)
			}
			w.renewals(1)
			must(t, again.SignOut(t.Context()))
			if b, err := store.Load(t.Context()); b != nil || err != nil {
				t.Errorf("left behind: %d bytes, %v", len(b), err)
			}
		})
	}
}

func tokenFile(t *testing.T) (client.TokenStore, string) {
	path := filepath.Join(t.TempDir(), "token.json")
	s, err := client.NewFileStore(path)
	must(t, err)
	return s, path
}

func TestTheTokenFileIsItsOwnersOnly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	s, path := tokenFile(t)
	must(t, s.Save(t.Context(), []byte("x")))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o", info.Mode().Perm())
	}
	for _, mode := range []os.FileMode{0o604, 0o640, 0o644, 0o620, 0o602, 0o610, 0o666} {
		must(t, os.Chmod(path, mode))
		_, err := s.Load(t.Context())
		if err == nil || !strings.Contains(err.Error(), "chmod 600") || !strings.Contains(err.Error(), path) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	must(t, os.Chmod(path, 0o400))
	if _, err := s.Load(t.Context()); err != nil {
		t.Error(err)
	}
	must(t, s.Save(t.Context(), []byte("y"))) // it is replaced, not written to
}

// A crash in the middle of a save leaves the old record, and what it left
// behind is in nobody's way.
func TestAnInterruptedSaveLeavesTheOldRecord(t *testing.T) {
	s, path := tokenFile(t)
	must(t, s.Save(t.Context(), []byte("old")))
	must(t, os.WriteFile(path+".tmp", []byte("ne"), 0o600))
	if b, err := s.Load(t.Context()); string(b) != "old" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	must(t, s.Save(t.Context(), []byte("new")))
	if b, err := s.Load(t.Context()); string(b) != "new" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	must(t, os.WriteFile(path+".tmp", []byte("secret"), 0o600))
	must(t, s.Clear(t.Context()))
	if left, _ := filepath.Glob(path + "*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestALinkedTokenFileStaysLinked(t *testing.T) {
	_, path := tokenFile(t)
	must(t, os.WriteFile(path, []byte("x"), 0o600))
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	s, err := client.NewFileStore(link)
	must(t, err)
	must(t, s.Save(t.Context(), []byte("y")))
	if b, _ := os.ReadFile(path); string(b) != "y" {
		t.Errorf("the file behind the link has %q", b)
	}
}

// brokenStore fails as told.
type brokenStore struct {
	client.TokenStore
	load, save, clear, lock error
}

func (b *brokenStore) Load(ctx context.Context) ([]byte, error) {
	if b.load != nil {
		return nil, b.load
	}
	return b.TokenStore.Load(ctx)
}
func (b *brokenStore) Save(ctx context.Context, r []byte) error {
	if b.save != nil {
		return b.save
	}
	return b.TokenStore.Save(ctx, r)
}
func (b *brokenStore) Clear(ctx context.Context) error {
	if b.clear != nil {
		return b.clear
	}
	return b.TokenStore.Clear(ctx)
}
func (b *brokenStore) Lock(ctx context.Context) (func(), error) {
	if b.lock != nil {
		return nil, b.lock
	}
	return b.TokenStore.Lock(ctx)
}

// A token that could not be stored is not used, and nothing is lost by it.
func TestAStoreThatFailsLosesNothing(t *testing.T) {
	full := errors.New("disk full")
	for name, breakIt := range map[string]func(*brokenStore, error){
		"lock": func(b *brokenStore, err error) { b.lock = err },
		"load": func(b *brokenStore, err error) { b.load = err },
		"save": func(b *brokenStore, err error) { b.save = err },
	} {
		t.Run(name, func(t *testing.T) {
			b := &brokenStore{TokenStore: client.NewMemoryStore()}
			w := newWorld(t, func(c *client.Config) { c.Store = b }).signIn()
			w.auth.ForgetAccess()
			breakIt(b, full)
			res, err := w.http.Get(apiURL)
			if err == nil {
				t.Fatal(res.Status)
			}
			if e := wantErr[*client.StoreError](t, err); e.Op != name || !errors.Is(err, full) {
				t.Errorf("%v", err)
			}
			breakIt(b, nil)
			s := w.newSource(func(c *client.Config) { c.Store = b }) // without the backoff
			w.http = w.client(s)
			if got := w.get("/"); got != 200 || w.auth.Refused() != 0 {
				t.Errorf("afterwards: %d, %d refused", got, w.auth.Refused())
			}
		})
	}
}

func TestASessionThatCannotBeKeptIsEnded(t *testing.T) {
	b := &brokenStore{TokenStore: client.NewMemoryStore(), save: errors.New("disk full")}
	w := newWorld(t, func(c *client.Config) { c.Store = b })
	_, err := w.source.SignIn(t.Context(), fakeauth.Username, fakeauth.Password)
	wantErr[*client.StoreError](t, err)
	if w.auth.Living() != 0 || w.watch.Calls(logoutPath) != 1 {
		t.Errorf("%d sessions live, %d sign-outs", w.auth.Living(), w.watch.Calls(logoutPath))
	}
}

func TestWhatIsInTheStoreIsChecked(t *testing.T) {
	for text, want := range map[string]string{
		"":         "no valid JSON",
		"{":        "no valid JSON",
		"[]":       "no valid JSON",
		"{}":       "members are missing",
		`"geheim"`: "no valid JSON",
		`{"version":2,"server":"https://auth.test/auth","refresh_token":"geheim"}`:                         "newer version",
		`{"version":1,"server":"https://auth.test/auth"}`:                                                  "members are missing",
		`{"version":1,"server":"https://evil.test/auth","refresh_token":"geheim"}`:                         "belongs to",
		`{"version":1,"server":"https://auth.test/auth","refresh_token":"geheim","access_token":"a\nb"}`:   "damaged",
		`{"version":1,"server":"https://auth.test/auth","refresh_token":"geheim","expires_in":-1}`:         "damaged",
		strings.Repeat(" ", 1<<20) + `{"version":1,"server":"https://auth.test/auth","refresh_token":"g"}`: "too many",
	} {
		s, path := tokenFile(t)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		w := newWorld(t, func(c *client.Config) { c.Store = s })
		_, err := w.source.Token(t.Context())
		wantErr[*client.StoreError](t, err)
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%.60q: %v", text, err)
		}
		if w.watch.Calls(refreshPath) != 0 {
			t.Errorf("%.60q was sent somewhere", text)
		}
		if len(text) < 100 {
			w.signIn() // replaces it
			w.token()
		}
	}
}

func TestStoresAreChecked(t *testing.T) {
	if _, err := client.NewFileStore(""); err == nil {
		t.Error("empty path accepted")
	}
	if _, err := client.NewKeyringStore(client.Keyring{}, ""); err == nil {
		t.Error("empty keyring accepted")
	}
	k := &fakeKeyring{fail: errors.New("locked")}
	s, err := client.NewKeyringStore(k.hooks(), "")
	must(t, err)
	w := newWorld(t, func(c *client.Config) { c.Store = s })
	_, err = w.source.Token(t.Context())
	wantErr[*client.StoreError](t, err)
}
