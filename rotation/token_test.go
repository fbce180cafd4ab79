package rotation_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/rotation"
	"pgregory.net/rapid"
)

// testKey is a MAC key with a recognisable secret.
func testKey(id rotation.KeyID) rotation.Key {
	k := rotation.Key{ID: id}
	for i := range k.Secret {
		k.Secret[i] = byte(i) + byte(id)
	}
	return k
}

// ring returns the keys given, by id, as Open wants them.
func ring(ks ...rotation.Key) func(rotation.KeyID) (rotation.Key, bool) {
	return func(id rotation.KeyID) (rotation.Key, bool) {
		for _, k := range ks {
			if k.ID == id {
				return k, true
			}
		}
		return rotation.Key{}, false
	}
}

var sample = rotation.Token{
	Session:    rotation.SessionID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	Generation: 42, Tag: rotation.Tag{1, 2, 3}, Parent: rotation.Tag{9, 8, 7},
}

func refused(t *testing.T, what, s string, keys func(rotation.KeyID) (rotation.Key, bool)) {
	t.Helper()
	got, err := rotation.Open(keys, s)
	if !errors.Is(err, rotation.ErrInvalid) || err != rotation.ErrInvalid {
		t.Errorf("%s: error %v, want ErrInvalid itself", what, err)
	}
	if got != (rotation.Token{}) {
		t.Errorf("%s: a refusal carries %v", what, got)
	}
}

func TestSealOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes := func(name string, n int) []byte { return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, name) }
		k := rotation.Key{ID: rotation.KeyID(rapid.Uint32().Draw(t, "key id")), Secret: [32]byte(bytes("secret", 32))}
		tok := rotation.Token{
			Session: rotation.SessionID(bytes("session", 16)), Generation: rapid.Uint32().Draw(t, "generation"),
			Tag: rotation.Tag(bytes("tag", 8)), Parent: rotation.Tag(bytes("parent", 8)),
		}
		s := rotation.Seal(k, tok)
		if len(s) != rotation.EncodedLen || !strings.HasPrefix(s, rotation.Prefix) {
			t.Fatalf("sealed as %q", s)
		}
		if other := slowSeal(k, tok); other != s {
			t.Fatalf("Seal says %s, the format %s", s, other)
		}
		got, err := rotation.Open(ring(testKey(1), k), s)
		if k.ID == 1 { // the other key is found first
			return
		}
		if err != nil || got != tok {
			t.Fatalf("opened as %v, %v", got, err)
		}
	})
}

// slowSeal is the format as PROTOCOL.md describes it, written down again.
func slowSeal(k rotation.Key, t rotation.Token) string {
	raw := []byte{1}
	raw = binary.BigEndian.AppendUint32(raw, uint32(k.ID))
	raw = append(raw, t.Session[:]...)
	raw = binary.BigEndian.AppendUint32(raw, t.Generation)
	raw = append(raw, t.Tag[:]...)
	raw = append(raw, t.Parent[:]...)
	return slowMAC(k, raw)
}

func slowMAC(k rotation.Key, raw []byte) string {
	h := hmac.New(sha256.New, k.Secret[:])
	h.Write([]byte("tacet refresh token v1\x00"))
	h.Write(raw)
	return "tacet_rt_" + base64.RawURLEncoding.EncodeToString(h.Sum(raw))
}

// TestTamperedTokens: every bit of a token matters.
func TestTamperedTokens(t *testing.T) {
	k := testKey(1)
	s := rotation.Seal(k, sample)
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(s, rotation.Prefix))
	if err != nil {
		t.Fatal(err)
	}
	every := func(rotation.KeyID) (rotation.Key, bool) { return k, true } // so that key id bits reach the MAC too
	for bit := range len(raw) * 8 {
		raw[bit/8] ^= 1 << (bit % 8)
		refused(t, "a flipped bit", rotation.Prefix+base64.RawURLEncoding.EncodeToString(raw), every)
		raw[bit/8] ^= 1 << (bit % 8)
	}
	for i := range s {
		for _, c := range []byte{'A', 'B', '-', '_', '+', '/', '=', '\n', '\r', ' ', '.', 0, 0x80} {
			if s[i] != c {
				refused(t, "a changed character", s[:i]+string([]byte{c})+s[i+1:], ring(k))
			}
		}
	}
}

func TestMalformedTokens(t *testing.T) {
	k := testKey(1)
	s := rotation.Seal(k, sample)
	body := strings.TrimPrefix(s, rotation.Prefix)
	for i := range s {
		refused(t, "truncated at the end", s[:i], ring(k))
		refused(t, "truncated at the start", s[i+1:], ring(k))
	}
	for name, bad := range map[string]string{
		"empty":               "",
		"prefix only":         rotation.Prefix,
		"no prefix":           body,
		"other prefix":        "tacet_at_" + body,
		"upper case prefix":   strings.ToUpper(rotation.Prefix) + body,
		"prefix twice":        rotation.Prefix + s,
		"padded":              s + "=",
		"padded to its group": s[:len(s)-1] + "=",
		"newline after":       s + "\n",
		"newline before":      "\n" + s,
		"newline within":      s[:40] + "\n" + s[40:],
		"newline in place":    s[:40] + "\n" + s[41:],
		"spaces":              " " + s + " ",
		"quoted":              `"` + s + `"`,
		"twice":               s + s,
		"long":                s + strings.Repeat("A", 1<<20),
		"NUL":                 s + "\x00",
	} {
		refused(t, name, bad, ring(k))
	}
}

