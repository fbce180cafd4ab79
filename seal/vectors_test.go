package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
)

// The vectors are for implementations in any language; the SDK is held against
// them, too. -update writes them from fixed keys and nonces; without it, the file
// must be what would be written, and the code must do what the file says.
var update = flag.Bool("update", false, "write the vectors of spec/vectors anew")

const vectorFile = "../spec/vectors/encryption.json"

type vectors struct {
	Description string          `json:"description"`
	Server      vectorKey       `json:"server"`
	Client      vectorKey       `json:"client"`
	JWKS        json.RawMessage `json:"jwks"`
	Agreements  []vectorKeys    `json:"agreements"`
	Requests    []vectorMessage `json:"requests"`
	Answers     []vectorMessage `json:"answers"`
	Refused     []vectorRefused `json:"refused"`
}

type vectorKey struct {
	D          string     `json:"d"` // private, base64url
	Public     *PublicKey `json:"public"`
	Thumbprint string     `json:"thumbprint"`
}

// vectorKeys are in hex.
type vectorKeys struct {
	Session  string `json:"session"`
	Request  string `json:"request_key"`
	Response string `json:"response_key"`
}

type vectorMessage struct {
	Name        string `json:"name"`
	Session     string `json:"session"`
	Method      string `json:"method"`
	Path        string `json:"path"`
	Status      int    `json:"status,omitempty"`
	Sequence    uint64 `json:"seq"`
	Time        int64  `json:"time"`
	ContentType string `json:"content_type"`
	Nonce       string `json:"nonce"`   // hex
	Header      string `json:"header"`  // its JSON, as it is encoded
	Content     string `json:"content"` // hex
	Message     string `json:"message"`
}

// vectorRefused is an answer that is not one to the first of the requests.
type vectorRefused struct {
	Name    string `json:"name"`
	Status  int    `json:"status"` // the HTTP status that it comes with
	Reason  string `json:"reason"` // malformed, algorithm, decrypt, binding
	Message string `json:"message"`
}

var reasons = map[string]error{"malformed": ErrMalformed, "algorithm": ErrAlgorithm, "decrypt": ErrDecrypt, "binding": ErrBinding}

