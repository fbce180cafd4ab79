package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/events"
	"github.com/tacet-dev/tacet/wire"
)

// secretPrefix is before the secrets of Standard Webhooks.
const secretPrefix = "whsec_"

// ParseSecret reads a secret: whsec_ and 24 to 64 bytes in base64.
func ParseSecret(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, secretPrefix))
	if err != nil || !strings.HasPrefix(text, secretPrefix) || len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("must be %s and 24 to 64 random bytes in base64; make one with: echo \"%s$(openssl rand -base64 32)\"", secretPrefix, secretPrefix)
	}
	return key, nil
}

// message is the body of one call.
type message struct {
	Type      string         `json:"type"`
	Timestamp string         `json:"timestamp"` // of the event, RFC 3339
	Data      map[string]any `json:"data"`
}

// told are the kinds of events that are told.
var told = map[string]bool{wire.EventSessionEnded: true, wire.EventReuseDetected: true, wire.EventGrantsChanged: true}

// body is the message about an event: its own data, and whom it is about.
func body(e events.Event) ([]byte, error) {
	m := message{Type: e.Kind, Timestamp: e.At.UTC().Format(time.RFC3339Nano), Data: map[string]any{}}
	if len(e.Data) > 0 {
		if err := json.Unmarshal(e.Data, &m.Data); err != nil {
			return nil, fmt.Errorf("event %d: %w", e.Seq, err)
		}
	}
	m.Data["user_id"] = e.UserID
	if e.SessionID != "" {
		m.Data["session_id"] = e.SessionID
	}
	return json.Marshal(m)
}

// sign sets the headers of a message that is sent now.
func sign(h http.Header, secret []byte, id string, now time.Time, body []byte) {
	at := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, at, body) // never fails (hash.Hash)
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", at)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
