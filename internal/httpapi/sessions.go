package httpapi

import (
	"net/http"

	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// sessions is GET /auth/sessions: the devices of the caller.
func (a *API) sessions(w http.ResponseWriter, r *http.Request) error {
	current, user, err := a.Caller(r)
	if err != nil {
		return err
	}
	list, err := a.Sessions.List(r.Context(), user.ID)
	if err != nil {
		return err
	}
	out := wire.Sessions{Sessions: make([]wire.Session, 0, len(list))}
	for _, s := range list {
		out.Sessions = append(out.Sessions, a.WireSession(s, current.ID))
	}
	return WriteJSON(w, http.StatusOK, out)
}

func (a *API) WireSession(s session.Session, current rotation.SessionID) wire.Session {
	entry := wire.Session{
		ID:        s.ID.String(),
		CreatedAt: Timestamp(s.State.CreatedAt),
		LastSeen:  Timestamp(s.State.HeadAt),
		ExpiresAt: Timestamp(a.Sessions.ExpiresAt(s)),
		UserAgent: s.Contact.UserAgent,
		Current:   s.ID == current,
	}
	if s.Contact.Address.IsValid() {
		entry.Address = s.Contact.Address.String()
	}
	return entry
}

// endSession is DELETE /auth/sessions/{id}. A session of somebody else is as
// unknown as one that never was.
func (a *API) endSession(w http.ResponseWriter, r *http.Request) error {
	_, user, err := a.Caller(r)
	if err != nil {
		return err
	}
	id, err := rotation.ParseSessionID(r.PathValue("id"))
	if err != nil {
		return problem.NotFound
	}
	sess, err := a.Sessions.Living(r.Context(), id)
	if err != nil {
		return notFoundIfRefused(err)
	}
	if sess.UserID != user.ID {
		return problem.NotFound
	}
	if err := a.Sessions.End(r.Context(), id, wire.ReasonEndedByUser); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
