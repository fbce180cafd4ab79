package rotation_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/rotation"
)

func hmacOf(secret, msg []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write(msg)
	return h.Sum(append([]byte{}, msg...))
}

func mustRaw(t *testing.T, s string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(s, rotation.Prefix))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// spelledOtherwise sets a bit of the last character that carries no data.
func spelledOtherwise(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, s[len(s)-1])
	return s[:len(s)-1] + alphabet[last|1:last|1+1]
}

const (
	sec = int64(1000)
	day = 24 * 60 * 60 * sec
)

func makeDecisions(t *testing.T) decisionFile {
	f := decisionFile{Description: "Decisions, PROTOCOL.md section 4. Tags are in hex; moments are milliseconds since an epoch of your choice, durations milliseconds, " +
		"0 in idle or absolute means no limit. Sequences start at moment 0 with a root head and one child of it, first_token; fresh_tag is the tag to mint with where minted is not null."}
	hv := func(g uint32, own, parent byte) headVector {
		return headVector{g, hexTag(own), hexTag(parent)}
	}
	base := stateVector{Head: hv(7, 0x70, 0x60), HeadAt: 1000 * sec, CreatedAt: 500 * sec}
	std := policyVector{Overlap: 10 * sec, Idle: 14 * day, Absolute: 90 * day}
	add := func(name string, s stateVector, tok headVector, p policyVector, now int64) {
		d := rotation.Decide(s.state(t), tok.token(t), p.policy(), time.UnixMilli(now))
		f.Decisions = append(f.Decisions, decisionVector{name, s, tok, p, now, d.Outcome.String(), vectorOf(d.Head)})
	}
	at := base.HeadAt
	add("the head again", base, hv(7, 0x70, 0x60), std, at)
	add("the head again, days later", base, hv(7, 0x70, 0x60), std, at+13*day)
	add("the head's tag under another parent: tags decide", base, hv(7, 0x70, 0x61), std, at)
	add("the head's tag in another generation is not the head", base, hv(5, 0x70, 0x40), std, at)
	add("a child of the head", base, hv(8, 0x80, 0x70), std, at)
	add("a child of the head, at the last moment of the idle lifetime", base, hv(8, 0x80, 0x70), std, at+14*day-1)
	add("a child of the head, at the end of the idle lifetime", base, hv(8, 0x80, 0x70), std, at+14*day)
	add("next generation, child of a sibling of the head", base, hv(8, 0x80, 0x71), std, at)
	add("two generations on", base, hv(9, 0x90, 0x81), std, at)
	add("two generations on, whatever its parent is called", base, hv(9, 0x90, 0x70), std, at)
	add("the last generation there can be", base, hv(math.MaxUint32, 0x90, 0x81), std, at)
	add("the parent within the overlap", base, hv(6, 0x60, 0x50), std, at+10*sec-1)
	add("the parent when the overlap is over", base, hv(6, 0x60, 0x50), std, at+10*sec)
	add("a sibling within the overlap", base, hv(7, 0x71, 0x60), std, at+10*sec-1)
	add("a sibling when the overlap is over", base, hv(7, 0x71, 0x60), std, at+10*sec)
	add("a sibling, the clock behind head_at", base, hv(7, 0x71, 0x60), std, at-100*sec)
	add("the parent, no overlap in the policy", base, hv(6, 0x60, 0x50), policyVector{Idle: 14 * day}, at)
	add("a sibling of the parent within the overlap", base, hv(6, 0x61, 0x50), std, at)
	add("the grandparent within the overlap", base, hv(5, 0x50, 0x40), std, at)
	add("a cousin within the overlap", base, hv(7, 0x71, 0x61), std, at)
	add("the head, idle lifetime over", base, hv(7, 0x70, 0x60), std, at+14*day)
	add("the head, absolute lifetime over", base, hv(7, 0x70, 0x60), policyVector{Overlap: 10 * sec, Absolute: 90 * day}, base.CreatedAt+90*day)
	add("the head, no lifetimes in the policy", base, hv(7, 0x70, 0x60), policyVector{}, at+1000*day)
	add("a stolen token, idle lifetime over: expired comes first", base, hv(5, 0x50, 0x40), std, at+14*day)
	ended := base
	ended.Ended = true
	add("the head of an ended session", ended, hv(7, 0x70, 0x60), std, at)
	add("an ended session whose lifetime is over too: ended comes first", ended, hv(7, 0x70, 0x60), std, at+14*day)
	add("a stolen token of an ended session: ended comes first", ended, hv(5, 0x50, 0x40), std, at)
	root := stateVector{Head: hv(0, 0x01, 0), HeadAt: at, CreatedAt: at}
	add("the first token of a session", root, hv(1, 0x10, 0x01), std, at)
	add("a first token of another root", root, hv(1, 0x10, 0x02), std, at)
	last := stateVector{Head: hv(math.MaxUint32, 0x70, 0x60), HeadAt: at, CreatedAt: at}
	add("generations do not wrap", last, hv(0, 0x80, 0x70), std, at)

	f.Sequences = []sequence{
		play(t, "renewals", std, []act{{0, 900 * sec}, {1, 1800 * sec}, {2, 2700 * sec}}),
		play(t, "the answer is lost, and lost again, for an hour", std, []act{{0, 900 * sec}, {0, 910 * sec}, {0, 4500 * sec}, {3, 5400 * sec}}),
		play(t, "three tabs at once; the last answer wins the jar", std, []act{{0, 900 * sec}, {0, 900 * sec}, {0, 900 * sec}, {3, 1800 * sec}, {4, 2700 * sec}}),
		play(t, "a slow duplicate", std, []act{{0, 900 * sec}, {1, 1800 * sec}, {0, 1809 * sec}, {2, 2700 * sec}}),
		play(t, "a thief with a copy of the first token", std, []act{{0, 900 * sec}, {0, 1000 * sec}, {1, 1800 * sec}, {2, 1900 * sec}, {3, 1901 * sec}}),
		play(t, "a thief who is faster", std, []act{{0, 100 * sec}, {1, 200 * sec}, {0, 900 * sec}}),
	}
	return f
}

