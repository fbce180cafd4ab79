package verify

import "errors"

// The two families of errors that Verify and Authenticate return.
var (
	// ErrInvalidToken: the credential is not good; 401 invalid_token. The client
	// should renew and repeat.
	ErrInvalidToken = errors.New("verify: the access token is not accepted")
	// ErrUnavailable: it cannot be told now whether the credential is good; 503.
	// Nobody must be signed out over it.
	ErrUnavailable = errors.New("verify: access tokens cannot be checked at the moment")
)

// Members of the ErrInvalidToken family.
var (
	ErrMalformed    = invalid("the access token is malformed")
	ErrAlgorithm    = invalid("the access token is not signed with an accepted algorithm")
	ErrType         = invalid("the token is not an access token (typ at+jwt)")
	ErrUnknownKey   = invalid("the access token is signed with an unknown key")
	ErrSignature    = invalid("the signature of the access token is wrong")
	ErrIssuer       = invalid("the access token is from another issuer")
	ErrAudience     = invalid("the access token is meant for another audience")
	ErrExpired      = invalid("the access token has expired")
	ErrNotYetValid  = invalid("the access token is not valid yet (compare the clocks)")
	ErrSessionEnded = invalid("the session has ended")
	ErrStaleGrants  = invalid("the user's grants have changed since the access token was issued")
)

// Members of the ErrUnavailable family.
var (
	ErrKeysUnavailable = unavailable("the issuer's keys cannot be fetched")
	ErrFeedLost        = unavailable("the issuer's feed of ended sessions is lost")
)

// ErrBound is of the ErrInvalidToken family: the token is bound to a key, and no
// proof of that key came with it.
var ErrBound = invalid("the access token is bound to a key: send it with a DPoP proof of that key")

// ErrUnbound is of the ErrInvalidToken family: a bearer token was sent as one that
// is bound to a key (RFC 9449 §7.1).
var ErrUnbound = invalid("the access token is bound to no key: send it as Bearer")

// ErrProof: the proof of possession that came with a token is not accepted; 401
// invalid_dpop_proof in the challenge (RFC 9449 §7.1). The error says why.
var ErrProof = errors.New("verify: the DPoP proof is not accepted")

// Errors about the request rather than a token.
var (
	// ErrNoCredential: no bearer token was presented; 401 without an error code
	// (RFC 6750 §3.1).
	ErrNoCredential = errors.New("verify: the request carries no access token")
	// ErrInvalidRequest: more than one Authorization header; 400.
	ErrInvalidRequest = errors.New("verify: the request carries more than one Authorization header")
)

// ErrEncryptionRequired: plain text with an access token that is bound to a key,
// or where only encrypted requests are taken; 415.
var ErrEncryptionRequired = errors.New("verify: the request must be encrypted")

// ScopeError is the refusal of a good token that lacks a permission: 403
// insufficient_scope. Renewing would not help.
type ScopeError struct {
	Required []string // all that the resource wants
	Missing  string   // the first that the token lacks
}

func (e *ScopeError) Error() string {
	return "verify: the access token lacks the permission " + e.Missing
}

// cause is one reason within a family.
type cause struct {
	text   string
	family error
}

func (c *cause) Error() string { return "verify: " + c.text }
func (c *cause) Unwrap() error { return c.family }

func invalid(text string) error     { return &cause{text, ErrInvalidToken} }
func unavailable(text string) error { return &cause{text, ErrUnavailable} }