// TestNonCanonicalEncodings: one token has one spelling, so that it cannot pass
// for two in a log, a cache or a limit.
func TestNonCanonicalEncodings(t *testing.T) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	k := testKey(1)
	s := rotation.Seal(k, sample)
	last := s[:len(s)-1]
	accepted := 0
	for _, c := range alphabet {
		if _, err := rotation.Open(ring(k), last+string(c)); err == nil {
			accepted++
		}
	}
	if accepted != 1 {
		t.Errorf("%d last characters are accepted, want 1", accepted)
	}
}

func TestWrongKeys(t *testing.T) {
	k := testKey(1)
	s := rotation.Seal(k, sample)
	refused(t, "unknown key", s, ring())
	refused(t, "unknown key beside others", s, ring(testKey(2), testKey(3)))
	wrong := testKey(2)
	wrong.ID = 1
	refused(t, "another secret under the same id", s, ring(wrong))
	// A lookup that knows nothing returns the zero key: a token made under that
	// public value must not open.
	refused(t, "the zero key", rotation.Seal(rotation.Key{ID: 9}, sample), ring(k))
	if _, err := rotation.Open(ring(testKey(2), k), s); err != nil {
		t.Errorf("a retired key that is still in the ring: %v", err)
	}
}

func TestOtherVersions(t *testing.T) {
	k := testKey(1)
	for v := range 256 {
		if v == rotation.Version {
			continue
		}
		raw, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(rotation.Seal(k, sample), rotation.Prefix))
		raw = raw[:len(raw)-sha256.Size]
		raw[0] = byte(v)
		refused(t, "another version with a good MAC", slowMAC(k, raw), ring(k))
	}
}

func TestChild(t *testing.T) {
	head := rotation.Head{Generation: 5, Tag: tag(3), Parent: tag(2)}
	want := rotation.Token{Session: sample.Session, Generation: 6, Tag: tag(4), Parent: tag(3)}
	if got := rotation.Child(sample.Session, head, tag(4)); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if rotation.Root(tag(1)) != (rotation.Head{Tag: tag(1)}) {
		t.Error("a root has generation 0 and no parent")
	}
}

func seeds(f *testing.F) {
	k := testKey(1)
	s := rotation.Seal(k, sample)
	for _, seed := range []string{
		"", rotation.Prefix, s, s[:len(s)-1], s + "=", s + "\n", strings.Replace(s, "_rt_", "_at_", 1),
		rotation.Seal(k, rotation.Token{}), rotation.Seal(testKey(2), sample), rotation.Seal(rotation.Key{}, sample),
		rotation.Prefix + strings.Repeat("A", rotation.EncodedLen-len(rotation.Prefix)),
		rotation.Prefix + strings.Repeat("\n", rotation.EncodedLen-len(rotation.Prefix)),
	} {
		f.Add(seed)
	}
}

// FuzzOpen: Open never panics, and what it opens is exactly what Seal writes.
func FuzzOpen(f *testing.F) {
	seeds(f)
	keys := ring(testKey(1), testKey(2))
	f.Fuzz(func(t *testing.T, s string) {
		tok, err := rotation.Open(keys, s)
		if err != nil {
			refused(t, "fuzzed", s, keys)
			return
		}
		if rotation.Seal(testKey(1), tok) != s && rotation.Seal(testKey(2), tok) != s {
			t.Errorf("%q opens as %v but is not its spelling", s, tok)
		}
	})
}

// FuzzSealOpen compares Seal and Open with the format written down again, and
// changes one bit.
func FuzzSealOpen(f *testing.F) {
	f.Add(uint32(1), []byte("secret"), []byte("session"), uint32(0), uint64(0), uint64(0), uint16(0))
	f.Add(uint32(math.MaxUint32), []byte{}, []byte{}, uint32(math.MaxUint32), uint64(math.MaxUint64), uint64(1), uint16(583))
	f.Add(uint32(7), make([]byte, 32), make([]byte, 16), uint32(1), uint64(1), uint64(2), uint16(300))
	f.Fuzz(func(t *testing.T, id uint32, secret, session []byte, generation uint32, own, parent uint64, bit uint16) {
		k := rotation.Key{ID: rotation.KeyID(id)}
		copy(k.Secret[:], secret)
		tok := rotation.Token{Generation: generation}
		copy(tok.Session[:], session)
		binary.BigEndian.PutUint64(tok.Tag[:], own)
		binary.BigEndian.PutUint64(tok.Parent[:], parent)
		s := rotation.Seal(k, tok)
		if want := slowSeal(k, tok); s != want {
			t.Fatalf("Seal says %s, the format %s", s, want)
		}
		if got, err := rotation.Open(ring(k), s); err != nil || got != tok {
			t.Fatalf("opened as %v, %v", got, err)
		}
		raw, _ := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(s, rotation.Prefix))
		at := int(bit) % (len(raw) * 8)
		raw[at/8] ^= 1 << (at % 8)
		refused(t, "a flipped bit", rotation.Prefix+base64.RawURLEncoding.EncodeToString(raw), ring(k))
	})
}
