package seal

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"pgregory.net/rapid"
)

func TestRoundTrip(t *testing.T) {
	p := newPair(t)
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "content")
		r := Request{Method: rapid.SampledFrom([]string{"GET", "POST", "DELETE"}).Draw(t, "method"),
			Path:     "/" + rapid.StringMatching(`[!-~]{0,80}`).Draw(t, "path"),
			Sequence: rapid.Uint64Range(1, maxSequence).Draw(t, "sequence")}
		kind := rapid.SampledFrom([]string{"", "application/json", `multipart/form-data; boundary="a b"`}).Draw(t, "type")
		message, err := p.channel.Seal(r, kind, content, atTime)
		if err != nil {
			t.Fatal(err)
		}
		h, got, err := p.open(message)
		if err != nil || got != string(content) || h.Client.ID() != p.client.ID() || h.Session != session ||
			h.Method != r.Method || h.Path != r.Path || h.Sequence != r.Sequence || h.ContentType != kind || h.Time != atTime {
			t.Fatalf("%+v, %d bytes, %v", h, len(got), err)
		}
		if int64(len(message)) > MaxEncoded(int64(len(content))) {
			t.Fatalf("%d bytes are more than MaxEncoded", len(message))
		}
		back, err := p.keys.SealResponse(Header{KeyID: p.server.ID(), ContentType: kind, Method: r.Method, Path: r.Path, Status: 404, Sequence: r.Sequence, Time: atTime}, content)
		if err != nil {
			t.Fatal(err)
		}
		if got, gotKind, err := p.channel.Open(r, 404, back, int64(len(content))); err != nil || !bytes.Equal(got, content) || gotKind != kind {
			t.Fatalf("answer: %d bytes, %q, %v", len(got), gotKind, err)
		}
	})
}

// RFC 7516 §11.5, RFC 7518 §5.3: whatever is changed, in header, nonce, content
// or tag, the message is refused, and nothing of it comes out.
func TestEveryChangeIsRefused(t *testing.T) {
	p := newPair(t)
	message := p.request(t, `{"n":1}`)
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := range message {
		for _, c := range []byte{letters[0], letters[1], letters[31], '.', '=', '\n', message[i] ^ 1} {
			if c == message[i] {
				continue
			}
			changed := bytes.Clone(message)
			changed[i] = c
			if _, content, err := p.open(changed); err == nil || content != "" {
				t.Fatalf("byte %d changed from %q to %q: accepted", i, message[i], c)
			}
		}
	}
}

func TestEveryCutIsRefused(t *testing.T) {
	p := newPair(t)
	message := p.request(t, `{"n":1}`)
	for n := range message {
		if _, _, err := p.open(message[:n]); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrDecrypt) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
		if n > 0 {
			if _, _, err := p.open(message[n:]); err == nil {
				t.Fatalf("without the first %d bytes: accepted", n)
			}
		}
	}
	for _, more := range []string{"A", ".", "\n", ".AAAA", "="} {
		if _, _, err := p.open(append(bytes.Clone(message), more...)); err == nil {
			t.Errorf("with %q behind it: accepted", more)
		}
	}
}

