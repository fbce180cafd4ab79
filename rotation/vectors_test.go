package rotation_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

// The vectors in spec/vectors are for implementations in any language: bytes in
// lower-case hex, moments and durations in milliseconds. -update writes them;
// without it these tests read the files and hold the code against what they say,
// as any other implementation would.

const vectorDir = "../spec/vectors"

type tokenFile struct {
	Description string         `json:"description"`
	Keys        []keyVector    `json:"keys"`
	Valid       []tokenVector  `json:"valid"`
	Invalid     []brokenVector `json:"invalid"`
}

type keyVector struct {
	ID     uint32 `json:"id"`
	Secret string `json:"secret"`
}

type tokenVector struct {
	Name       string `json:"name"`
	KeyID      uint32 `json:"key_id"`
	Session    string `json:"session"`
	Generation uint32 `json:"generation"`
	Tag        string `json:"tag"`
	Parent     string `json:"parent"`
	Token      string `json:"token"`
}

type brokenVector struct {
	Why   string `json:"why"`
	Token string `json:"token"`
}

type decisionFile struct {
	Description string           `json:"description"`
	Decisions   []decisionVector `json:"decisions"`
	Sequences   []sequence       `json:"sequences"`
}

type headVector struct {
	Generation uint32 `json:"generation"`
	Tag        string `json:"tag"`
	Parent     string `json:"parent"`
}

type stateVector struct {
	Head      headVector `json:"head"`
	HeadAt    int64      `json:"head_at"`
	CreatedAt int64      `json:"created_at"`
	Ended     bool       `json:"ended"`
}

type policyVector struct {
	Overlap  int64 `json:"overlap"`
	Idle     int64 `json:"idle"`
	Absolute int64 `json:"absolute"`
}

type decisionVector struct {
	Name    string       `json:"name"`
	State   stateVector  `json:"state"`
	Token   headVector   `json:"token"`
	Policy  policyVector `json:"policy"`
	Now     int64        `json:"now"`
	Outcome string       `json:"outcome"`
	Head    headVector   `json:"head_after"`
}

// sequence is a session from its sign-in: each step presents a token, and a
// fresh child is minted with the step's tag where the outcome says so.
type sequence struct {
	Name   string       `json:"name"`
	Policy policyVector `json:"policy"`
	Root   string       `json:"root_tag"`
	First  headVector   `json:"first_token"`
	Steps  []step       `json:"steps"`
}

type step struct {
	At      int64       `json:"at"`
	Present headVector  `json:"present"`
	Tag     string      `json:"fresh_tag"`
	Outcome string      `json:"outcome"`
	Minted  *headVector `json:"minted"`
}

func unhex(t *testing.T, s string, n int) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != n {
		t.Fatalf("%q is not %d bytes in hex", s, n)
	}
	return b
}

func (v headVector) head(t *testing.T) rotation.Head {
	return rotation.Head{Generation: v.Generation, Tag: rotation.Tag(unhex(t, v.Tag, 8)), Parent: rotation.Tag(unhex(t, v.Parent, 8))}
}

func (v headVector) token(t *testing.T) rotation.Token {
	h := v.head(t)
	return rotation.Token{Generation: h.Generation, Tag: h.Tag, Parent: h.Parent}
}

func vectorOf(h rotation.Head) headVector {
	return headVector{h.Generation, hex.EncodeToString(h.Tag[:]), hex.EncodeToString(h.Parent[:])}
}

func vectorOfToken(t rotation.Token) headVector {
	return vectorOf(rotation.Head{Generation: t.Generation, Tag: t.Tag, Parent: t.Parent})
}

func (v policyVector) policy() rotation.Policy {
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	return rotation.Policy{Overlap: ms(v.Overlap), Idle: ms(v.Idle), Absolute: ms(v.Absolute)}
}

func (v stateVector) state(t *testing.T) rotation.State {
	return rotation.State{Head: v.Head.head(t), HeadAt: time.UnixMilli(v.HeadAt), CreatedAt: time.UnixMilli(v.CreatedAt), Ended: v.Ended}
}

