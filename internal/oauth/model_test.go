package oauth_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tacet-dev/tacet/internal/httpapi/form"
	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/internal/store/storetest"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// world is a server on a store in memory, with a user ann whose password is "pw".
type world struct {
	*oauth.Server
	store *flaky
	now   time.Time
}

// flaky fails the calls that are counted down to zero.
type flaky struct {
	oauth.Store
	failUpdate, failAdd int // 1: the next call fails
}

var errDown = errors.New("the store is down")

func down(n *int) error {
	if *n--; *n == 0 {
		return errDown
	}
	return nil
}

func (f *flaky) UpdateFlow(ctx context.Context, k oauth.Key, change func(*oauth.Flow) error) error {
	if err := down(&f.failUpdate); err != nil {
		return err
	}
	return f.Store.UpdateFlow(ctx, k, change)
}

func (f *flaky) AddFlow(ctx context.Context, flow oauth.Flow) error {
	if err := down(&f.failAdd); err != nil {
		return err
	}
	return f.Store.AddFlow(ctx, flow)
}

// fakes are everything around a server that a test does not look at.
type fakes struct{ key rotation.Key }

func (f fakes) MAC() rotation.Key { return f.key }
func (f fakes) FindMACKey(_ context.Context, id rotation.KeyID) (rotation.Key, bool, error) {
	return f.key, id == f.key.ID, nil
}
func (fakes) Sign(c wire.AccessClaims) (string, error) { return "access " + c.SessionID, nil }
func (fakes) SignJWT(_ context.Context, _ string, payload []byte) (string, error) {
	return string(payload), nil
}
func (fakes) Ensure(context.Context, string) error           { return nil }
func (fakes) IDTokenAlgorithms() []string                    { return nil }
func (fakes) VerifyJWT(raw string) ([]byte, bool)            { return []byte(raw), true }
func (fakes) Allow(string, netip.Addr) (time.Duration, bool) { return 0, true }
func (fakes) Failed(string, netip.Addr)                      {}
func (fakes) Succeeded(string, netip.Addr)                   {}
func (fakes) Released(string, netip.Addr)                    {}
func (fakes) User(_ context.Context, id string) (session.User, error) {
	return session.User{User: wire.User{ID: id, Username: id}}, nil
}
func (f fakes) Grants(ctx context.Context, id string) (session.User, error) { return f.User(ctx, id) }
func (fakes) Authenticate(_ context.Context, name, password string, _ session.Contact) (session.Identity, error) {
	if name != "ann" || password != "pw" {
		return session.Identity{}, session.ErrInvalidCredentials
	}
	return session.Identity{UserID: name}, nil
}

func newWorld(random io.Reader) *world {
	stores, f := storetest.Memory(), fakes{rotation.Key{ID: 1}}
	w := &world{store: &flaky{Store: stores.OAuth}, now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	w.Server = oauth.New(oauth.Config{Store: w.store, Tokens: f, NativeClient: "native", Throttle: f, Rand: random,
		Logger: slog.New(slog.DiscardHandler),
		Access: func(context.Context, string) (wire.AccessClaims, error) {
			return wire.AccessClaims{}, oauth.ErrInactive
		},
		Sessions: session.New(session.Config{Store: stores.Sessions, Keys: f, Directory: f, Authenticator: f, Throttle: f,
			Lifetimes: session.Lifetimes{Access: time.Minute, Policy: rotation.Policy{Overlap: time.Second, Idle: time.Hour, Absolute: time.Hour}},
			Issuer:    "https://auth.example", Audience: "api", Clock: func() time.Time { return w.now }, Rand: random,
			Logger: slog.New(slog.DiscardHandler)})})
	for _, c := range []oauth.Client{{ID: "a", RedirectURIs: []string{"https://a.example/cb"}, Device: true, Scopes: []string{"a:b"}}, {ID: "b", RedirectURIs: []string{"https://a.example/cb"}, Device: true, Scopes: []string{"a:b"}}} {
		if _, err := w.AddClient(context.Background(), c, false); err != nil {
			panic(err)
		}
	}
	return w
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func (w *world) code(ctx context.Context) (string, error) {
	sum := sha256.Sum256([]byte(verifier))
	r, err := w.Authorization(ctx, form.Params{"client_id": "a", "response_type": "code", "redirect_uri": "https://a.example/cb",
		"code_challenge": base64.RawURLEncoding.EncodeToString(sum[:]), "code_challenge_method": "S256"})
	if err != nil {
		return "", err
	}
	location, err := w.SignIn(ctx, r, "ann", "pw", session.Contact{})
	if err != nil {
		return "", err
	}
	u, err := url.Parse(location)
	return u.Query().Get("code"), err
}

func (w *world) exchange(ctx context.Context, client, code, verifier, redirect string) (oauth.Answer, error) {
	return w.Token(ctx, &oauth.Client{ID: client}, form.Params{"grant_type": oauth.GrantCode, "code": code,
		"code_verifier": verifier, "redirect_uri": redirect}, session.Contact{}, session.Binding{})
}

func (w *world) living(t interface{ Fatal(...any) }) int {
	list, err := w.Sessions.List(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestCodesAgainstAModel: whatever is done with a code, in any order, it gives
// one session to who has all its parts in time, and that ends when somebody with
// all parts comes again.
func TestCodesAgainstAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rand.Reader)
		ctx := context.Background()
		code, err := w.code(ctx)
		if err != nil {
			t.Fatal(err)
		}
		age, used, living := time.Duration(0), false, 0
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			client := rapid.SampledFrom([]string{"a", "a", "a", "b"}).Draw(t, "client")
			v := rapid.SampledFrom([]string{verifier, verifier, verifier, "wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong"}).Draw(t, "verifier")
			redirect := rapid.SampledFrom([]string{"https://a.example/cb", "https://a.example/cb", "", "https://a.example/cb2"}).Draw(t, "redirect")
			wait := rapid.SampledFrom([]time.Duration{0, 0, 20 * time.Second, oauth.CodeLifetime}).Draw(t, "wait")
			w.now, age = w.now.Add(wait), age+wait

			_, err := w.exchange(ctx, client, code, v, redirect)
			whole := client == "a" && v == verifier && redirect == "https://a.example/cb"
			granted := whole && !used && age < oauth.CodeLifetime
			var refused *form.Error
			switch {
			case granted != (err == nil):
				t.Fatalf("granted: %v, want %v", err, granted)
			case err != nil && (!errors.As(err, &refused) || refused.Code != form.CodeInvalidGrant):
				t.Fatalf("refused with %v", err)
			case granted:
				used, living = true, 1
			case whole && used:
				living = 0
			}
			if n := w.living(t); n != living {
				t.Fatalf("%d sessions, want %d", n, living)
			}
		}
	})
}

