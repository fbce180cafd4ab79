package demo

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
	"github.com/tacet-dev/tacet/wire/jose"
)

// peek reads a refresh token without authenticating it (the layout is that of
// package rotation). The demo draws what it reads and decides nothing by it.
func peek(s string) (rotation.Token, bool) {
	const offSession, offGen, offTag, offParent, end = 5, 21, 25, 33, 41
	body, ok := strings.CutPrefix(s, rotation.Prefix)
	if !ok || len(s) != rotation.EncodedLen {
		return rotation.Token{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || len(raw) < end || raw[0] != rotation.Version {
		return rotation.Token{}, false
	}
	var t rotation.Token
	copy(t.Session[:], raw[offSession:])
	t.Generation = binary.BigEndian.Uint32(raw[offGen:])
	copy(t.Tag[:], raw[offTag:])
	copy(t.Parent[:], raw[offParent:])
	return t, true
}

// refreshCookie is the value of the refresh cookie, whatever its prefix, among
// the cookies of a request or of a response; empty if there is none.
func refreshCookie(cookies []*http.Cookie) string {
	value := ""
	for _, c := range cookies {
		if strings.TrimPrefix(c.Name, wire.CookieSecurePrefix) == wire.CookieRefresh && c.MaxAge >= 0 {
			value = c.Value
		}
	}
	return value
}

// clearsCookie reports whether a response deletes the refresh cookie.
func clearsCookie(cookies []*http.Cookie) bool {
	for _, c := range cookies {
		if strings.TrimPrefix(c.Name, wire.CookieSecurePrefix) == wire.CookieRefresh && (c.MaxAge < 0 || c.Value == "") {
			return true
		}
	}
	return false
}

// claims reads the payload of an access token that somebody else has verified,
// or that this process has just made.
func claims(accessToken string) (wire.AccessClaims, bool) {
	var c wire.AccessClaims
	return c, json.Unmarshal(jose.UnverifiedPayload(accessToken), &c) == nil
}

// bearer is the token of an Authorization header (RFC 6750 §2.1), or empty.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// Token is a refresh token as the page may see it: names of links in the chain,
// nothing from which a token can be made.
type Token struct {
	Session    string `json:"session"`
	Generation uint32 `json:"generation"`
	Tag        string `json:"tag"`
	Parent     string `json:"parent"`
}

func shown(t rotation.Token) *Token {
	if t == (rotation.Token{}) {
		return nil
	}
	return &Token{
		Session:    hex.EncodeToString(t.Session[:]),
		Generation: t.Generation,
		Tag:        hex.EncodeToString(t.Tag[:]),
		Parent:     hex.EncodeToString(t.Parent[:]),
	}
}
