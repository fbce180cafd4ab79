package oauth

import (
	"errors"

	"github.com/tacet-dev/tacet/internal/session"
)

// Error codes: RFC 6749 §4.1.2.1 and §5.2, RFC 7009 §2.2.1, RFC 8628 §3.5,
// RFC 9449 §5, OpenID Connect Core §3.1.2.6.
const (
	CodeInvalidRequest          = "invalid_request"
	CodeInvalidClient           = "invalid_client"
	CodeInvalidGrant            = "invalid_grant"
	CodeUnauthorizedClient      = "unauthorized_client"
	CodeUnsupportedGrantType    = "unsupported_grant_type"
	CodeUnsupportedResponseType = "unsupported_response_type"
	CodeInvalidScope            = "invalid_scope"
	CodeAuthorizationPending    = "authorization_pending"
	CodeSlowDown                = "slow_down"
	CodeAccessDenied            = "access_denied"
	CodeExpiredToken            = "expired_token"
	CodeLoginRequired           = "login_required"
	CodeRequestNotSupported     = "request_not_supported"
	CodeRequestURINotSupported  = "request_uri_not_supported"
	CodeInvalidProof            = "invalid_dpop_proof"
	CodeServerError             = "server_error"
	CodeTemporarilyUnavailable  = "temporarily_unavailable"
)

// Error is a refusal that the client is told. Description is for the client's
// developer: printable ASCII without quotes and backslashes (RFC 6749 §5.2).
type Error struct {
	Code        string
	Description string
}

func (e *Error) Error() string { return "oauth: " + e.Code + ": " + e.Description }

func refuse(code, description string) error { return &Error{code, description} }

// settle makes an outage of every error that is not a refusal, so that nobody
// takes it for one.
func settle(err error) error {
	var refused *Error
	if err == nil || errors.As(err, &refused) || errors.Is(err, session.ErrUnavailable) {
		return err
	}
	return errors.Join(session.ErrUnavailable, err)
}

// invalidGrant says why a session gives nothing more, else it settles.
func invalidGrant(err error) error {
	var refused *session.Refusal
	switch {
	case errors.As(err, &refused):
		return refuse(CodeInvalidGrant, "the session is over ("+refused.Outcome.String()+"): sign in again")
	case errors.Is(err, session.ErrProof):
		return refuse(CodeInvalidGrant, "the refresh token is bound to a key: send a DPoP proof of that key")
	case errors.Is(err, session.ErrNotAuthentic):
		return refuse(CodeInvalidGrant, "the refresh token is not one of this server")
	case errors.Is(err, session.ErrNoUser):
		return refuse(CodeInvalidGrant, "the user is disabled or gone")
	}
	return settle(err)
}
