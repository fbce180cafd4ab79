package limit

import (
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

func newServer(t *testing.T) (*Server, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	log, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return New(log), path
}

func post(s *Server, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	return w
}

func refreshCookie(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	for _, c := range w.Result().Cookies() {
		if c.Name == Cookie {
			return c.Value
		}
	}
	t.Fatalf("no refresh cookie in the answer %d %s", w.Code, w.Body)
	return ""
}

// The reference is only worth something if it does the work it claims to do.
func TestRefreshRotatesSignsAndAppends(t *testing.T) {
	s, path := newServer(t)
	token := refreshCookie(t, post(s, PathLogin, ""))
	const renewals = 5
	for range renewals {
		w := post(s, PathRefresh, `{"refresh_token":"`+token+`"}`)
		if w.Code != http.StatusOK {
			t.Fatalf("refresh: %d %s", w.Code, w.Body)
		}
		next := refreshCookie(t, w)
		if next == token {
			t.Fatal("the token did not rotate")
		}
		token = next

		var body struct {
			AccessToken string `json:"access_token"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
		_, err := jwt.Parse(body.AccessToken, func(*jwt.Token) (any, error) {
			return s.signer.key.Public().(ed25519.PublicKey), nil
		}, jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithExpirationRequired())
		if err != nil {
			t.Fatalf("access token: %v", err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64((renewals + 1) * recordLen); info.Size() != want {
		t.Errorf("the log has %d bytes, want %d", info.Size(), want)
	}
}

func TestRefreshRefusesForgedTokens(t *testing.T) {
	s, path := newServer(t)
	token := refreshCookie(t, post(s, PathLogin, ""))
	before, _ := os.Stat(path)
	flipped := "A" + token[1:]
	if flipped == token {
		flipped = "B" + token[1:]
	}
	for _, body := range []string{`{"refresh_token":"` + flipped + `"}`, `{"refresh_token":""}`, `{}`, `[`, ``} {
		if w := post(s, PathRefresh, body); w.Code != http.StatusBadRequest {
			t.Errorf("%q was answered %d, want 400", body, w.Code)
		}
	}
	if after, _ := os.Stat(path); after.Size() != before.Size() {
		t.Error("a refused request wrote to the log")
	}
}

func TestLogKeepsEveryConcurrentAppendWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	log, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	const writers, each = 16, 20
	for w := range writers {
		wg.Go(func() {
			rec := []byte(strings.Repeat(string(rune('a'+w)), recordLen))
			for range each {
				c, err := log.Append(rec)
				if err == nil {
					err = c.Wait()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append([]byte("x")); err != ErrClosed {
		t.Errorf("append after close: %v, want ErrClosed", err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[byte]int{}
	for i := 0; i+recordLen <= len(data); i += recordLen {
		rec := data[i : i+recordLen]
		if string(rec) != strings.Repeat(string(rec[0]), recordLen) {
			t.Fatalf("record %d is torn: %q", i/recordLen, rec)
		}
		seen[rec[0]]++
	}
	if len(data) != writers*each*recordLen || len(seen) != writers {
		t.Errorf("%d bytes from %d writers, want %d from %d", len(data), len(seen), writers*each*recordLen, writers)
	}
}
