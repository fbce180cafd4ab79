package wire

// Encrypted bodies (docs/encryption.md). They are opt-in, for clients and
// servers alike.
const (
	// PathEncryption, below the base path: POST, encrypted, with an access token.
	// The response is an [EncryptionResponse].
	PathEncryption = "/encryption"
	// ContentTypeJOSE marks an encrypted body (RFC 7516 §9.2.1), and asks for one
	// in Accept.
	ContentTypeJOSE = "application/jose"
	// HeaderSeal takes the place of the body where there is none: in requests
	// without one, and in responses to HEAD, 204 and 304.
	HeaderSeal = "Tacet-Seal"
)

// EncryptionResponse is the response to POST /auth/encryption: an access token of the same
// session, with the same end, that is bound to the key which the request was
// encrypted with ([AccessClaims].EncryptionKey). A request in plain text is
// refused with it wherever it is presented.
type EncryptionResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"` // always "Bearer"
	ExpiresIn   int64  `json:"expires_in"` // seconds, from the receipt of the response
}

// Values of Problem.Code about encrypted bodies. With all of them, nothing was
// done; responses with them are in plain text.
const (
	CodeEncryptionRequired    = "encryption_required"    // 415: plain text, where encryption was agreed or is demanded
	CodeEncryptionInvalid     = "encryption_invalid"     // 400: changed, cut off, or sealed for another request
	CodeEncryptionKey         = "encryption_key"         // 400: not a key that is in use here: read the key set, agree anew
	CodeEncryptionStale       = "encryption_stale"       // 400: sealed too long ago; the header Date has the server's time
	CodeEncryptionReplayed    = "encryption_replayed"    // 409: received before
	CodeEncryptionUnsupported = "encryption_unsupported" // 500, encrypted: the response is a stream, compressed or too large
)
