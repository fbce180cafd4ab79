package httpapi

import (
	"net/http"
	"net/url"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/wire"
)

func wireRole(r directory.Role) wire.Role {
	return wire.Role{Name: r.Name, Permissions: orEmpty(r.Permissions)}
}

// adminRoles is GET /auth/admin/roles.
func (a *api) adminRoles(w http.ResponseWriter, r *http.Request, _ administrator) error {
	list, err := a.Accounts.Roles(r.Context())
	if err != nil {
		return err
	}
	out := wire.Roles{Roles: make([]wire.Role, 0, len(list))}
	for _, role := range list {
		out.Roles = append(out.Roles, wireRole(role))
	}
	return writeJSON(w, http.StatusOK, out)
}

// adminAddRole is POST /auth/admin/roles.
func (a *api) adminAddRole(w http.ResponseWriter, r *http.Request, by administrator) error {
	var req wire.Role
	if err := readJSON(r, &req); err != nil {
		return err
	}
	if err := a.Accounts.AddRole(r.Context(), by.actor, req.Name, req.Permissions...); err != nil {
		return err
	}
	role, err := a.Accounts.Role(r.Context(), req.Name)
	if err != nil {
		return err
	}
	return created(w, a.BasePath+wire.PathAdminRoles+"/"+url.PathEscape(role.Name), wireRole(role))
}

// adminRole is GET /auth/admin/roles/{role}.
func (a *api) adminRole(w http.ResponseWriter, r *http.Request, _ administrator) error {
	role, err := a.Accounts.Role(r.Context(), r.PathValue("role"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, wireRole(role))
}

// adminSetRole is PUT /auth/admin/roles/{role}. A body without permissions is
// a mistake rather than a wish to take all away.
func (a *api) adminSetRole(w http.ResponseWriter, r *http.Request, by administrator) error {
	var req wire.RolePermissions
	if err := readJSON(r, &req); err != nil {
		return err
	}
	if req.Permissions == nil {
		return errNoPermissions
	}
	if err := a.Accounts.SetPermissions(r.Context(), by.actor, r.PathValue("role"), req.Permissions...); err != nil {
		return err
	}
	return a.adminRole(w, r, by)
}

// adminChangeRole is PATCH /auth/admin/roles/{role}.
func (a *api) adminChangeRole(w http.ResponseWriter, r *http.Request, by administrator) error {
	var req wire.RoleChange
	if err := readJSON(r, &req); err != nil {
		return err
	}
	if err := a.Accounts.ChangePermissions(r.Context(), by.actor, r.PathValue("role"), req.Add, req.Remove); err != nil {
		return err
	}
	return a.adminRole(w, r, by)
}

// adminRemoveRole is DELETE /auth/admin/roles/{role}.
func (a *api) adminRemoveRole(w http.ResponseWriter, r *http.Request, by administrator) error {
	return noContent(w, a.Accounts.RemoveRole(r.Context(), by.actor, r.PathValue("role")))
}
