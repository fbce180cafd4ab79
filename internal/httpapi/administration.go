package httpapi

import (
	"context"
	"net/http"
	"slices"

	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Administrator is who makes a call of administration: a user with the grants of
// now, not of when the access token was made, or a program.
type Administrator struct {
	// Session is the one that the call comes from; the zero Session for a program.
	Session session.Session
	UserID  string // empty for a program
	// Program is the name under which a program is known; empty for a user.
	Program     string
	Permissions []string
}

// Has reports whether the administrator has the permission.
func (by Administrator) Has(permission string) bool {
	return slices.ContainsFunc(by.Permissions, func(p string) bool { return wire.Covers(p, permission) })
}

// Administration lets callers through who have the permission, and logs what they
// change. They show an access token, or what a wing knows programs by
// ([Wing.Program]), and no cookie, so that a foreign page can't make the call.
func (a *API) Administration(permission string, f func(http.ResponseWriter, *http.Request, Administrator) error) http.Handler {
	as := func(w http.ResponseWriter, r *http.Request, by Administrator) error {
		if !by.Has(permission) {
			return problem.MissingPermission(permission)
		}
		err := f(w, r, by)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			a.logAdministration(r, by, err)
		}
		return err
	}
	users := a.Protect(a.Handle(func(w http.ResponseWriter, r *http.Request) error {
		sess, user, err := a.Caller(r)
		if err != nil {
			return err
		}
		return as(w, r, Administrator{Session: sess, UserID: user.ID, Permissions: user.Permissions})
	}))
	return a.Handle(func(w http.ResponseWriter, r *http.Request) error {
		by, ok, err := a.program(r)
		switch {
		case err != nil:
			return err
		case ok:
			return as(w, r, by)
		}
		users.ServeHTTP(w, r)
		return nil
	})
}

// program is the program that makes a request; not ok: none does.
func (a *API) program(r *http.Request) (by Administrator, ok bool, err error) {
	raw, err := verify.Bearer(r.Header)
	if err != nil {
		return by, false, nil // a matter of those who check access tokens
	}
	for _, w := range a.wings {
		if w.Program == nil {
			continue
		}
		if by, ok, err = w.Program(r.Context(), raw); ok || err != nil {
			return by, ok, err
		}
	}
	return by, false, nil
}

func (a *API) logAdministration(r *http.Request, by Administrator, err error) {
	outcome := "done"
	if err != nil {
		outcome = a.Problem(err).Code
	}
	who := []any{"by", by.UserID, "session", by.Session.ID.String()}
	if by.Program != "" {
		who = []any{"by_program", by.Program}
	}
	a.Logger.Info("administration", append(who, "method", r.Method, "path", r.URL.Path, "outcome", outcome)...)
}

// signInWithTicket starts the session that a ticket is for, in the wing that has
// tickets.
func (a *API) signInWithTicket(ctx context.Context, ticket string, in session.SignIn) (session.Grant, error) {
	for _, w := range a.wings {
		if w.SignInWithTicket != nil {
			return w.SignInWithTicket(ctx, ticket, in)
		}
	}
	return session.Grant{}, problem.NotFound
}
