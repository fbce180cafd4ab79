package accounts

import (
	"errors"
	"net/http"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/wire"
)

// adminSessions is GET /auth/admin/sessions: the living sessions of everybody,
// or with user those of one.
func (a *surface) adminSessions(w http.ResponseWriter, r *http.Request, by administrator) error {
	limit, err := pageLimit(r)
	if err != nil {
		return err
	}
	var before rotation.SessionID
	if after := r.URL.Query().Get("after"); after != "" {
		if before, err = rotation.ParseSessionID(after); err != nil {
			return errAfterSession
		}
	}
	// One more than is shown says whether there are more.
	list, err := a.Sessions.Page(r.Context(), r.URL.Query().Get("user"), before, limit+1)
	if err != nil {
		return err
	}
	page := wire.AdminSessions{Sessions: make([]wire.AdminSession, 0, min(limit, len(list)))}
	for i, s := range list {
		if i == limit {
			page.Next = list[i-1].ID.String()
			break
		}
		page.Sessions = append(page.Sessions, wire.AdminSession{Session: a.WireSession(s, by.session.ID), UserID: s.UserID})
	}
	return httpapi.WriteJSON(w, http.StatusOK, page)
}

// adminEndSession is DELETE /auth/admin/sessions/{id}. One that is over already
// is ended as was asked for.
func (a *surface) adminEndSession(w http.ResponseWriter, r *http.Request, by administrator) error {
	id, err := rotation.ParseSessionID(r.PathValue("id"))
	if err != nil {
		return errNoSession
	}
	err = EndSession(r.Context(), a.Sessions, by.actor, id)
	if errors.Is(err, session.ErrNotFound) {
		return errNoSession
	}
	return noContent(w, err)
}

// adminEndSessions is DELETE /auth/admin/users/{id}/sessions: all of a user's.
func (a *surface) adminEndSessions(w http.ResponseWriter, r *http.Request, by administrator) error {
	id := r.PathValue("id")
	if a.accounts != nil {
		if _, err := a.accounts.User(r.Context(), id); err != nil {
			return err
		}
	}
	return noContent(w, EndSessions(r.Context(), a.Sessions, by.actor, id))
}
