package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"time"
)

// conn is a keep-alive HTTP/1.1 connection with one request at a time. It does
// only what a load generator needs, because on a small machine every
// microsecond spent here is taken from the server that is measured: net/http's
// client costs more than the cheapest server answers.
type conn struct {
	addr string
	c    net.Conn
	r    *bufio.Reader
	req  []byte
	ans  answer
}

// answer is valid until the next round trip on its connection.
type answer struct {
	status  int
	cookies [][]byte // values of Set-Cookie
	body    []byte
}

// exchangeWithin bounds every round trip.
const exchangeWithin = 60 * time.Second

func (c *conn) dial() error {
	if c.c != nil {
		return nil
	}
	nc, err := net.Dial("tcp", c.addr)
	if err != nil {
		return err
	}
	c.c = nc
	if c.r == nil {
		c.r = bufio.NewReaderSize(nc, 4<<10)
	}
	c.r.Reset(nc)
	return nil
}

func (c *conn) close() {
	if c.c != nil {
		c.c.Close()
		c.c = nil
	}
}

// roundTrip sends an exchange for s and reads the whole response. After an error
// the connection is closed; the next call opens a new one.
func (c *conn) roundTrip(e *Exchange, s *session) (*answer, error) {
	if err := c.dial(); err != nil {
		return nil, err
	}
	err := c.send(e, s)
	if err == nil {
		err = c.receive()
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return &c.ans, nil
}

func (c *conn) send(e *Exchange, s *session) error {
	c.req = e.request(c.req[:0], c.addr, s)
	c.c.SetDeadline(time.Now().Add(exchangeWithin))
	_, err := c.c.Write(c.req)
	return err
}

var errAnswer = errors.New("the response is not HTTP/1.1 as this client knows it")

func (c *conn) receive() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return fmt.Errorf("%w: %q", errAnswer, line)
	}
	if c.ans.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return fmt.Errorf("%w: %q", errAnswer, line)
	}
	length, chunked, closes := 0, false, false
	c.ans.cookies = c.ans.cookies[:0]
	for {
		if line, err = c.line(); err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return fmt.Errorf("%w: %q", errAnswer, line)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		case bytes.EqualFold(name, []byte("Connection")):
			closes = bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(name, []byte("Set-Cookie")):
			c.ans.cookies = append(c.ans.cookies, bytes.Clone(value))
		}
	}
	if err := c.readBody(length, chunked); err != nil {
		return err
	}
	if closes {
		c.close()
	}
	return nil
}

func (c *conn) readBody(length int, chunked bool) error {
	if chunked {
		body, err := io.ReadAll(httputil.NewChunkedReader(c.r))
		c.ans.body = body
		if err != nil {
			return err
		}
		_, err = c.line() // the empty trailer
		return err
	}
	if cap(c.ans.body) < length {
		c.ans.body = make([]byte, length)
	}
	c.ans.body = c.ans.body[:length]
	_, err := io.ReadFull(c.r, c.ans.body)
	return err
}

// line is the next line without its end, valid until the next read.
func (c *conn) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}
