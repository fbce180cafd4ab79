package rotation

import (
	"encoding/hex"
	"errors"
)

// String is the canonical text of the id: lower-case hexadecimal in the
// 8-4-4-4-12 groups of a UUID (RFC 9562 §4).
func (id SessionID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// ParseSessionID reads the text that [SessionID.String] writes, and no other.
func ParseSessionID(s string) (SessionID, error) {
	var id SessionID
	if len(s) == 36 {
		if raw, err := hex.DecodeString(s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]); err == nil {
			copy(id[:], raw)
			if id.String() == s {
				return id, nil
			}
		}
	}
	return SessionID{}, errors.New("rotation: not a session id: want 36 characters like 0192f3c4-0000-7000-8000-000000000000")
}