func TestOutagesLeaveNoSessionBehind(t *testing.T) {
	for call, want := range map[int]struct {
		living  int
		granted bool
	}{1: {0, false}, 2: {0, false}, 3: {1, true}} {
		w := newWorld(rand.Reader)
		code, err := w.code(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.store.failUpdate = call
		_, err = w.exchange(t.Context(), "a", code, verifier, "https://a.example/cb")
		if (err == nil) != want.granted || err != nil && !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("call %d fails: %v", call, err)
		}
		if n := w.living(t); n != want.living {
			t.Errorf("call %d fails: %d sessions, want %d", call, n, want.living)
		}
	}
	w := newWorld(rand.Reader)
	w.store.failAdd = 1
	if _, err := w.code(t.Context()); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("a code that can't be stored: %v", err)
	}
	w.store.failAdd = 1
	if _, err := w.StartDevice(t.Context(), &oauth.Client{ID: "a", Device: true, Scopes: []string{"a:b"}}, nil, session.Contact{}); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("a device that can't be stored: %v", err)
	}
}

// repeating hands out the same bytes n times, then random ones.
type repeating struct {
	n     int
	block []byte
}

func (r *repeating) Read(p []byte) (int, error) {
	if r.n == 0 {
		return rand.Read(p)
	}
	r.n--
	return copy(p, r.block), nil
}

func TestUserCodesThatAreTakenAreNotGivenAgain(t *testing.T) {
	random := &repeating{block: bytes.Repeat([]byte{0x04, 0x20, 0xC5}, 11)}
	w := newWorld(random)
	tv := &oauth.Client{ID: "a", Device: true, Scopes: []string{"a:b"}}
	random.n = 4 // two devices, each a device code and the user code after it
	first, err := w.StartDevice(t.Context(), tv, nil, session.Contact{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.StartDevice(t.Context(), tv, nil, session.Contact{})
	if err != nil || second.UserCode == first.UserCode || second.DeviceCode == first.DeviceCode {
		t.Errorf("%+v after %+v, %v", second, first, err)
	}
	if random.n != 0 {
		t.Errorf("the codes did not collide: %d", random.n)
	}
}

func TestClientsAreChecked(t *testing.T) {
	w := newWorld(rand.Reader)
	for i, c := range []oauth.Client{{ID: ""}, {ID: "-x"}, {ID: "a b"}, {ID: "ü"}, {ID: string(make([]byte, 200))}, {ID: "ok", Name: "line\nbreak"},
		{ID: "ok", RedirectURIs: []string{"nonsense"}}, {ID: "ok", LogoutURIs: []string{"http://x.example/"}},
		{ID: "ok", Audiences: []string{""}}, {ID: "ok", Audiences: []string{"https://a.example/ b"}}, {ID: "ok", Audiences: []string{"https://a.example/#f"}},
		{ID: "ok", Scopes: []string{"a::b"}}, {ID: "ok", Scopes: []string{}}} {
		if c.Scopes == nil {
			c.Scopes = []string{"openid"}
		}
		var wrong *oauth.InvalidError
		if _, err := w.AddClient(t.Context(), c, false); !errors.As(err, &wrong) {
			t.Errorf("client %d: %v", i, err)
		}
	}
	secret, err := w.AddClient(t.Context(), oauth.Client{ID: "ok", Scopes: []string{"openid"}}, true)
	if err != nil || len(secret) < 43 {
		t.Fatalf("secret of %d characters, %v", len(secret), err)
	}
	if _, err := w.AddClient(t.Context(), oauth.Client{ID: "ok", Scopes: []string{"openid"}}, false); !errors.Is(err, oauth.ErrExists) {
		t.Errorf("added twice: %v", err)
	}
	c, err := w.store.Client(t.Context(), "ok")
	if err != nil || bytes.Contains([]byte(fmt.Sprintf("%+v %s", c, c.SecretHash)), []byte(secret)) {
		t.Error("the secret is stored in clear")
	}
	for cred, want := range map[oauth.Credentials]bool{{ID: "ok", Secret: secret}: true, {ID: "ok"}: false, {ID: "ok", Secret: secret + "x"}: false,
		{ID: "a"}: true, {ID: "a", Secret: "x"}: false, {ID: "native"}: true, {ID: "native", Secret: "x"}: false, {ID: "gone"}: false, {}: false} {
		_, err := w.Client(t.Context(), cred)
		var refused *form.Error
		if (err == nil) != want || err != nil && (!errors.As(err, &refused) || refused.Code != form.CodeInvalidClient) {
			t.Errorf("client %q: %v", cred.ID, err)
		}
	}
}
