package gateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tacet-dev/tacet/wire"
)

const protocolHeader = "Sec-Websocket-Protocol" // as net/http spells it

// isWebSocket reports whether the request asks for a WebSocket (RFC 6455 §4.1).
func isWebSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") &&
		len(r.Header["Upgrade"]) == 1 && slices.ContainsFunc(strings.Split(strings.Join(r.Header["Connection"], ","), ","),
		func(s string) bool { return strings.EqualFold(strings.TrimSpace(s), "upgrade") })
}

// unwrapProtocols takes our subprotocols out of the offer and returns the access
// token in it, and whether the plain one was offered.
func unwrapProtocols(h http.Header) (token string, plain bool) {
	var rest []string
	for p := range strings.SplitSeq(strings.Join(h[protocolHeader], ","), ",") {
		p = strings.TrimSpace(p)
		if t, ok := strings.CutPrefix(p, wire.SubprotocolBearer); ok {
			token = t
		} else if p == wire.SubprotocolPlain {
			plain = true
		} else if p != "" {
			rest = append(rest, p)
		}
	}
	h.Del(protocolHeader)
	if len(rest) > 0 {
		h.Set(protocolHeader, strings.Join(rest, ", "))
	}
	return token, plain
}

// frames follows a stream of WebSocket frames (RFC 6455 §5.2) to know where one
// ends: only there can a frame be put in.
type frames struct {
	header  [14]byte
	have    int    // bytes of header
	payload uint64 // bytes of the payload to come
	closed  bool   // a close frame was the last
}

// between reports whether the last byte seen was the end of a frame after which
// another one may come.
func (f *frames) between() bool { return f.have == 0 && f.payload == 0 && !f.closed }

func (f *frames) see(p []byte) {
	for len(p) > 0 {
		if f.payload > 0 {
			n := min(f.payload, uint64(len(p)))
			f.payload -= n
			p = p[n:]
			continue
		}
		f.header[f.have] = p[0]
		f.have++
		p = p[1:]
		if f.have >= 2 && f.have == f.headerLen() {
			f.payload = f.payloadLen()
			f.closed = f.header[0]&0x0f == 8
			f.have = 0
		}
	}
}

func (f *frames) headerLen() int {
	n := 2
	switch f.header[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.header[1]&0x80 != 0 {
		n += 4
	}
	return n
}

func (f *frames) payloadLen() uint64 {
	short := uint64(f.header[1] & 0x7f)
	ext := 0
	switch short {
	case 126:
		ext = 2
	case 127:
		ext = 8
	default:
		return short
	}
	var n uint64
	for _, b := range f.header[2 : 2+ext] {
		n = n<<8 | uint64(b)
	}
	return n
}

// closeFrame is an unmasked close frame (RFC 6455 §5.5.1); reason is short.
func closeFrame(code uint16, reason string) []byte {
	return append([]byte{0x88, byte(2 + len(reason)), byte(code >> 8), byte(code)}, reason...)
}
