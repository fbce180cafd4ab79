package verify_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
	"github.com/golang-jwt/jwt/v5"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// BenchmarkVerify puts the two lines of the table in performance.md beside their
// references: "first time" against a bare Ed25519 verification, "seen before"
// against golang-jwt; go-jose is what package wire/jose stands in for. Compare within one run.
func BenchmarkVerify(b *testing.B) {
	raw := goodToken()
	cut := strings.LastIndexByte(raw, '.')
	signed := []byte(raw[:cut])
	signature, _ := base64.RawURLEncoding.DecodeString(raw[cut+1:])

	b.Run("reference=ed25519", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !ed25519.Verify(edPublic, signed, signature) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("reference=golang-jwt", func(b *testing.B) {
		b.ReportAllocs()
		parser := jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithTimeFunc(newClock().Now))
		for b.Loop() {
			var c jwt.RegisteredClaims
			if _, err := parser.ParseWithClaims(raw, &c, func(*jwt.Token) (any, error) { return edPublic, nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("reference=go-jose", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256})
			if err != nil {
				b.Fatal(err)
			}
			payload, err := jws.Verify(edPublic)
			if err != nil {
				b.Fatal(err)
			}
			var c wire.AccessClaims
			if err := josejson.Unmarshal(payload, &c); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, remember := range map[string]int{"first time": -1, "seen before": 0} {
		b.Run(name, func(b *testing.B) {
			v := newVerifier(b, verify.Config{Remember: remember})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("seen before, with a feed of 10,000 marks", func(b *testing.B) {
		v := newVerifier(b, verify.Config{Liveness: fullFeed(b, 10_000), Clock: time.Now})
		now := time.Now()
		raw := signEd(header(nil), claims(object{"iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(b.Context(), raw); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("seen before, 4096 tokens in parallel", func(b *testing.B) {
		v := newVerifier(b, verify.Config{})
		tokens := make([]string, 4096)
		for i := range tokens {
			tokens[i] = signEd(header(nil), claims(object{"jti": fmt.Sprint("tok_", i)}))
			if _, err := v.Verify(b.Context(), tokens[i]); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if _, err := v.Verify(b.Context(), tokens[i%len(tokens)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// fullFeed has read a feed with n ended sessions.
func fullFeed(b *testing.B, n int) *verify.Feed {
	f := &feedIssuer{}
	for i := range n {
		f.end(fmt.Sprint("other", i))
	}
	feed := newFeed(b, f, verify.FeedConfig{})
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(func() { cancel(); f.cut() })
	go func() { _ = feed.Run(ctx) }()
	if err := feed.Ready(ctx); err != nil {
		b.Fatal(err)
	}
	return feed
}
