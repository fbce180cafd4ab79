package accounts

import (
	"context"
	"net/http"
	"strconv"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/keys"
	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// Keys is what administrators do with the key ring (keys.Ring).
type Keys interface {
	List() []keys.Info
	Rotate(ctx context.Context, atOnce bool) ([]keys.Info, error)
}

// surface is the administration over HTTP.
type surface struct {
	*httpapi.API
	accounts *Accounts
	keys     Keys
}

// Wing is the administration over HTTP. accounts is nil if users are kept
// elsewhere: then the calls for them are not there.
func Wing(accounts *Accounts, ring Keys) httpapi.Builder {
	return func(api *httpapi.API) (httpapi.Wing, error) {
		a := &surface{api, accounts, ring}
		return httpapi.Wing{Routes: a.routes(), Problem: problemOf}, nil
	}
}

// routes are the calls for administrators.
func (a *surface) routes() httpapi.Routes {
	type m = map[string]http.Handler
	users, roles := a.BasePath+wire.PathAdminUsers, a.BasePath+wire.PathAdminRoles
	sessions, keys := a.BasePath+wire.PathAdminSessions, a.BasePath+wire.PathAdminKeys
	routes := httpapi.Routes{
		sessions:                 {"GET": a.admin(wire.PermissionSessionsRead, a.adminSessions)},
		sessions + "/{id}":       {"DELETE": a.admin(wire.PermissionSessionsWrite, a.adminEndSession)},
		users + "/{id}/sessions": {"DELETE": a.admin(wire.PermissionSessionsWrite, a.adminEndSessions)},
		keys:                     {"GET": a.admin(wire.PermissionKeysRead, a.adminKeys)},
		keys + "/rotate":         {"POST": a.admin(wire.PermissionKeysWrite, a.adminRotateKeys)},
	}
	if a.accounts == nil {
		return routes
	}
	routes[users] = m{
		"GET":  a.admin(wire.PermissionUsersRead, a.adminUsers),
		"POST": a.admin(wire.PermissionUsersWrite, a.adminAddUser)}
	routes[users+"/{id}"] = m{
		"GET":   a.admin(wire.PermissionUsersRead, a.adminUser),
		"PATCH": a.admin(wire.PermissionUsersWrite, a.adminChangeUser)}
	routes[users+"/{id}/password"] = m{
		"PUT": a.admin(wire.PermissionUsersWrite, a.adminSetPassword)}
	routes[users+"/{id}/roles/{role}"] = m{
		"PUT":    a.admin(wire.PermissionRolesWrite, a.adminGrantRole),
		"DELETE": a.admin(wire.PermissionRolesWrite, a.adminRevokeRole)}
	routes[roles] = m{
		"GET":  a.admin(wire.PermissionRolesRead, a.adminRoles),
		"POST": a.admin(wire.PermissionRolesWrite, a.adminAddRole)}
	routes[roles+"/{role}"] = m{
		"GET":    a.admin(wire.PermissionRolesRead, a.adminRole),
		"PUT":    a.admin(wire.PermissionRolesWrite, a.adminSetRole),
		"PATCH":  a.admin(wire.PermissionRolesWrite, a.adminChangeRole),
		"DELETE": a.admin(wire.PermissionRolesWrite, a.adminRemoveRole)}
	return routes
}

// administrator is who makes a call.
type administrator struct {
	session session.Session
	actor   Actor
}

// admin lets callers through who have the permission.
func (a *surface) admin(permission string, f func(http.ResponseWriter, *http.Request, administrator) error) http.Handler {
	return a.Administration(permission, func(w http.ResponseWriter, r *http.Request, by httpapi.Administrator) error {
		return f(w, r, administrator{by.Session, Caller(by.UserID, by.Permissions)})
	})
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
		return 0, problem.BadRequest(problem.Text{EN: "The parameter limit must be a number from 1 to %d.", ZH: "参数 limit 必须是 1 到 %d 之间的整数。"}, most)
	}
	return n, nil
}

func created(w http.ResponseWriter, location string, body any) error {
	w.Header().Set("Location", location)
	return httpapi.WriteJSON(w, http.StatusCreated, body)
}

func noContent(w http.ResponseWriter, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}