// A connection that breaks is an error of the connection.
func TestBrokenReader(t *testing.T) {
	p := newPair(t)
	message := p.request(t, strings.Repeat("x", 1000))
	broken := errors.New("broken")
	m, err := Read(io.MultiReader(bytes.NewReader(message[:len(message)-10]), errReader{broken}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.keys.OpenRequest(m, 1<<20); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if _, err := Read(errReader{broken}); !errors.Is(err, broken) {
		t.Errorf("header: %v", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// What is agreed in one direction, session, with one server or client is worth
// nothing elsewhere.
func TestKeysAreApart(t *testing.T) {
	p, other := newPair(t), newPair(t)
	message := p.request(t, "secret")
	read := func() *Message {
		m, err := Read(bytes.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if _, err := p.keys.OpenResponse(read(), 100); !errors.Is(err, ErrDecrypt) {
		t.Errorf("as an answer: %v", err)
	}
	for name, agree := range map[string]func() (*Keys, error){
		"another session": func() (*Keys, error) { return p.server.Agree(p.client.public, session+"x") },
		"no session":      func() (*Keys, error) { return p.server.Agree(p.client.public, "") },
		"another client":  func() (*Keys, error) { return p.server.Agree(other.client.public, session) },
		"another server":  func() (*Keys, error) { return other.server.Agree(p.client.public, session) },
	} {
		keys, err := agree()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.OpenRequest(read(), 100); !errors.Is(err, ErrDecrypt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.keys.OpenRequest(read(), 100); err != nil {
		t.Errorf("the right keys: %v", err)
	}
	if _, _, err := p.channel.Open(order, 200, message, 100); !errors.Is(err, ErrDecrypt) {
		t.Errorf("a request sent back to the client as its answer: %v", err)
	}
}

// An answer is good for its request alone.
func TestAnswersAreBound(t *testing.T) {
	p := newPair(t)
	for name, change := range map[string]func(*Header){
		"method":           func(h *Header) { h.Method = "GET" },
		"path":             func(h *Header) { h.Path = "/api/orders" },
		"status":           func(h *Header) { h.Status = 201 },
		"another request":  func(h *Header) { h.Sequence++ },
		"another kid":      func(h *Header) { h.KeyID = "x" },
		"no status at all": func(h *Header) { h.Status = 0 },
	} {
		if _, _, err := p.channel.Open(order, 200, p.answer(t, change, "x"), 100); !errors.Is(err, ErrBinding) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := p.channel.Open(order, 500, p.answer(t, nil, "x"), 100); !errors.Is(err, ErrBinding) {
		t.Errorf("the status line was changed: %v", err)
	}
	if got, _, err := p.channel.Open(order, 200, p.answer(t, nil, "x"), 100); err != nil || string(got) != "x" {
		t.Errorf("the right one: %q, %v", got, err)
	}
}

func TestLimits(t *testing.T) {
	p := newPair(t)
	for max, want := range map[int64]error{1000: nil, 999: ErrTooLarge, 0: ErrTooLarge} {
		m, err := Read(bytes.NewReader(p.request(t, strings.Repeat("x", 1000))))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.keys.OpenRequest(m, max); !errors.Is(err, want) {
			t.Errorf("max %d: %v", max, err)
		}
	}
	r := order
	r.Path = "/" + strings.Repeat("x", MaxHeader)
	if _, err := p.channel.Seal(r, "", nil, atTime); err == nil {
		t.Error("a header beyond the limit was written")
	}
	endless := io.MultiReader(strings.NewReader(strings.Repeat("A", MaxHeader+9)), errReader{errors.New("read on")})
	if _, err := Read(endless); !errors.Is(err, ErrMalformed) {
		t.Errorf("a header without end: %v", err)
	}
}

// The headers that are read, and those that are not.
func TestHeaders(t *testing.T) {
	p := newPair(t)
	good, err := base64.RawURLEncoding.DecodeString(parts(p.request(t, ""))[0])
	if err != nil {
		t.Fatal(err)
	}
	read := func(header string) error {
		_, err := Read(strings.NewReader(base64.RawURLEncoding.EncodeToString([]byte(header)) + "."))
		return err
	}
	if err := read(string(good)); err != nil {
		t.Fatalf("the header as we write it: %v", err)
	}
	if err := read(strings.Replace(string(good), "{", `{"other":[1,{"a":null}],`, 1)); err != nil {
		t.Errorf("a member that nobody knows (RFC 7516 §4): %v", err)
	}
	for _, c := range []struct {
		old, new string
		want     error
	}{
		{`"alg":"dir"`, `"alg":"none"`, ErrAlgorithm},
		{`"alg":"dir"`, `"alg":"ECDH-ES"`, ErrAlgorithm},
		{`"alg":"dir"`, `"alg":"DIR"`, ErrAlgorithm},
		{`"alg":"dir",`, ``, ErrAlgorithm},
		{`"enc":"A256GCM"`, `"enc":"A128GCM"`, ErrAlgorithm},
		{`"enc":"A256GCM"`, `"enc":"A256CBC-HS512"`, ErrAlgorithm},
		{`{`, `{"zip":"DEF",`, ErrAlgorithm},
		{`{`, `{"crit":["b64"],`, ErrAlgorithm},
		{`{`, `{"crit":[],`, ErrAlgorithm},
		{`{`, `{"alg":"dir",`, ErrMalformed}, // twice
		{`{`, `[{`, ErrMalformed},
		{`}`, `}}`, ErrMalformed},
		{`"seq":7`, `"seq":0`, ErrMalformed},
		{`"seq":7`, `"seq":-1`, ErrMalformed},
		{`"seq":7`, `"seq":9007199254740992`, ErrMalformed},
		{`"seq":7`, `"seq":"7"`, ErrMalformed},
		{`"seq":7`, `"seq":null`, ErrMalformed},
		{`"seq":7,`, ``, ErrMalformed},
		{`"time":1795262400123`, `"time":0`, ErrMalformed},
		{`"method":"POST"`, `"method":""`, ErrMalformed},
		{`"method":"POST"`, `"Method":"POST"`, ErrMalformed},
		{`"path":"/`, `"path":"`, ErrMalformed},
		{`"path":"/`, `"path":"/\u0000`, ErrMalformed},
		{`"kid":"`, `"kid":"` + strings.Repeat("x", 300), ErrMalformed},
		{`"crv":"P-256"`, `"crv":"P-384"`, ErrMalformed},
		{`"kty":"EC"`, `"kty":"EC","d":"AA"`, ErrMalformed}, // a private key
		{`"x":"`, `"x":"A`, ErrMalformed},
	} {
		changed := strings.Replace(string(good), c.old, c.new, 1)
		if c.new == `}}` {
			changed = string(good) + "}"
		}
		if changed == string(good) {
			t.Fatalf("%s is not in %s", c.old, good)
		}
		if err := read(changed); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.new, err, c.want)
		}
	}
	// Points that are not on the curve give keys away (RFC 8725 §3.4).
	off := `{"kty":"EC","crv":"P-256","x":"` + base64.RawURLEncoding.EncodeToString(make([]byte, 32)) + `","y":"` + base64.RawURLEncoding.EncodeToString(append(make([]byte, 31), 1)) + `"}`
	if _, err := ParsePublicKey([]byte(off)); err == nil {
		t.Error("a point off the curve was taken")
	}
}

// go-jose reads what we write, and we read what go-jose writes.
func TestAgreesWithGoJose(t *testing.T) {
	p := newPair(t)
	secret, err := p.server.private.ECDH(p.client.public.key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := contentKey(secret, labelRequest, p.server.ID(), p.client.ID(), session)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := jose.ParseEncryptedCompact(string(p.request(t, "ours")), []jose.KeyAlgorithm{jose.DIRECT}, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := theirs.Decrypt(key); err != nil || string(got) != "ours" || theirs.Header.KeyID != p.server.ID() {
		t.Errorf("go-jose reads %q, kid %q, %v", got, theirs.Header.KeyID, err)
	}
	options := (&jose.EncrypterOptions{}).WithHeader("kid", p.server.ID()).WithHeader("epk", p.client.public).WithHeader("sid", session).
		WithHeader("method", "POST").WithHeader("path", "/x").WithHeader("seq", 3).WithHeader("time", atTime)
	e, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.DIRECT, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	object, err := e.Encrypt([]byte("theirs"))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	if h, got, err := p.open([]byte(compact)); err != nil || got != "theirs" || h.Sequence != 3 {
		t.Errorf("we read %q of go-jose, %+v, %v", got, h, err)
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), p.client.public.key.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := (&jose.JSONWebKey{Key: pub}).Thumbprint(crypto.SHA256); err != nil || base64.RawURLEncoding.EncodeToString(sum) != p.client.ID() {
		t.Errorf("thumbprint %x, %v; ours is %s", sum, err, p.client.ID())
	}
}

func TestKeySets(t *testing.T) {
	a, b := newPair(t).server, newPair(t).server
	set := JWKS(a, b)
	if got, err := ParseJWKS(set); err != nil || got.ID() != a.ID() {
		t.Errorf("%v, %v, want the first", got, err)
	}
	var jwks jose.JSONWebKeySet
	if err := json.Unmarshal(set, &jwks); err != nil || len(jwks.Keys) != 2 || jwks.Keys[1].KeyID != b.ID() || jwks.Keys[1].Use != "enc" {
		t.Errorf("go-jose reads %+v, %v", jwks, err)
	}
	renamed := strings.Replace(string(set), a.ID(), "another-name", 1)
	if got, err := ParseJWKS([]byte(renamed)); err != nil || got.ID() != b.ID() {
		t.Errorf("a key that is not named by its thumbprint: %v, %v", got, err)
	}
	for _, bad := range []string{`{"keys":[]}`, `{}`, `x`, strings.ReplaceAll(string(set), `"enc"`, `"sig"`)} {
		if _, err := ParseJWKS([]byte(bad)); err == nil {
			t.Errorf("%.40s: a key was found", bad)
		}
	}
}

// The two forms in which openssl writes a key, and what is not one.
func TestParseServerKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	want, err := NewServerKey(private)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err1 := x509.MarshalECPrivateKey(key)
	pkcs8, err2 := x509.MarshalPKCS8PrivateKey(key)
	p384, err3 := x509.MarshalPKCS8PrivateKey(other)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	for _, der := range [][]byte{sec1, pkcs8} {
		got, err := ParseServerKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		if err != nil || got.ID() != want.ID() {
			t.Errorf("%v, %v", got, err)
		}
	}
	for _, bad := range [][]byte{nil, []byte("x"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: p384})} {
		if _, err := ParseServerKey(bad); err == nil {
			t.Errorf("%q was taken for a key", bad)
		}
	}
}

func ExampleChannel() {
	// The server's key is in its key set; the client makes one for itself.
	private, _ := ecdh.P256().GenerateKey(rand.Reader)
	server, _ := NewServerKey(private)
	client, _ := NewClient()
	channel, _ := client.Channel(server.Public(), "session-1")

	r := Request{Method: "POST", Path: "/api/notes", Sequence: channel.Next()}
	message, _ := channel.Seal(r, "text/plain", []byte("for your eyes only"), 1795262400000)

	m, _ := Read(bytes.NewReader(message))
	keys, _ := server.Agree(m.Header.Client, m.Header.Session)
	content, err := keys.OpenRequest(m, 1<<20)
	fmt.Println(m.Header.Method, m.Header.Path, string(content), err)
	// Output: POST /api/notes for your eyes only <nil>
}
