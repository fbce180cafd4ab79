package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestWrongMasterKeyIsNamed(t *testing.T) {
	s, c := &memory{}, newClock()
	open(t, config(t, s, c))
	cfg := config(t, s, c)
	cfg.Master = mustMaster(t, strings.Repeat("ab", 31)+"cd")
	before := slices.Clone(s.ring)
	if _, err := Open(t.Context(), cfg); !errors.Is(err, ErrWrongMaster) {
		t.Fatalf("got %v", err)
	}
	if s.version != 1 || !slices.EqualFunc(before, s.ring, func(a, b Key) bool { return a.ID == b.ID && bytes.Equal(a.Sealed, b.Sealed) }) {
		t.Error("a process with the wrong master key changed the ring")
	}
}

func TestStoredSecretsAreSealed(t *testing.T) {
	s := &memory{}
	r := open(t, config(t, s, newClock()))
	secret := r.MAC().Secret
	for _, k := range s.ring {
		if bytes.Contains(k.Sealed, secret[:]) || bytes.Contains(k.Sealed, r.view.Load().signers[0].key.(ed25519.PrivateKey).Seed()) {
			t.Errorf("key %d is stored in clear", k.ID)
		}
	}
}

// A store that was tampered with cannot pass one key off as another.
func TestSealedKeysAreBoundToTheirPlace(t *testing.T) {
	for name, tamper := range map[string]func([]Key){
		"another id":        func(ring []Key) { ring[0].ID = 7 },
		"another algorithm": func(ring []Key) { ring[0].Algorithm = ES256 },
		"swapped":           func(ring []Key) { ring[0].Sealed, ring[1].Sealed = ring[1].Sealed, ring[0].Sealed },
		"flipped bit":       func(ring []Key) { ring[1].Sealed[20] ^= 1 },
		"cut":               func(ring []Key) { ring[1].Sealed = ring[1].Sealed[:5] },
		"newer version":     func(ring []Key) { ring[1].Sealed[0]++ },
		"unknown use":       func(ring []Key) { ring[1].Use = "kem" },
	} {
		s, c := &memory{}, newClock()
		r := open(t, config(t, s, c))
		tamper(s.ring)
		old := r.view.Load()
		if err := r.Refresh(t.Context()); err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "another master") != (name == "swapped") { // all keys are foreign then
			t.Errorf("%s: %v", name, err)
		}
		if r.view.Load() != old {
			t.Errorf("%s: the ring in use was replaced", name)
		}
	}
}

func TestParseMaster(t *testing.T) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	raw[0] = 0xfb // makes + and / or - and _ likely
	sealed, err := mustMaster(t, hex.EncodeToString(raw)).seal(rand.Reader, Key{ID: 1}, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		hex.EncodeToString(raw), strings.ToUpper(hex.EncodeToString(raw)), " " + hex.EncodeToString(raw) + "\n",
		base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw) + "\n",
	} {
		if got, err := mustMaster(t, text).open(Key{ID: 1, Sealed: sealed}); err != nil || string(got) != "x" {
			t.Errorf("another key came of one of its spellings: %v", err)
		}
	}
	for _, text := range []string{"", "secret", strings.Repeat("a", 63), strings.Repeat("a", 65), strings.Repeat("00", 32), base64.StdEncoding.EncodeToString(raw[:31])} {
		if _, err := ParseMaster(text); err == nil || strings.Contains(err.Error(), "aaa") || !strings.Contains(err.Error(), "openssl rand") {
			t.Errorf("%d characters: %v", len(text), err)
		}
	}
	m := testMaster(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if s := fmt.Sprintf(verb, m); s != "keys.Master" {
			t.Errorf("%s shows %q", verb, s)
		}
	}
}

func TestMasterFile(t *testing.T) {
	s, dir := &memory{}, t.TempDir()
	path := filepath.Join(dir, MasterFile)
	o := MasterOptions{Dir: dir, Store: s}
	if _, err := LoadMaster(t.Context(), MasterOptions{Dir: dir}); !errors.Is(err, ErrMasterMissing) {
		t.Errorf("without a store: %v", err)
	}
	m, err := LoadMaster(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", st.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("files left behind: %v", left)
	}
	cfg := config(t, s, newClock())
	cfg.Master = m
	open(t, cfg)
	if cfg.Master, err = LoadMaster(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	open(t, cfg) // the same key again

	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		do   func() error
		want string
	}{
		"missing": {func() error { return os.Remove(path) }, "restore that file"},
		"open to others": {func() error {
			return errors.Join(os.WriteFile(path, text, 0o600), os.Chmod(path, 0o640))
		}, "chmod 600"},
		"empty":     {func() error { return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600)) }, "empty"},
		"no key":    {func() error { return errors.Join(os.Remove(path), os.WriteFile(path, []byte("hello"), 0o600)) }, "not 32 bytes"},
		"directory": {func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, path},
	} {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && name == "open to others" {
				t.Skip("no such modes there")
			}
			t.Cleanup(func() {
				if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, text, 0o600)); err != nil {
					t.Fatal(err)
				}
			})
			if err := c.do(); err != nil {
				t.Fatal(err)
			}
			_, err := LoadMaster(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if name == "missing" {
				if !errors.Is(err, ErrMasterMissing) {
					t.Errorf("got %v", err)
				}
				if _, err := os.Stat(path); err == nil {
					t.Error("a new master key was made although keys are stored")
				}
			}
		})
	}
	if _, err := LoadMaster(t.Context(), MasterOptions{File: filepath.Join(dir, "other"), Store: s}); !errors.Is(err, ErrMasterMissing) {
		t.Errorf("a file that was asked for is missing: %v", err)
	}
	if _, err := LoadMaster(t.Context(), MasterOptions{File: path, Value: "x"}); err == nil {
		t.Error("value and file together are accepted")
	}
	if _, err := LoadMaster(t.Context(), MasterOptions{Value: string(text)}); err != nil {
		t.Error(err)
	}
	if _, err := LoadMaster(t.Context(), MasterOptions{File: path}); err != nil {
		t.Error(err)
	}
}

// However many processes start at once on an empty directory, they end up with
// one master key and one ring.
func TestFirstStartOfManyProcesses(t *testing.T) {
	for range 20 {
		s, c, dir := &memory{}, newClock(), t.TempDir()
		rings := make([]*Ring, 8)
		var wg sync.WaitGroup
		for i := range rings {
			wg.Go(func() {
				m, err := LoadMaster(t.Context(), MasterOptions{Dir: dir, Store: s})
				if err != nil {
					t.Error(err)
					return
				}
				cfg := config(t, s, c)
				cfg.Master = m
				if rings[i], err = Open(t.Context(), cfg); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		for _, r := range rings {
			if string(r.JWKS()) != string(rings[0].JWKS()) || r.MAC() != rings[0].MAC() {
				t.Fatal("two processes have different keys")
			}
		}
		if len(s.ring) != 2 || s.version != 1 {
			t.Fatalf("%d keys, version %d", len(s.ring), s.version)
		}
	}
}
