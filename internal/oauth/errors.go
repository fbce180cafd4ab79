package oauth

import (
	"errors"

	"github.com/tacet-dev/tacet/internal/httpapi/form"

	"github.com/tacet-dev/tacet/internal/session"
)

// settle makes an outage of every error that is not a refusal, so that nobody
// takes it for one.
func settle(err error) error {
	var refused *form.Error
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
		return form.Refuse(form.CodeInvalidGrant, "the session is over ("+refused.Outcome.String()+"): sign in again")
	case errors.Is(err, session.ErrProof):
		return form.Refuse(form.CodeInvalidGrant, "the refresh token is bound to a key: send a DPoP proof of that key")
	case errors.Is(err, session.ErrNotAuthentic):
		return form.Refuse(form.CodeInvalidGrant, "the refresh token is not one of this server")
	case errors.Is(err, session.ErrNoUser):
		return form.Refuse(form.CodeInvalidGrant, "the user is disabled or gone")
	case errors.Is(err, session.ErrVoid):
		return form.Refuse(form.CodeInvalidGrant, "the password has changed since the user signed in, or the user has signed out everywhere: sign in again")
	}
	return settle(err)
}
