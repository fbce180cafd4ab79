package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/client/internal/fakeauth"
	"github.com/tacet-dev/tacet/wire"
)

func TestAFreshTokenCostsNothing(t *testing.T) {
	w := newWorld(t, nil).signIn()
	first := w.token()
	for range 100 {
		if tok := w.token(); tok != first {
			t.Fatalf("token changed: %v", tok)
		}
	}
	w.renewals(0)
	if n := testing.AllocsPerRun(100, func() { w.token() }); n != 0 {
		t.Errorf("Token allocates %v times", n)
	}
}

func TestRenewalAheadDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		old := w.token()
		time.Sleep(13 * time.Minute) // of 15: due, and still good
		w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.Slow, Delay: 3 * time.Second})
		start := time.Now()
		for range 10 {
			if w.token() != old {
				t.Fatal("waited for a renewal that it had no need of")
			}
		}
		if d := time.Since(start); d != 0 {
			t.Fatalf("Token took %v", d)
		}
		time.Sleep(4 * time.Second)
		if w.token() == old {
			t.Fatal("the renewal beside did not happen")
		}
		w.renewals(1)
	})
}

func TestLifetimesCountFromReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *client.Config) { c.Leeway = time.Second }).signIn()
		if got, want := w.token().ExpiresAt, time.Now().Add(15*time.Minute); !got.Equal(want) {
			t.Fatalf("expires %v, want %v", got, want)
		}
		old := w.token()
		w.loseAll() // so that no renewal ahead comes between
		time.Sleep(15*time.Minute - time.Second - time.Nanosecond)
		if w.token() != old {
			t.Fatal("token given up early")
		}
		time.Sleep(time.Minute) // past its end, and past the backoff
		_, err := w.source.Token(t.Context())
		wantErr[*client.TemporaryError](t, err)
	})
}

func TestWaitersHonourTheirOwnContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		time.Sleep(time.Hour)
		w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.Slow, Delay: 5 * time.Second})

		// The first caller starts the renewal and leaves; the second has a
		// deadline; the third stays.
		ctx, cancel := context.WithCancel(t.Context())
		left, late, stayed := make(chan error, 1), make(chan error, 1), make(chan error, 1)
		go func() { _, err := w.source.Token(ctx); left <- err }()
		synctest.Wait()
		go func() {
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			_, err := w.source.Token(ctx)
			late <- err
		}()
		go func() { _, err := w.source.Token(t.Context()); stayed <- err }()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled caller: %v", err)
		}
		if err := <-late; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("caller with a deadline: %v", err)
		}
		if err := <-stayed; err != nil {
			t.Errorf("caller that stayed: %v", err)
		}
		w.renewals(1)
	})
}

func TestARenewalGoesOnWithoutItsCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		time.Sleep(time.Hour)
		w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.Slow, Delay: 5 * time.Second})
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := w.source.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		w.token()
		w.renewals(1)
	})
}

func TestWaitersShareTheFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		time.Sleep(time.Hour)
		w.watch.Plan(func(*http.Request) fakeauth.Fault {
			return fakeauth.Fault{Kind: fakeauth.Answer, Status: 503, RetryAfter: 7}
		})
		errs := make(chan error, 50)
		for range cap(errs) {
			go func() { _, err := w.source.Token(t.Context()); errs <- err }()
		}
		for range cap(errs) {
			e := wantErr[*client.TemporaryError](t, <-errs)
			if e.Status != 503 || e.RetryAfter < 7*time.Second {
				t.Fatalf("status %d, retry after %v", e.Status, e.RetryAfter)
			}
		}
		if n := w.watch.Calls(refreshPath); n != 1 {
			t.Fatalf("%d calls to a server that asked for quiet, want 1", n)
		}
	})
}

func TestRetryAfterIsKept(t *testing.T) {
	for _, status := range []int{429, 503} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil).signIn()
			time.Sleep(time.Hour)
			w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.Answer, Status: status, RetryAfter: 30})
			_, err := w.source.Token(t.Context())
			wantErr[*client.TemporaryError](t, err)
			time.Sleep(20 * time.Second)
			_, err = w.source.Token(t.Context())
			if e := wantErr[*client.TemporaryError](t, err); e.RetryAfter != 10*time.Second {
				t.Errorf("%d: after 20 s, RetryAfter is %v", status, e.RetryAfter)
			}
			if n := w.watch.Calls(refreshPath); n != 1 {
				t.Errorf("%d: %d calls, want 1", status, n)
			}
			time.Sleep(10 * time.Second)
			w.token()
		})
	}
}

func TestBackoffGrowsAndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		time.Sleep(time.Hour)
		w.loseAll()
		start := time.Now()
		for time.Since(start) < time.Hour {
			_, err := w.source.Token(t.Context())
			wantErr[*client.TemporaryError](t, err)
			time.Sleep(100 * time.Millisecond)
		}
		// An hour at up to one minute each (less up to half), 3 attempts each.
		if n := w.watch.Calls(refreshPath); n < 3*60 || n > 3*140 {
			t.Errorf("%d calls in an hour without network", n)
		}
		w.watch.Plan(nil)
		time.Sleep(time.Minute)
		w.token()
		if w.auth.Living() != 1 {
			t.Error("signed out")
		}
	})
}

// Every kind of trouble keeps the session, and is over when it is over.
func TestTroubleNeverSignsOut(t *testing.T) {
	faults := map[string]fakeauth.Fault{
		"request lost": {Kind: fakeauth.LoseRequest},
		"answer lost":  {Kind: fakeauth.LoseAnswer},
		"hang":         {Kind: fakeauth.Hang},
		"slow":         {Kind: fakeauth.Slow, Delay: 20 * time.Second},
		"hotel page":   {Kind: fakeauth.Page},
	}
	for _, status := range []int{204, 301, 302, 307, 400, 401, 403, 404, 407, 413, 429, 500, 502, 503, 504} {
		faults[fmt.Sprint(status)] = fakeauth.Fault{Kind: fakeauth.Answer, Status: status}
	}
	for name, f := range faults {
		for _, times := range []int{1, 2, 3, 7} {
			t.Run(fmt.Sprintf("%s×%d", name, times), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, nil).signIn()
					old := w.token()
					time.Sleep(time.Hour)
					plan := make([]fakeauth.Fault, times)
					for i := range plan {
						plan[i] = f
					}
					w.watch.Next(refreshPath, plan...)
					for range 60 { // minutes
						tok, err := w.source.Token(t.Context())
						if err == nil {
							if tok == old {
								t.Fatal("an old token came back")
							}
							if w.auth.Living() != 1 || w.auth.Refused() != 0 {
								t.Fatal("the server refused a presentation")
							}
							return
						}
						wantErr[*client.TemporaryError](t, err)
						time.Sleep(time.Minute)
					}
					t.Fatal("never came back")
				})
			})
		}
	}
}

func TestALostAnswerIsRepeatedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		time.Sleep(time.Hour)
		w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.LoseAnswer}, fakeauth.Fault{Kind: fakeauth.LoseAnswer})
		w.token() // without an error
		if n := w.watch.Calls(refreshPath); n != 3 {
			t.Errorf("%d calls, want 3", n)
		}
	})
}

func TestARefusalIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		id := w.token().Session
		time.Sleep(time.Hour)
		w.auth.EndAll()
		w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.Slow, Delay: time.Second})
		errs := make(chan error, 20)
		for range cap(errs) {
			go func() { _, err := w.source.Token(t.Context()); errs <- err }()
		}
		for range cap(errs) {
			e := wantErr[*client.SignedOutError](t, <-errs)
			if p := wantErr[*client.ProblemError](t, e); e.Session != id || p.Code != wire.CodeInvalidGrant {
				t.Fatalf("%+v", e)
			}
		}
		if b, _ := w.store.Load(t.Context()); b != nil {
			t.Error("the dead session is still stored")
		}
		for range 5 { // and stays so, without asking the server or telling again
			_, err := w.source.Token(t.Context())
			if !errors.Is(err, client.ErrNotSignedIn) {
				t.Fatal(err)
			}
		}
		if n := w.watch.Calls(refreshPath); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
		synctest.Wait()
		if n := len(w.ended); n != 1 {
			t.Errorf("OnSignedOut called %d times", n)
		}
		w.signIn()
		w.token()
	})
}

// The refused token is cleared only if it is still the stored one.
func TestARefusalDoesNotWipeANewerSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		time.Sleep(time.Hour)
		w.auth.EndAll()
		// Someone who does not respect the lock signs in while the answer to
		// the old token is on its way.
		other := client.NewMemoryStore()
		s := w.newSource(func(c *client.Config) { c.Store = other })
		w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.Slow, Delay: 2 * time.Second})
		go func() {
			time.Sleep(time.Second)
			_, err := s.SignIn(t.Context(), fakeauth.Username, fakeauth.Password)
			must(t, err)
			b, _ := other.Load(t.Context())
			must(t, w.store.Save(t.Context(), b))
		}()
		w.token()
		if len(w.ended) != 0 {
			t.Error("told of a sign-out")
		}
	})
}

