package httpapi

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// adminRoutes are the calls for administrators. They take an access token and no
// cookie, so that a foreign page can't make them.
func (a *api) adminRoutes() map[string]map[string]http.Handler {
	type m = map[string]http.Handler
	users, roles := a.BasePath+wire.PathAdminUsers, a.BasePath+wire.PathAdminRoles
	sessions, keys := a.BasePath+wire.PathAdminSessions, a.BasePath+wire.PathAdminKeys
	routes := map[string]m{
		sessions:                 {"GET": a.admin(wire.PermissionSessionsRead, (*api).adminSessions)},
		sessions + "/{id}":       {"DELETE": a.admin(wire.PermissionSessionsWrite, (*api).adminEndSession)},
		users + "/{id}/sessions": {"DELETE": a.admin(wire.PermissionSessionsWrite, (*api).adminEndSessions)},
		keys:                     {"GET": a.admin(wire.PermissionKeysRead, (*api).adminKeys)},
		keys + "/rotate":         {"POST": a.admin(wire.PermissionKeysWrite, (*api).adminRotateKeys)},
	}
	if a.Accounts == nil {
		return routes
	}
	routes[users] = m{
		"GET":  a.admin(wire.PermissionUsersRead, (*api).adminUsers),
		"POST": a.admin(wire.PermissionUsersWrite, (*api).adminAddUser)}
	routes[users+"/{id}"] = m{
		"GET":   a.admin(wire.PermissionUsersRead, (*api).adminUser),
		"PATCH": a.admin(wire.PermissionUsersWrite, (*api).adminChangeUser)}
	routes[users+"/{id}/password"] = m{
		"PUT": a.admin(wire.PermissionUsersWrite, (*api).adminSetPassword)}
	routes[users+"/{id}/roles/{role}"] = m{
		"PUT":    a.admin(wire.PermissionRolesWrite, (*api).adminGrantRole),
		"DELETE": a.admin(wire.PermissionRolesWrite, (*api).adminRevokeRole)}
	routes[roles] = m{
		"GET":  a.admin(wire.PermissionRolesRead, (*api).adminRoles),
		"POST": a.admin(wire.PermissionRolesWrite, (*api).adminAddRole)}
	routes[roles+"/{role}"] = m{
		"GET":    a.admin(wire.PermissionRolesRead, (*api).adminRole),
		"PUT":    a.admin(wire.PermissionRolesWrite, (*api).adminSetRole),
		"PATCH":  a.admin(wire.PermissionRolesWrite, (*api).adminChangeRole),
		"DELETE": a.admin(wire.PermissionRolesWrite, (*api).adminRemoveRole)}
	return routes
}

// administrator is who makes a call: the session it comes from, and the user
// with the grants of now, not of when the access token was made.
type administrator struct {
	session session.Session
	actor   accounts.Actor
}

// admin lets callers through who have the permission, and notes what they do.
func (a *api) admin(permission string, f func(*api, http.ResponseWriter, *http.Request, administrator) error) http.Handler {
	return a.Protect(a.handler(func(a *api, w http.ResponseWriter, r *http.Request) error {
		sess, user, err := a.caller(r)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(user.Permissions, func(p string) bool { return wire.Covers(p, permission) }) {
			return scopeProblem(permission)
		}
		err = f(a, w, r, administrator{sess, accounts.Caller(user.ID, user.Permissions)})
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			outcome := "done"
			if err != nil {
				outcome = translate(err).code
			}
			a.Logger.Info("administration", "by", user.ID, "session", sess.ID.String(), "method", r.Method, "path", r.URL.Path, "outcome", outcome)
		}
		return err
	}))
}

// pageLimit reads the query parameter limit: how many entries a page has.
func pageLimit(r *http.Request) (int, error) {
	const normal, most = 100, 1000
	given := r.URL.Query().Get("limit")
	if given == "" {
		return normal, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 1 || n > most {
		return 0, badRequest(text{"The parameter limit must be a number from 1 to %d.", "参数 limit 必须是 1 到 %d 之间的整数。"}, most)
	}
	return n, nil
}

func created(w http.ResponseWriter, location string, body any) error {
	w.Header().Set("Location", location)
	return writeJSON(w, http.StatusCreated, body)
}

func noContent(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}