func TestTokenVectors(t *testing.T) {
	var f tokenFile
	load(t, "tokens.json", &f, makeTokens)
	var keys []rotation.Key
	for _, k := range f.Keys {
		keys = append(keys, rotation.Key{ID: rotation.KeyID(k.ID), Secret: [32]byte(unhex(t, k.Secret, 32))})
	}
	for _, v := range f.Valid {
		want := rotation.Token{
			Session: rotation.SessionID(unhex(t, v.Session, 16)), Generation: v.Generation,
			Tag: rotation.Tag(unhex(t, v.Tag, 8)), Parent: rotation.Tag(unhex(t, v.Parent, 8)),
		}
		got, err := rotation.Open(ring(keys...), v.Token)
		if err != nil || got != want {
			t.Errorf("%s: opened as %v, %v", v.Name, got, err)
		}
		k, _ := ring(keys...)(rotation.KeyID(v.KeyID))
		if s := rotation.Seal(k, want); s != v.Token {
			t.Errorf("%s: sealed as %s", v.Name, s)
		}
	}
	for _, v := range f.Invalid {
		refused(t, v.Why, v.Token, ring(keys...))
	}
	if len(f.Valid) < 5 || len(f.Invalid) < 15 {
		t.Error("vectors are missing")
	}
}

func TestDecisionVectors(t *testing.T) {
	var f decisionFile
	load(t, "decisions.json", &f, makeDecisions)
	outcomes := map[string]bool{}
	for _, v := range f.Decisions {
		d := rotation.Decide(v.State.state(t), v.Token.token(t), v.Policy.policy(), time.UnixMilli(v.Now))
		if d.Outcome.String() != v.Outcome || d.Head != v.Head.head(t) {
			t.Errorf("%s: %v with head %v", v.Name, d.Outcome, d.Head)
		}
		outcomes[v.Outcome] = true
	}
	for _, q := range f.Sequences {
		s := rotation.State{Head: rotation.Root(rotation.Tag(unhex(t, q.Root, 8))), HeadAt: time.UnixMilli(0), CreatedAt: time.UnixMilli(0)}
		for i, st := range q.Steps {
			d := rotation.Decide(s, st.Present.token(t), q.Policy.policy(), time.UnixMilli(st.At))
			if d.Outcome.String() != st.Outcome {
				t.Errorf("%s, step %d: %v", q.Name, i+1, d.Outcome)
			}
			if d.Outcome.Moves() {
				s.Head, s.HeadAt = d.Head, time.UnixMilli(st.At)
			}
			s.Ended = s.Ended || d.Outcome == rotation.Reused
			if d.Outcome.Mints() != (st.Minted != nil) {
				t.Errorf("%s, step %d: mints %v", q.Name, i+1, d.Outcome.Mints())
			} else if st.Minted != nil && vectorOfToken(rotation.Child(rotation.SessionID{}, d.Head, rotation.Tag(unhex(t, st.Tag, 8)))) != *st.Minted {
				t.Errorf("%s, step %d: another child", q.Name, i+1)
			}
		}
	}
	if len(outcomes) != 7 || len(f.Sequences) < 4 {
		t.Errorf("vectors are missing: %v", outcomes)
	}
}

