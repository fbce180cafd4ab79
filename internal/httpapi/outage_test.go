package httpapi_test

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// While nothing works, the log has a line a second, which says how many more
// there were; each request is answered all the same.
func TestAnOutageDoesNotFloodTheLog(t *testing.T) {
	h := newHarness(t)
	token := h.loginBody("alice").RefreshToken
	h.People.Fail(errors.New("the directory is away"))
	const line = "could not be served"
	for second := range 3 {
		for range 20 {
			h.refreshBody(token).want(503)
		}
		if got := strings.Count(h.Logged.String(), line); got != second+1 {
			t.Errorf("after %d seconds there are %d lines", second+1, got)
		}
		h.Clock.Advance(time.Second)
	}
	if !strings.Contains(h.Logged.String(), "others_since_the_last_line=19") {
		t.Errorf("the log does not say how many there were:\n%s", h.Logged.String())
	}
}
