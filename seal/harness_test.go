package seal

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"strings"
	"testing"
)

const (
	session = "0197a9c4-6f1e-7b52-9d0a-3c5e8f214b67"
	atTime  = 1795262400123
)

// pair are the two sides of one agreement.
type pair struct {
	server  *ServerKey
	client  *Client
	channel *Channel
	keys    *Keys // the server's
}

func newPair(t testing.TB) pair {
	t.Helper()
	var p pair
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err == nil {
		p.server, err = NewServerKey(private)
	}
	if err == nil {
		p.client, err = NewClient()
	}
	if err == nil {
		p.channel, err = p.client.Channel(p.server.Public(), session)
	}
	if err == nil {
		p.keys, err = p.server.Agree(p.client.public, session)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var order = Request{Method: "POST", Path: "/api/orders?x=1&y=<2>", Sequence: 7}

func (p pair) request(t testing.TB, content string) []byte {
	t.Helper()
	m, err := p.channel.Seal(order, "application/json", []byte(content), atTime)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (p pair) answer(t testing.TB, change func(*Header), content string) []byte {
	t.Helper()
	h := Header{KeyID: p.server.ID(), ContentType: "text/plain", Method: order.Method, Path: order.Path, Status: 200, Sequence: order.Sequence, Time: atTime}
	if change != nil {
		change(&h)
	}
	m, err := p.keys.SealResponse(h, []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (p pair) open(message []byte) (Header, string, error) {
	m, err := Read(bytes.NewReader(message))
	if err != nil {
		return Header{}, "", err
	}
	content, err := p.keys.OpenRequest(m, 1<<20)
	return m.Header, string(content), err
}

// parts takes a message apart at its dots.
func parts(message []byte) []string { return strings.Split(string(message), ".") }