// load reads a file of vectors into v; with -update it writes what fill says first.
func load[T any](t *testing.T, name string, v *T, fill func(*testing.T) T) {
	t.Helper()
	path := filepath.Join(vectorDir, name)
	var made bytes.Buffer
	e := json.NewEncoder(&made)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(fill(t)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, made.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, made.Bytes()) {
		t.Errorf("%s is not what the code makes; published vectors change only with the format's version", path)
	}
	d := json.NewDecoder(bytes.NewReader(have))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func makeTokens(t *testing.T) tokenFile {
	a, b := testKey(1), testKey(0x01020304)
	f := tokenFile{Description: "Refresh tokens, PROTOCOL.md section 2. Every string in valid opens to the fields beside it under the key with its key_id; " +
		"every string in invalid must be refused, all with the same answer. Bytes are in hex."}
	for _, k := range []rotation.Key{a, b} {
		f.Keys = append(f.Keys, keyVector{uint32(k.ID), hex.EncodeToString(k.Secret[:])})
	}
	valid := func(name string, k rotation.Key, tok rotation.Token) string {
		s := rotation.Seal(k, tok)
		f.Valid = append(f.Valid, tokenVector{
			name, uint32(k.ID), hex.EncodeToString(tok.Session[:]), tok.Generation,
			hex.EncodeToString(tok.Tag[:]), hex.EncodeToString(tok.Parent[:]), s,
		})
		return s
	}
	s := valid("an ordinary token", a, sample)
	valid("the same token under another key", b, sample)
	valid("all fields zero", a, rotation.Token{})
	full := rotation.Token{Generation: math.MaxUint32, Tag: rotation.Tag(bytes.Repeat([]byte{0xff}, 8)), Parent: rotation.Tag(bytes.Repeat([]byte{0xff}, 8))}
	copy(full.Session[:], bytes.Repeat([]byte{0xff}, 16))
	valid("all bits set", a, full)
	first := rotation.Child(sample.Session, rotation.Root(rotation.Tag{0xa0}), rotation.Tag{0xa1})
	valid("the first child of a root", a, first)
	valid("byte order: generation 0x01020304", a, rotation.Token{Session: sample.Session, Generation: 0x01020304, Tag: rotation.Tag{1}, Parent: rotation.Tag{2}})

	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(s, rotation.Prefix))
	if err != nil {
		t.Fatal(err)
	}
	encode := func(b []byte) string { return rotation.Prefix + base64.RawURLEncoding.EncodeToString(b) }
	flipped := func(at int) string {
		b := bytes.Clone(raw)
		b[at] ^= 1
		return encode(b)
	}
	remade := func(change func([]byte)) string {
		b := bytes.Clone(raw[:len(raw)-32])
		change(b)
		return slowMAC(a, b)
	}
	unlabelled := func() string {
		k := a
		return encode(hmacOf(k.Secret[:], raw[:len(raw)-32]))
	}
	f.Invalid = []brokenVector{
		{"empty", ""},
		{"the prefix alone", rotation.Prefix},
		{"no prefix", strings.TrimPrefix(s, rotation.Prefix)},
		{"another prefix", "tacet_at_" + strings.TrimPrefix(s, rotation.Prefix)},
		{"prefix in upper case", "TACET_RT_" + strings.TrimPrefix(s, rotation.Prefix)},
		{"last character missing", s[:len(s)-1]},
		{"one character too many", s + "A"},
		{"padded", s + "="},
		{"a newline at the end", s + "\n"},
		{"a newline in place of a character", s[:50] + "\n" + s[51:]},
		{"a space at the start", " " + s[:len(s)-1]},
		{"the standard alphabet's + in place of a character", s[:50] + "+" + s[51:]},
		{"another spelling of the same bytes: unused bits of the last character are set", spelledOtherwise(s)},
		{"version 0, with a correct MAC", remade(func(b []byte) { b[0] = 0 })},
		{"version 2, with a correct MAC", remade(func(b []byte) { b[0] = 2 })},
		{"unknown key id 2, MAC of key 1", remade(func(b []byte) { b[4] = 2 })},
		{"unknown key id 9, MAC of the all-zero secret", rotation.Seal(rotation.Key{ID: 9}, sample)},
		{"key id 1, MAC of the secret of key 16909060", rotation.Seal(rotation.Key{ID: 1, Secret: b.Secret}, sample)},
		{"a bit of the key id flipped", flipped(4)},
		{"a bit of the session id flipped", flipped(5)},
		{"a bit of the generation flipped", flipped(24)},
		{"a bit of the tag flipped", flipped(25)},
		{"a bit of the parent's tag flipped", flipped(33)},
		{"the first bit of the MAC flipped", flipped(41)},
		{"the last bit of the MAC flipped", flipped(72)},
		{"the MAC of another token", encode(append(bytes.Clone(raw[:41]), mustRaw(t, f.Valid[2].Token)[41:]...))},
		{"the MAC without its label", unlabelled()},
		{"the MAC cut to 16 bytes", encode(raw[:41+16])},
	}
	return f
}
