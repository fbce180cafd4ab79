package faults

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// parseToken reads a refresh token without its key, from the offsets of
// PROTOCOL.md, section 2.
func parseToken(raw string) (t rotation.Token, err error) {
	text, ok := strings.CutPrefix(raw, "tacet_rt_")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if !ok || err != nil || len(b) != 73 {
		return t, fmt.Errorf("%d characters that are no refresh token", len(raw))
	}
	copy(t.Session[:], b[5:])
	t.Generation = binary.BigEndian.Uint32(b[21:])
	copy(t.Tag[:], b[25:])
	copy(t.Parent[:], b[33:])
	return t, nil
}

// headOf is the head after a token was presented and accepted.
func headOf(t rotation.Token) rotation.Head {
	return rotation.Head{Generation: t.Generation, Tag: t.Tag, Parent: t.Parent}
}

// sessionOf is the sid of an access token, zero if it has none.
func sessionOf(access string) (id rotation.SessionID) {
	parts := strings.Split(access, ".")
	if len(parts) != 3 {
		return id
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return id
	}
	var c wire.AccessClaims
	if json.Unmarshal(b, &c) != nil {
		return id
	}
	id, _ = rotation.ParseSessionID(c.SessionID)
	return id
}