func hexTag(b byte) string {
	t := rotation.Tag{b}
	return hex.EncodeToString(t[:])
}

// act presents the n-th token that was minted (0: the first) at a moment.
type act struct {
	n  int
	at int64
}

func play(t *testing.T, name string, p policyVector, acts []act) sequence {
	root := rotation.Root(rotation.Tag{0xf0})
	s := rotation.State{Head: root, HeadAt: time.UnixMilli(0), CreatedAt: time.UnixMilli(0)}
	minted := []rotation.Token{rotation.Child(rotation.SessionID{}, root, rotation.Tag{1})}
	q := sequence{Name: name, Policy: p, Root: hexTag(0xf0), First: vectorOfToken(minted[0])}
	for i, a := range acts {
		if a.n >= len(minted) {
			t.Fatalf("%s: step %d presents a token that was never minted", name, i+1)
		}
		d := rotation.Decide(s, minted[a.n], p.policy(), time.UnixMilli(a.at))
		st := step{At: a.at, Present: vectorOfToken(minted[a.n]), Tag: hexTag(byte(i + 2)), Outcome: d.Outcome.String()}
		if d.Outcome.Moves() {
			s.Head, s.HeadAt = d.Head, time.UnixMilli(a.at)
		}
		if d.Outcome.Mints() {
			child := rotation.Child(rotation.SessionID{}, d.Head, rotation.Tag{byte(i + 2)})
			v := vectorOfToken(child)
			st.Minted = &v
			minted = append(minted, child)
		}
		s.Ended = s.Ended || d.Outcome == rotation.Reused
		q.Steps = append(q.Steps, st)
	}
	return q
}
