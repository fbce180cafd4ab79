package seal

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
)

// Whatever comes in: no panic, and only what was sealed opens.
func FuzzOpen(f *testing.F) {
	p := newPair(f)
	good := p.request(f, `{"n":1}`)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte("...."))
	f.Add([]byte(strings.Repeat(".", 100)))
	f.Add([]byte(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"dir"}`)) + "....")) // no more than a header
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) {
		_, content, err := p.open(message)
		if err == nil && !bytes.Equal(message, good) {
			t.Fatalf("a message that nobody sealed opens: %q", content)
		}
	})
}

// A header that is read comes out the same when it is written and read again.
func FuzzHeader(f *testing.F) {
	p := newPair(f)
	raw, _ := base64.RawURLEncoding.DecodeString(parts(p.request(f, ""))[0])
	f.Add(raw)
	f.Add([]byte(`{"alg":"dir","enc":"A256GCM","kid":"k","method":"GET","path":"/","seq":1,"time":1}`))
	f.Add([]byte(`{"alg":"dir","enc":"A256GCM","kid":"k","method":"GET","path":"/\u0026","seq":1e3,"time":1,"status":200}`))
	f.Add([]byte(`{"alg":"dir","alg":"dir"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parseHeader(data)
		if err != nil {
			return
		}
		again, err := h.encode()
		if err != nil {
			t.Fatal(err)
		}
		h2, err := parseHeader(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if (h.Client == nil) != (h2.Client == nil) || h.Client != nil && h.Client.ID() != h2.Client.ID() {
			t.Fatal("another key")
		}
		if h.Client, h2.Client = nil, nil; h != h2 {
			t.Fatalf("%+v became %+v", h, h2)
		}
	})
}
