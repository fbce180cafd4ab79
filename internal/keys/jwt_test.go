package keys

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/wire"
)

func TestJWTs(t *testing.T) {
	for _, alg := range IDTokenAlgorithms {
		t.Run(alg, func(t *testing.T) {
			c := newClock()
			cfg := config(t, &memory{}, c)
			r := open(t, cfg)
			token, err := r.SignJWT(t.Context(), alg, []byte(`{"sub":"ann"}`))
			if err != nil {
				t.Fatal(err)
			}
			if payload, ok := r.VerifyJWT(token); !ok || string(payload) != `{"sub":"ann"}` {
				t.Errorf("own JWT: %s, %v", payload, ok)
			}
			access, err := r.Sign(wire.AccessClaims{Subject: "ann"})
			if err != nil {
				t.Fatal(err)
			}
			part := strings.Split(token, ".")
			none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
			for name, bad := range map[string]string{
				"an access token":      access,
				"no signature":         part[0] + "." + part[1] + ".",
				"two parts":            part[0] + "." + part[1],
				"one part":             part[0],
				"empty":                "",
				"alg none":             none + "." + part[1] + ".",
				"other payload":        part[0] + "." + part[1][:len(part[1])-1] + "A." + part[2],
				"too long":             part[0] + "." + strings.Repeat("A", maxJWT) + "." + part[2],
				"padding":              token + "=",
				"a signature too many": token + "." + part[2],
			} {
				if _, ok := r.VerifyJWT(bad); ok {
					t.Errorf("%s is accepted", name)
				}
			}
			// Every bit of the signature counts.
			sum, _ := base64.RawURLEncoding.DecodeString(part[2])
			step := len(sum) / 64 // each bit of a short one, one in each half byte of a long one
			for i := 0; i < 8*len(sum); i += step {
				sum[i/8] ^= 1 << (i % 8)
				if _, ok := r.VerifyJWT(part[0] + "." + part[1] + "." + base64.RawURLEncoding.EncodeToString(sum)); ok {
					t.Fatalf("bit %d of the signature does not count", i)
				}
				sum[i/8] ^= 1 << (i % 8)
			}
		})
	}
}