// fixedKey derives a private key from a name, so that the file has one form.
func fixedKey(t *testing.T, name string) *ecdh.PrivateKey {
	t.Helper()
	d := sha256.Sum256([]byte("tacet test vector: " + name))
	k, err := ecdh.P256().NewPrivateKey(d[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func makeVectors(t *testing.T) vectors {
	t.Helper()
	server, err := NewServerKey(fixedKey(t, "server"))
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(fixedKey(t, "client"), nil)
	v := vectors{
		Description: "Encrypted bodies (docs/encryption.md): keys that are agreed on, messages, and answers that a client must refuse. Keys, nonces and contents are in hex. The header is the JSON whose base64url is the first part of the message.",
		Server:      vectorKey{base64.RawURLEncoding.EncodeToString(server.private.Bytes()), server.public, server.ID()},
		Client:      vectorKey{base64.RawURLEncoding.EncodeToString(client.private.Bytes()), client.public, client.ID()},
		JWKS:        JWKS(server),
	}
	secret, err := server.private.ECDH(client.public.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{session, ""} {
		request, err1 := contentKey(secret, labelRequest, server.ID(), client.ID(), s)
		response, err2 := contentKey(secret, labelResponse, server.ID(), client.ID(), s)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		v.Agreements = append(v.Agreements, vectorKeys{s, hex.EncodeToString(request), hex.EncodeToString(response)})
	}
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	add := func(name, session string, h Header, content []byte) {
		nonce := sha256.Sum256([]byte("tacet test vector: nonce of " + name))
		h.KeyID, h.Time = server.ID(), atTime
		keys, err := server.Agree(client.public, session)
		if err != nil {
			t.Fatal(err)
		}
		keys.random = bytes.NewReader(nonce[:ivBytes])
		write, list := keys.SealResponse, &v.Answers
		if h.Status == 0 {
			h.Client, h.Session, write, list = client.public, session, keys.SealRequest, &v.Requests
		}
		message, err := write(h, content)
		if err != nil {
			t.Fatal(err)
		}
		header, err := h.encode()
		if err != nil {
			t.Fatal(err)
		}
		*list = append(*list, vectorMessage{name, session, h.Method, h.Path, h.Status, h.Sequence, h.Time, h.ContentType,
			hex.EncodeToString(nonce[:ivBytes]), string(header), hex.EncodeToString(content), string(message)})
	}
	add("a POST with JSON", session, Header{Method: "POST", Path: "/api/orders?a=1&b=<2>", Sequence: 1, ContentType: "application/json"}, []byte(`{"item":"茶","n":2}`))
	add("a GET", session, Header{Method: "GET", Path: "/api/orders", Sequence: 2}, nil)
	add("every byte", session, Header{Method: "PUT", Path: "/api/blob", Sequence: maxSequence, ContentType: `multipart/form-data; boundary="x y"`}, every)
	add("a sign-in, before there is a session", "", Header{Method: "POST", Path: "/auth/login", Sequence: 1, ContentType: "application/json"}, []byte(`{"username":"alice"}`))
	add("the answer to the POST", session, Header{Method: "POST", Path: "/api/orders?a=1&b=<2>", Sequence: 1, Status: 201, ContentType: "application/json; charset=utf-8"}, []byte(`{"id":"order-1"}`))
	add("no content", session, Header{Method: "GET", Path: "/api/orders", Sequence: 2, Status: 304}, nil)
	add("an error", session, Header{Method: "PUT", Path: "/api/blob", Sequence: maxSequence, Status: 403, ContentType: "application/problem+json"}, every[:255])
	refuse := func(name string, status int, reason, message string) {
		v.Refused = append(v.Refused, vectorRefused{name, status, reason, message})
	}
	good := v.Answers[0].Message
	p := strings.Split(good, ".")
	refuse("plain text", 201, "malformed", `{"id":"order-1"}`)
	refuse("empty", 201, "malformed", "")
	refuse("cut off in the header", 201, "malformed", good[:len(p[0])-4])
	refuse("cut off in the content", 201, "malformed", good[:len(good)-30])
	refuse("cut off by one", 201, "malformed", good[:len(good)-1])
	refuse("one part more", 201, "malformed", good+".AAAA")
	refuse("a line break at the end", 201, "malformed", good+"\n")
	refuse("an encrypted key, which dir has not", 201, "malformed", strings.Join([]string{p[0], "AAAA", p[2], p[3], p[4]}, "."))
	refuse("another nonce", 201, "decrypt", strings.Join([]string{p[0], "", "AAAAAAAAAAAAAAAA", p[3], p[4]}, "."))
	refuse("content of another answer", 201, "decrypt", strings.Join([]string{p[0], "", p[2], strings.Split(v.Answers[2].Message, ".")[3], p[4]}, "."))
	refuse("the tag of another answer", 201, "decrypt", strings.Join([]string{p[0], "", p[2], p[3], strings.Split(v.Answers[1].Message, ".")[4]}, "."))
	header := func(old, new string) string {
		changed := strings.Replace(v.Answers[0].Header, old, new, 1)
		if changed == v.Answers[0].Header {
			t.Fatalf("%s is not in the header", old)
		}
		return strings.Join([]string{base64.RawURLEncoding.EncodeToString([]byte(changed)), "", p[2], p[3], p[4]}, ".")
	}
	refuse("the header changed", 201, "decrypt", header(`"seq":1`, `"seq":9`))
	refuse("alg none", 201, "algorithm", header(`"alg":"dir"`, `"alg":"none"`))
	refuse("enc A128GCM", 201, "algorithm", header(`A256GCM`, `A128GCM`))
	refuse("zip", 201, "algorithm", header(`{`, `{"zip":"DEF",`))
	refuse("crit", 201, "algorithm", header(`{`, `{"crit":["x"],"x":1,`))
	refuse("the request itself, sent back", 201, "decrypt", v.Requests[0].Message)
	refuse("the answer to another request", 304, "binding", v.Answers[1].Message)
	refuse("the status line changed", 200, "binding", good)
	return v
}

func TestVectors(t *testing.T) {
	v := makeVectors(t)
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(vectorFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorFile)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("%s is not what the code makes (%v): go test ./seal -run TestVectors -update, and say in CHANGELOG.md that the format has changed", vectorFile, err)
	}
	client := newClient(fixedKey(t, "client"), nil)
	server, err := NewServerKey(fixedKey(t, "server"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range v.Requests {
		keys, err := server.Agree(client.public, m.Session)
		if err != nil {
			t.Fatal(err)
		}
		in, err := Read(strings.NewReader(m.Message))
		if err != nil {
			t.Fatalf("%s: %v", m.Name, err)
		}
		content, err := keys.OpenRequest(in, 1<<10)
		if h := in.Header; err != nil || hex.EncodeToString(content) != m.Content || h.Method != m.Method || h.Path != m.Path || h.Sequence != m.Sequence || h.Session != m.Session {
			t.Errorf("%s: %x, %+v, %v", m.Name, content, h, err)
		}
	}
	channel, err := client.Channel(server.Public(), session)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range v.Answers {
		content, kind, err := channel.Open(Request{m.Method, m.Path, m.Sequence}, m.Status, []byte(m.Message), 1<<10)
		if err != nil || hex.EncodeToString(content) != m.Content || kind != m.ContentType {
			t.Errorf("%s: %x, %q, %v", m.Name, content, kind, err)
		}
	}
	first := v.Requests[0]
	for _, m := range v.Refused {
		_, _, err := channel.Open(Request{first.Method, first.Path, first.Sequence}, m.Status, []byte(m.Message), 1<<10)
		if want := reasons[m.Reason]; want == nil || !errors.Is(err, want) {
			t.Errorf("%s: %v, want %s", m.Name, err, m.Reason)
		}
	}
}
