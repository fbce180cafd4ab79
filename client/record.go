package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// record is what a store keeps of a session, as JSON. Stores see bytes.
type record struct {
	Version int `json:"version"`
	// Server is the base URL that the tokens came from. They are sent nowhere
	// else, whatever the configuration says later.
	Server       string            `json:"server"`
	RefreshToken string            `json:"refresh_token"`
	AccessToken  string            `json:"access_token,omitempty"`
	ExpiresIn    int64             `json:"expires_in,omitempty"`  // seconds from ReceivedAt
	ReceivedAt   int64             `json:"received_at,omitempty"` // nanoseconds since the epoch
	Session      wire.TokenSession `json:"session"`
	User         *wire.User        `json:"user,omitempty"`
}

const (
	recordVersion = 1
	maxRecord     = 1 << 20 // bytes; a real one has about one thousand
)

// with is r after a response that was received now. A response without a user
// (a renewal's) or without a refresh token (to a slow duplicate) leaves them.
func (r record) with(t wire.TokenResponse, now time.Time) record {
	r.AccessToken, r.ExpiresIn, r.ReceivedAt = t.AccessToken, t.ExpiresIn, now.UnixNano()
	if t.RefreshToken != "" {
		r.RefreshToken = t.RefreshToken
	}
	if t.Session.ID != "" {
		r.Session = t.Session
	}
	if t.User != nil {
		r.User = t.User
	}
	return r
}

func (r record) lifetime() time.Duration {
	return time.Duration(min(r.ExpiresIn, maxLifetime)) * time.Second
}

// maxLifetime keeps a lifetime in seconds within a time.Duration.
const maxLifetime = math.MaxInt64 / int64(time.Second) / 4

func (r record) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("client: a record is always encodable: " + err.Error())
	}
	return append(b, '\n')
}

// decodeRecord never repeats what it read: it is a secret.
func decodeRecord(b []byte) (record, error) {
	if len(b) > maxRecord {
		return record{}, fmt.Errorf("%d bytes are too many for a session", len(b))
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return record{}, errors.New("this is not a stored session (no valid JSON); sign in again to replace it")
	}
	switch {
	case r.Version > recordVersion:
		return record{}, fmt.Errorf("the session was stored by a newer version of this program (format %d, known: %d); update this one, or sign in again", r.Version, recordVersion)
	case r.Version < 1 || r.RefreshToken == "" || r.Server == "":
		return record{}, errors.New("this is not a stored session (members are missing); sign in again to replace it")
	case r.ExpiresIn < 0 || (r.AccessToken != "" && !isB64Token(r.AccessToken)):
		return record{}, errors.New("the stored session is damaged (access token or lifetime); sign in again to replace it")
	}
	return r, nil
}

// isB64Token reports whether s can stand behind "Bearer " (RFC 6750 §2.1).
func isB64Token(s string) bool {
	i := 0
	for i < len(s) && (isAlnum(s[i]) || s[i] == '-' || s[i] == '.' || s[i] == '_' || s[i] == '~' || s[i] == '+' || s[i] == '/') {
		i++
	}
	if i == 0 {
		return false
	}
	for i < len(s) && s[i] == '=' {
		i++
	}
	return i == len(s)
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
