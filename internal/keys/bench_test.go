package keys

import (
	"crypto/ed25519"
	"encoding/json"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/tacet-dev/tacet/rotation"
)

// The three to compare: the signature alone, Sign, and the usual library. Run
// them with -count to interleave.

func BenchmarkRawEd25519(b *testing.B) {
	r := open(b, config(b, &memory{}, newClock()))
	s := &r.view.Load().signers[0]
	payload, _ := json.Marshal(claims(epoch))
	key := s.key.(ed25519.PrivateKey)
	msg := make([]byte, len(s.header)+len(payload)*4/3)
	b.ReportAllocs()
	for b.Loop() {
		ed25519.Sign(key, msg)
	}
}

func BenchmarkSign(b *testing.B) {
	cfg := config(b, &memory{}, newClock())
	cfg.Clock = time.Now
	r := open(b, cfg)
	c := claims(epoch)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Sign(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignES256(b *testing.B) {
	cfg := config(b, &memory{}, newClock())
	cfg.Policy.Algorithm = ES256
	r := open(b, cfg)
	c := claims(epoch)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Sign(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGolangJWT(b *testing.B) {
	r := open(b, config(b, &memory{}, newClock()))
	s := &r.view.Load().signers[0]
	raw, _ := json.Marshal(claims(epoch))
	var m jwt.MapClaims
	_ = json.Unmarshal(raw, &m)
	b.ReportAllocs()
	for b.Loop() {
		t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, m)
		t.Header["typ"], t.Header["kid"] = "at+jwt", s.kid
		if _, err := t.SignedString(s.key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMACAndMACKey(b *testing.B) {
	cfg := config(b, &memory{}, newClock())
	cfg.Clock = time.Now
	r := open(b, cfg)
	var k rotation.Key
	b.ReportAllocs()
	for b.Loop() {
		k, _ = r.MACKey(r.MAC().ID)
	}
	_ = k
}

func BenchmarkLabelled(b *testing.B) {
	r := open(b, config(b, &memory{}, newClock()))
	msg := make([]byte, 30)
	b.ReportAllocs()
	for b.Loop() {
		r.SignLabelled("csrf", msg)
	}
}