func TestSignOutBeatsARenewalInFlight(t *testing.T) {
	for _, kind := range []fakeauth.FaultKind{fakeauth.Hang, fakeauth.Slow} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil).signIn()
			time.Sleep(time.Hour)
			w.watch.Next(refreshPath, fakeauth.Fault{Kind: kind, Delay: 5 * time.Second})
			got := make(chan error, 1)
			go func() { _, err := w.source.Token(t.Context()); got <- err }()
			synctest.Wait()
			start := time.Now()
			must(t, w.source.SignOut(t.Context()))
			if d := time.Since(start); d > time.Second {
				t.Errorf("sign-out waited %v", d)
			}
			wantErr[*client.SignedOutError](t, <-got)
			time.Sleep(10 * time.Second) // a late answer brings nothing back
			_, err := w.source.Token(t.Context())
			wantErr[*client.SignedOutError](t, err)
			if w.auth.Living() != 0 {
				t.Error("the session lives on")
			}
			if len(w.ended) != 0 {
				t.Error("OnSignedOut was called for the program's own sign-out")
			}
		})
	}
}

func TestSignOutWithoutTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		w.loseAll()
		wantErr[*client.TemporaryError](t, w.source.SignOut(t.Context()))
		_, err := w.source.Token(t.Context())
		wantErr[*client.SignedOutError](t, err)
		must(t, w.source.SignOut(t.Context())) // nothing left to do
	})
}

func TestSignOutEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		s := w.newSource(func(c *client.Config) { c.Store = client.NewMemoryStore() })
		_, err := s.SignIn(t.Context(), fakeauth.Username, fakeauth.Password)
		must(t, err)
		must(t, s.SignOutEverywhere(t.Context()))
		if w.auth.Living() != 0 {
			t.Error("another session lives on")
		}
	})
}

func TestSignInRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		_, err := w.source.SignIn(t.Context(), fakeauth.Username, "wrong")
		if p := wantErr[*client.ProblemError](t, err); p.Code != wire.CodeInvalidCredentials {
			t.Errorf("code %q", p.Code)
		}
		if strings.Contains(err.Error(), "wrong") {
			t.Errorf("the password is in the error: %v", err)
		}
		w.watch.Next("/auth/login", fakeauth.Fault{Kind: fakeauth.Answer, Status: 429, RetryAfter: 60})
		_, err = w.source.SignIn(t.Context(), fakeauth.Username, fakeauth.Password)
		if e := wantErr[*client.TemporaryError](t, err); e.RetryAfter != time.Minute {
			t.Errorf("RetryAfter %v", e.RetryAfter)
		}
		_, err = w.source.Token(t.Context())
		if !errors.Is(err, client.ErrNotSignedIn) {
			t.Error(err)
		}
	})
}

func TestWhoIsSignedIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		time.Sleep(time.Hour)
		w.token() // a renewal does not name the user, and must not forget it
		s, err := w.source.Session(t.Context())
		must(t, err)
		if s.User.Username != fakeauth.Username || s.ID != w.token().Session || !s.ExpiresAt.After(time.Now()) {
			t.Errorf("%+v", s)
		}
	})
}

func TestConfirmMovesTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *client.Config) { c.Confirm = true }).signIn()
		time.Sleep(time.Hour)
		w.token()
		synctest.Wait()
		if n := w.watch.Calls(confirmPath); n != 1 {
			t.Errorf("%d confirmations, want 1", n)
		}
		time.Sleep(time.Hour)
		w.watch.Next(confirmPath, fakeauth.Fault{Kind: fakeauth.Hang})
		w.token() // the confirmation's trouble is nobody's
		time.Sleep(time.Hour)
		w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.LoseAnswer})
		w.token() // no confirmation after trouble
		synctest.Wait()
		if n := w.watch.Calls(confirmPath); n != 2 {
			t.Errorf("%d confirmations, want 2", n)
		}
		if w.auth.Refused() != 0 {
			t.Error("refused")
		}
	})
}

