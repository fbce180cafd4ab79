package verify

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// Many goroutines may see a new token at once; it must not take all the places of
// its neighbours.
func TestATokenIsRememberedInOnePlace(t *testing.T) {
	r := newRemembered(ways)
	token := &Token{expiresAt: time.Unix(1, 0)}
	r.put(seen{raw: "other", token: token})
	for range 100 {
		r.put(seen{raw: "new", token: token})
	}
	if r.get("other") == nil || r.get("new") == nil {
		t.Error("forgotten")
	}
	n := 0
	for i := range r.slots {
		if r.slots[i].Load() != nil {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d places for two tokens", n)
	}
}

func TestTheOneThatExpiresFirstMakesRoom(t *testing.T) {
	r := newRemembered(ways)
	for i, name := range []string{"c", "a", "b", "d"} {
		r.put(seen{raw: name, token: &Token{expiresAt: time.Unix([]int64{30, 10, 20, 40}[i], 0)}})
	}
	r.put(seen{raw: "e", token: &Token{expiresAt: time.Unix(25, 0)}})
	r.put(seen{raw: "f", token: &Token{expiresAt: time.Unix(50, 0)}})
	for name, want := range map[string]bool{"a": false, "b": false, "c": true, "d": true, "e": true, "f": true} {
		if got := r.get(name) != nil; got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestForgottenGrantsAreAskedOfNobody(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLiveSet(time.Hour, 0, func() time.Time { return now })
	l.SessionEnded("s", now)
	l.GrantsChanged("u", 5, now)
	old, ended := &Token{subject: "u", session: "t", grantsVersion: 4, issuedAt: now}, &Token{subject: "u", session: "s", grantsVersion: 9, issuedAt: now}
	if err := l.Live(t.Context(), old); !errors.Is(err, ErrStaleGrants) {
		t.Errorf("older grants: %v", err)
	}
	l.ForgetGrants()
	if err := l.Live(t.Context(), old); err != nil {
		t.Errorf("after the store has forgotten the newer ones: %v", err)
	}
	if err := l.Live(t.Context(), ended); !errors.Is(err, ErrSessionEnded) {
		t.Errorf("a session that has ended: %v", err)
	}
}

func TestEventReader(t *testing.T) {
	const all = "\ufeffevent: hello\ndata: a\n\n" + // byte order mark
		": comment\n\n" +
		"event: dropped for want of data\n\n" +
		"data\n\n" + // empty data
		"event: two\r\ndata:a\r\ndata:  b\r\n\r\n" +
		"event: x\revent\rid: 7\rretry: 5\rdata: old style\r\r" +
		"event: last\ndata: never ended\n"
	want := []event{{"hello", []byte("a")}, {"message", []byte("")}, {"two", []byte("a\n b")}, {"message", []byte("old style")}}
	for name, r := range map[string]io.Reader{
		"at once":       strings.NewReader(all),
		"byte by byte":  iotest.OneByteReader(strings.NewReader(all)),
		"half by half":  iotest.HalfReader(strings.NewReader(all)),
		"data with EOF": iotest.DataErrReader(strings.NewReader(all)),
	} {
		e := newEventReader(r)
		for i, w := range want {
			got, err := e.next()
			if err != nil || got.kind != w.kind || !bytes.Equal(got.data, w.data) {
				t.Fatalf("%s, %d: %q %q %v, want %q %q", name, i, got.kind, got.data, err, w.kind, w.data)
			}
		}
		if _, err := e.next(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v at the end", name, err)
		}
	}
	failing := newEventReader(io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if _, err := failing.next(); err != nil {
		t.Error(err)
	}
	if _, err := failing.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v instead of the reader's error", err)
	}
}

// A line that ends in CR is complete: the event must not wait for what follows.
func TestEventReaderDoesNotWaitForAnLF(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	go func() { _, _ = io.WriteString(pw, "data: a\r\r") }()
	if e, err := newEventReader(pr).next(); err != nil || string(e.data) != "a" {
		t.Errorf("%q, %v", e.data, err)
	}
}

// However the stream is cut into reads, the events are the same, and they are
// those of a dumb reading of the whole.
func FuzzEventReader(f *testing.F) {
	f.Add("event: a\ndata: b\n\n", 1)
	f.Add("data: a\r\n\r\ndata\rdata: \r\r\n", 2)
	f.Add("\ufeffdata:x\n\n:\n\nevent\ndata\n\n", 3)
	f.Fuzz(func(t *testing.T, s string, chunk int) {
		if len(s) > 1<<12 {
			return
		}
		var got []event
		r := newEventReader(chunks{strings.NewReader(s), max(chunk%16, 1)})
		for {
			e, err := r.next()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					t.Fatal(err)
				}
				break
			}
			got = append(got, e)
		}
		want := dumbEvents(s)
		if len(got) != len(want) {
			t.Fatalf("%q: %q, want %q", s, got, want)
		}
		for i := range got {
			if got[i].kind != want[i].kind || !bytes.Equal(got[i].data, want[i].data) {
				t.Fatalf("%q: %q, want %q", s, got, want)
			}
		}
	})
}

type chunks struct {
	r io.Reader
	n int
}

func (c chunks) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }

func dumbEvents(s string) (list []event) {
	s = strings.TrimPrefix(s, "\ufeff")
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(s, "\n")
	kind, data, some := "", "", false
	for _, line := range lines[:len(lines)-1] {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			if some {
				if kind == "" {
					kind = "message"
				}
				list = append(list, event{kind, []byte(strings.TrimSuffix(data, "\n"))})
			}
			kind, data, some = "", "", false
		case name == "event":
			kind = value
		case name == "data":
			data, some = data+value+"\n", true
		}
	}
	return list
}
