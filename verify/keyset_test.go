package verify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tacet-dev/tacet/verify"
)

// publish writes a JWK Set with go-jose, as issuers do.
func publish(keys map[string]any) string {
	var set jose.JSONWebKeySet
	for kid, k := range keys {
		jwk := jose.JSONWebKey{Key: k, KeyID: kid, Use: "sig", Algorithm: "EdDSA"}
		if _, ec := k.(*ecdsa.PublicKey); ec {
			jwk.Algorithm = "ES256"
		}
		set.Keys = append(set.Keys, jwk)
	}
	b, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func newKey() ed25519.PublicKey {
	k, _, _ := ed25519.GenerateKey(rand.Reader)
	return k
}

// issuerFake answers fetches in place of a network, so that time can be fake.
type issuerFake struct {
	mu      sync.Mutex
	body    string
	status  int
	err     error
	delay   time.Duration
	fetches int
}

func (f *issuerFake) set(body string, status int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.body, f.status, f.err = body, status, err
}

func (f *issuerFake) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fetches
}

func (f *issuerFake) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.fetches++
	body, status, err, delay := f.body, f.status, f.err, f.delay
	f.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}, Request: r}, nil
}

func newKeySet(t *testing.T, f *issuerFake, c verify.KeySetConfig) *verify.KeySet {
	t.Helper()
	c.URL = issuer + "/.well-known/jwks.json"
	c.Client = &http.Client{Transport: f}
	s, err := verify.NewKeySet(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeySetFetchesOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &issuerFake{body: publish(map[string]any{"a": newKey()}), status: 200, delay: time.Second}
		s := newKeySet(t, f, verify.KeySetConfig{})
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				ctx, want := t.Context(), error(nil)
				if i == 0 {
					ctx, want = impatient, context.DeadlineExceeded // one that leaves ends nothing for the others
				}
				if _, err := s.Key(ctx, "a"); !errors.Is(err, want) {
					t.Errorf("%d: %v, want %v", i, err, want)
				}
			})
		}
		wg.Wait()
		if n := f.count(); n != 1 {
			t.Errorf("%d fetches", n)
		}
	})
}

func TestKeySetUnknownKidsCostOneFetchPerCooldown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &issuerFake{body: publish(map[string]any{"a": newKey()}), status: 200}
		s := newKeySet(t, f, verify.KeySetConfig{})
		for i := range 600 { // a minute of forged tokens
			if _, err := s.Key(t.Context(), fmt.Sprint("forged", i)); !errors.Is(err, verify.ErrUnknownKey) {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := f.count(); n != 6 {
			t.Errorf("%d fetches in 60 s with a cooldown of 10 s", n)
		}
		// A key that appears is found by the first fetch after that.
		f.set(publish(map[string]any{"b": newKey()}), 200, nil)
		time.Sleep(10 * time.Second)
		if _, err := s.Key(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		if _, err := s.Key(t.Context(), "a"); !errors.Is(err, verify.ErrUnknownKey) {
			t.Errorf("a withdrawn key: %v", err)
		}
	})
}

func TestKeySetRefreshesAheadWithoutMakingAnyoneWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newKey(), newKey()
		f := &issuerFake{body: publish(map[string]any{"a": a}), status: 200}
		s := newKeySet(t, f, verify.KeySetConfig{})
		if err := s.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.set(publish(map[string]any{"b": b}), 200, nil)
		f.delay = 3 * time.Second
		time.Sleep(verify.DefaultRefreshEvery)
		began := time.Now()
		if _, err := s.Key(t.Context(), "a"); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		time.Sleep(4 * time.Second)
		if _, err := s.Key(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		if _, err := s.Key(t.Context(), "a"); !errors.Is(err, verify.ErrUnknownKey) || f.count() != 2 {
			t.Errorf("a withdrawn key: %v after %d fetches", err, f.count())
		}
	})
}

func TestKeySetAsksFirstAfterALongPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &issuerFake{body: publish(map[string]any{"a": newKey()}), status: 200}
		s := newKeySet(t, f, verify.KeySetConfig{})
		if _, err := s.Key(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		f.set(publish(map[string]any{"b": newKey()}), 200, nil)
		time.Sleep(time.Hour)
		if _, err := s.Key(t.Context(), "a"); !errors.Is(err, verify.ErrUnknownKey) {
			t.Errorf("a key that was withdrawn an hour ago: %v", err)
		}
	})
}

func TestKeySetSurvivesAnOutageForMaxStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := publish(map[string]any{"a": newKey()})
		var told atomic.Int64
		f := &issuerFake{body: good, status: 200}
		s := newKeySet(t, f, verify.KeySetConfig{MaxStale: time.Hour, OnError: func(error) { told.Add(1) }})
		if _, err := s.Key(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		f.set("", 0, errors.New("connection refused"))
		f.delay = time.Second / 2
		for time.Since(start) < time.Hour {
			asked := time.Now()
			if _, err := s.Key(t.Context(), "a"); err != nil || time.Since(asked) > 0 {
				t.Fatalf("after %v: %v, having waited %v", time.Since(start), err, time.Since(asked))
			}
			time.Sleep(time.Second)
		}
		// 55 minutes of attempts: 1, 2, 4, 8 s and then every 10 s.
		if n := f.count(); n < 300 || n > 340 || int64(n-1) != told.Load() {
			t.Errorf("%d attempts, %d errors told", n, told.Load())
		}
		for _, kid := range []string{"a", "new"} {
			if _, err := s.Key(t.Context(), kid); !errors.Is(err, verify.ErrKeysUnavailable) {
				t.Errorf("%s after %v: %v", kid, time.Since(start), err)
			}
		}
		f.set(good, 200, nil)
		time.Sleep(10 * time.Second)
		if _, err := s.Key(t.Context(), "a"); err != nil {
			t.Errorf("after the outage: %v", err)
		}
		// An issuer that does not know the kid says so, one that is away does not.
		if _, err := s.Key(t.Context(), "new"); !errors.Is(err, verify.ErrUnknownKey) {
			t.Error(err)
		}
		f.set("", 0, errors.New("connection refused"))
		time.Sleep(10 * time.Second)
		before := f.count()
		for range 3 { // the second outage begins with short pauses again: now, after 1 s, after 2 s
			if _, err := s.Key(t.Context(), "new"); !errors.Is(err, verify.ErrKeysUnavailable) {
				t.Error(err)
			}
			time.Sleep(2 * time.Second)
		}
		if n := f.count() - before; n != 3 {
			t.Errorf("%d attempts", n)
		}
	})
}

func TestKeySetDoesNotHangOnAHangingIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &issuerFake{delay: time.Hour}
		s := newKeySet(t, f, verify.KeySetConfig{})
		began := time.Now()
		if _, err := s.Key(t.Context(), "a"); !errors.Is(err, verify.ErrKeysUnavailable) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		// Within the back-off nobody waits at all.
		if _, err := s.Key(t.Context(), "a"); !errors.Is(err, verify.ErrKeysUnavailable) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestKeySetKeepsTheLastGoodSet(t *testing.T) {
	k := newKey()
	good := publish(map[string]any{"a": k})
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	x := encode([]byte(k))
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"500":           {good, 500},
		"404":           {good, 404},
		"redirect":      {good, 302},
		"HTML":          {"<html>", 200},
		"cut off":       {good[:len(good)-5], 200},
		"empty":         {"", 200},
		"no keys":       {`{"keys":[]}`, 200},
		"no key of use": {`{"keys":[{"kty":"RSA","kid":"r","n":"AQAB","e":"AQAB"},{"kty":"OKP","crv":"X25519","kid":"x","x":"` + x + `"}]}`, 200},
		"huge":          {good[:len(good)-1] + `,"x":"` + strings.Repeat("x", 1<<20) + `"}`, 200},
		"many":          {`{"keys":[` + strings.Repeat(`{"kty":"RSA"},`, 200) + `{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + x + `"}]}`, 200},
		"a private key": {publish(map[string]any{"a": private}), 200},
		"a secret":      {`{"keys":[{"kty":"oct","kid":"s","k":"c2VjcmV0"},{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + x + `"}]}`, 200},
		"one kid twice": {`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + x + `"},{"kty":"OKP","crv":"Ed25519","kid":"a","x":"` + encode([]byte(newKey())) + `"}]}`, 200},
		"a broken key":  {`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AAAA"}]}`, 200},
		"off the curve": {`{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"` + x + `","y":"` + x + `"}]}`, 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &issuerFake{body: good, status: 200}
				var told error
				s := newKeySet(t, f, verify.KeySetConfig{OnError: func(err error) { told = err }})
				if err := s.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				f.set(c.body, c.status, nil)
				if err := s.Refresh(t.Context()); !errors.Is(err, verify.ErrKeysUnavailable) {
					t.Errorf("Refresh: %v", err)
				}
				synctest.Wait()
				if told == nil || strings.Contains(told.Error(), x) || strings.Contains(told.Error(), "c2VjcmV0") {
					t.Errorf("told: %v", told)
				}
				if got, err := s.Key(t.Context(), "a"); err != nil || !k.Equal(got) {
					t.Errorf("the last good key: %v", err)
				}
			})
		})
	}
}

func TestKeySetSurvivesAClockThatJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newClock()
		f := &issuerFake{body: publish(map[string]any{"a": newKey()}), status: 200}
		s := newKeySet(t, f, verify.KeySetConfig{Clock: k.Now})
		k.Add(100 * 24 * time.Hour)
		if _, err := s.Key(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		k.Set(t0) // back again: what was fetched in the future must not be fresh for 100 days
		f.set(publish(map[string]any{"b": newKey()}), 200, nil)
		_, _ = s.Key(t.Context(), "a")
		synctest.Wait()
		if _, err := s.Key(t.Context(), "a"); !errors.Is(err, verify.ErrUnknownKey) {
			t.Errorf("a withdrawn key: %v", err)
		}
	})
}

func TestKeySetOverHTTP(t *testing.T) {
	set := publish(map[string]any{"ed": edPublic, "ec": &ecPrivate.PublicKey})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/jwks", http.StatusFound)
			return
		}
		fmt.Fprint(w, set)
	}))
	defer srv.Close()
	ks, err := verify.NewKeySet(verify.KeySetConfig{URL: srv.URL + "/jwks"})
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(t, verify.Config{Keys: ks})
	for _, raw := range []string{goodToken(), signEC(header(object{"alg": "ES256", "kid": "ec"}), claims(nil))} {
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Error(err)
		}
	}
	moved, err := verify.NewKeySet(verify.KeySetConfig{URL: srv.URL + "/moved"})
	if err != nil {
		t.Fatal(err)
	}
	if err := moved.Refresh(t.Context()); err == nil {
		t.Error("followed a redirect")
	}
}

func TestNewKeySetRefusesUnsafeURLs(t *testing.T) {
	for url, good := range map[string]bool{
		"https://auth.example.com/jwks": true, "http://127.0.0.1:8080/jwks": true, "http://[::1]/jwks": true, "http://localhost/jwks": true,
		"": false, "/jwks": false, "http://auth.example.com/jwks": false, "file:///etc/passwd": false, "https://": false,
		"http://localhost.example.com/jwks": false, "https://user:pass@auth.example.com/jwks": false, "ftp://127.0.0.1/": false,
	} {
		if _, err := verify.NewKeySet(verify.KeySetConfig{URL: url}); (err == nil) != good {
			t.Errorf("%q: %v", url, err)
		} else if err != nil && strings.Contains(err.Error(), "pass@") {
			t.Errorf("shows a password: %v", err)
		}
	}
	if _, err := verify.NewKeySet(verify.KeySetConfig{URL: "http://auth.example.com/jwks", InsecureHTTP: true}); err != nil {
		t.Error(err)
	}
	if _, err := verify.NewKeySet(verify.KeySetConfig{URL: issuer, MaxStale: -1}); err == nil {
		t.Error("took a negative MaxStale")
	}
}
