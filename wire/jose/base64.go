package jose

import "encoding/base64"

// Base64 is base64url without padding (RFC 7515 §2). Bits at the end that say
// nothing are refused. Line breaks are skipped by Base64 and refused by [Decode]
// and [AppendDecode].
var Base64 = base64.RawURLEncoding.Strict()

// Decode returns what a base64url text stands for. Every value has one text.
func Decode(text string) ([]byte, bool) {
	b, err := Base64.DecodeString(text)
	return b, err == nil && len(b) == Base64.DecodedLen(len(text))
}

// AppendDecode is [Decode] for bytes, appended to dst.
func AppendDecode(dst, text []byte) ([]byte, bool) {
	n := len(dst)
	dst, err := Base64.AppendDecode(dst, text)
	return dst, err == nil && len(dst)-n == Base64.DecodedLen(len(text))
}
