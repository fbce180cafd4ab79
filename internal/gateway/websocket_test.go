package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// frame is one WebSocket frame, written from RFC 6455 §5.2.
func frame(opcode byte, masked bool, payload []byte) []byte {
	b := []byte{0x80 | opcode, 0}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if masked {
		b[1] |= 0x80
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, payload...)
}

// However the bytes are cut, the ends of frames are found, and nothing else.
func TestFramesFindTheirEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		ends := map[int]bool{0: true}
		for range rapid.IntRange(1, 6).Draw(t, "frames") {
			size := rapid.SampledFrom([]int{0, 1, 125, 126, 127, 1000, 65535, 65536, 70000}).Draw(t, "size")
			stream = append(stream, frame(byte(rapid.SampledFrom([]int{0, 1, 2, 9, 10}).Draw(t, "opcode")), rapid.Bool().Draw(t, "masked"), make([]byte, size))...)
			ends[len(stream)] = true
		}
		var f frames
		for at := 0; at < len(stream); {
			n := min(rapid.SampledFrom([]int{1, 2, 3, 7, 128, 4096, 1 << 20}).Draw(t, "cut"), len(stream)-at)
			f.see(stream[at : at+n])
			at += n
			if f.between() != ends[at] {
				t.Fatalf("after %d bytes: %v, want %v", at, f.between(), ends[at])
			}
		}
	})
	var f frames
	f.see(frame(8, false, []byte{3, 232}))
	if f.between() {
		t.Error("a frame may follow a close frame")
	}
}

// pipe is an upstream's side that a test feeds.
type pipe struct {
	data   chan []byte
	once   sync.Once
	closed chan struct{}
}

func newPipe() *pipe { return &pipe{data: make(chan []byte, 8), closed: make(chan struct{})} }

func (p *pipe) Read(b []byte) (int, error) {
	select {
	case d := <-p.data:
		return copy(b, d), nil
	default:
	}
	select {
	case d := <-p.data:
		return copy(b, d), nil
	case <-p.closed:
		return 0, net.ErrClosed
	}
}

func (p *pipe) Write(b []byte) (int, error) {
	select {
	case <-p.closed:
		return 0, net.ErrClosed
	default:
		return len(b), nil
	}
}

func (p *pipe) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

func TestTunnelSaysWhyItClosesBetweenFramesOnly(t *testing.T) {
	text := frame(1, false, []byte("hello"))
	for name, c := range map[string]struct {
		sent []byte
		want []byte
	}{
		"between frames":      {text, append(bytes.Clone(text), closeFrame(4401, "session_ended")...)},
		"nothing sent":        {nil, closeFrame(4401, "session_ended")},
		"within a frame":      {text[:4], text[:4]},
		"within a header":     {text[:1], text[:1]},
		"after a close frame": {closeFrame(1000, ""), closeFrame(1000, "")},
	} {
		p := newPipe()
		tun := &tunnel{ReadWriteCloser: p}
		if c.sent != nil {
			p.data <- c.sent
		}
		var got bytes.Buffer
		buf := make([]byte, 512)
		for got.Len() < len(c.sent) {
			n, err := tun.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(buf[:n])
		}
		tun.end(sessionEnded)
		_ = tun.Close()
		n, err := io.Copy(&got, tun)
		if !errors.Is(err, errOver) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		if !bytes.Equal(got.Bytes(), c.want) {
			t.Errorf("%s: %q, want %q", name, got.Bytes(), c.want)
		}
		if n, err := tun.Write([]byte("late")); n != 4 || err != nil {
			t.Errorf("%s: what the caller still sends ends the connection before the close frame: %v", name, err)
		}
	}
}

func TestOnlyWebSocketsAreUpgraded(t *testing.T) {
	for _, c := range []struct {
		method, upgrade, connection string
		want                        bool
	}{
		{"GET", "websocket", "Upgrade", true},
		{"GET", "WebSocket", "keep-alive, upgrade", true},
		{"GET", "h2c", "Upgrade, HTTP2-Settings", false},
		{"GET", "websocket, h2c", "Upgrade", false},
		{"POST", "websocket", "Upgrade", false},
		{"GET", "websocket", "keep-alive", false},
		{"GET", "", "Upgrade", false},
	} {
		r := &http.Request{Method: c.method, Header: http.Header{"Upgrade": {c.upgrade}, "Connection": {c.connection}}}
		if got := isWebSocket(r); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