// An answer to a slow duplicate has no refresh token: the one in the store
// stays, also if that is a newer one than was presented.
func TestAnAnswerWithoutRefreshTokenKeepsTheStoredOne(t *testing.T) {
	for _, storeMovesOn := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil).signIn()
			first, _ := w.store.Load(t.Context())
			time.Sleep(time.Hour)
			_, err := w.source.Renew(t.Context(), w.token())
			must(t, err)
			newest, _ := w.store.Load(t.Context())

			// The first token is now the head's parent. Present it again.
			must(t, w.store.Save(t.Context(), first))
			old, want := w.token(), first
			if storeMovesOn {
				want = newest
				w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.Slow, Delay: time.Second})
				time.AfterFunc(time.Second/2, func() { must(t, w.store.Save(t.Context(), newest)) })
			}
			tok, err := w.source.Renew(t.Context(), old)
			must(t, err)
			kept, _ := w.store.Load(t.Context())
			if tok == old || refreshToken(t, kept) != refreshToken(t, want) {
				t.Errorf("store moves on %v: wrong refresh token kept", storeMovesOn)
			}
			must(t, w.store.Save(t.Context(), newest))
			time.Sleep(time.Hour)
			w.token()
			if w.auth.Refused() != 0 {
				t.Error("refused")
			}
		})
	}
}

func refreshToken(t *testing.T, record []byte) string {
	var r struct {
		RefreshToken string `json:"refresh_token"`
	}
	must(t, json.Unmarshal(record, &r))
	if r.RefreshToken == "" {
		t.Fatal("no refresh token in the record")
	}
	return r.RefreshToken
}

func TestRenewReturnsAnotherToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		old := w.token()
		tok, err := w.source.Renew(t.Context(), old)
		must(t, err)
		again, err := w.source.Renew(t.Context(), old) // it was replaced already
		must(t, err)
		if tok == old || again != tok {
			t.Errorf("%q, %q, %q", old.AccessToken, tok.AccessToken, again.AccessToken)
		}
		w.renewals(1)
	})
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		time.Sleep(time.Hour)
		w.watch.Next(refreshPath, fakeauth.Fault{Kind: fakeauth.Hang})
		got := make(chan error, 1)
		go func() { _, err := w.source.Token(t.Context()); got <- err }()
		synctest.Wait()
		w.source.Close()
		if err := <-got; !errors.Is(err, client.ErrClosed) {
			t.Errorf("waiter: %v", err)
		}
		for name, f := range map[string]func() error{
			"Token":   func() error { _, err := w.source.Token(t.Context()); return err },
			"SignIn":  func() error { _, err := w.source.SignIn(t.Context(), "a", "b"); return err },
			"SignOut": func() error { return w.source.SignOut(t.Context()) },
			"Session": func() error { _, err := w.source.Session(t.Context()); return err },
		} {
			if err := f(); !errors.Is(err, client.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.source.Close()
		s := w.newSource(nil) // the session is still there
		if _, err := s.Token(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestASecretIsNeverPrinted(t *testing.T) {
	w := newWorld(t, nil).signIn()
	tok := w.token()
	text := fmt.Sprintf("%v %+v %#v %s %q", tok, tok, tok, tok, tok) + fmt.Sprint(tok.LogValue())
	if strings.Contains(text, tok.AccessToken) {
		t.Error("the token is in its printed form")
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]client.Config{
		"no URL":       {},
		"no scheme":    {URL: "example.com/auth"},
		"other scheme": {URL: "ftp://example.com/auth"},
		"password":     {URL: "https://u:geheim@example.com/auth"},
		"query":        {URL: "https://example.com/auth?x=1"},
		"plain http":   {URL: "http://example.com/auth"},
		"RenewAt":      {URL: authURL, RenewAt: 1},
		"Leeway":       {URL: authURL, Leeway: -1},
		"control":      {URL: "https://example.com/\x7f:geheim@"},
	} {
		_, err := client.New(cfg)
		if err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, url := range []string{authURL, authURL + "/", "http://127.0.0.1:1/auth", "http://[::1]:1", "http://localhost:1/auth"} {
		if _, err := client.New(client.Config{URL: url}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := client.New(client.Config{URL: "http://example.com/auth", InsecureHTTP: true}); err != nil {
		t.Error(err)
	}
}

// A process that is slow with the lock in its hands is a temporary trouble for
// the others, and no trouble at all while there is a usable token.
func TestALockThatIsHeldForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil).signIn()
		unlock, err := w.store.Lock(t.Context())
		must(t, err)
		if _, err := w.newSource(nil).Token(t.Context()); err != nil {
			t.Errorf("with a usable token in the store: %v", err)
		}
		time.Sleep(time.Hour)
		_, err = w.source.Token(t.Context())
		if e := wantErr[*client.StoreError](t, err); e.Op != "lock" {
			t.Error(err)
		}
		wantErr[*client.TemporaryError](t, err)
		unlock()
		time.Sleep(time.Minute)
		w.token()
	})
}
