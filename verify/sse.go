package verify

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxEvent bounds a line and the data of one event, in bytes.
const maxEvent = 64 << 10

var errEventTooLarge = errors.New("verify: the feed sent an event that is too large")

// event is one server-sent event. Its id is left out: the feed resumes by ticks.
type event struct {
	kind string
	data []byte
}

// eventReader reads server-sent events as the HTML standard §9.2 says, within
// maxEvent.
type eventReader struct {
	lines *bufio.Scanner
	cr    bool // the last line ended in CR, so that an LF belongs to it
	first bool
}

func newEventReader(r io.Reader) *eventReader {
	e := &eventReader{lines: bufio.NewScanner(r), first: true}
	e.lines.Buffer(nil, maxEvent)
	e.lines.Split(e.split)
	return e
}

// split ends lines at LF, CR or CR LF. A line that ends in CR is handed out at
// once: the LF that may follow could be a long time coming.
func (e *eventReader) split(data []byte, _ bool) (advance int, line []byte, err error) {
	start := 0
	if e.cr && len(data) > 0 {
		e.cr = false
		if data[0] == '\n' {
			start = 1
		}
	}
	n := bytes.IndexAny(data[start:], "\r\n")
	if n < 0 {
		return start, nil, nil // what comes before the end without a line end is dropped
	}
	end := start + n
	e.cr = data[end] == '\r'
	return end + 1, data[start:end:end], nil
}

// next returns the next event that has data; io.EOF at the end.
func (e *eventReader) next() (event, error) {
	ev, size := event{kind: "message"}, 0
	for e.lines.Scan() {
		line := e.lines.Bytes()
		if e.first {
			line, e.first = bytes.TrimPrefix(line, []byte("\ufeff")), false
		}
		if len(line) == 0 {
			if ev.data != nil {
				return ev, nil
			}
			ev = event{kind: "message"}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			if ev.kind = string(value); ev.kind == "" {
				ev.kind = "message"
			}
		case "data":
			if size += len(value) + 1; size > maxEvent {
				return event{}, errEventTooLarge
			}
			if ev.data != nil {
				ev.data = append(ev.data, '\n')
			} else {
				ev.data = []byte{}
			}
			ev.data = append(ev.data, value...)
		}
	}
	switch err := e.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return event{}, errEventTooLarge
	case err != nil:
		return event{}, err
	}
	return event{}, io.EOF
}
