package accounts

import (
	"net/http"
	"net/url"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/wire"
)

func wireRole(r directory.Role) wire.Role {
	return wire.Role{Name: r.Name, Permissions: httpapi.OrEmpty(r.Permissions)}
}

// adminRoles is GET /auth/admin/roles.
func (a *surface) adminRoles(w http.ResponseWriter, r *http.Request, _ administrator) error {
	list, err := a.accounts.Roles(r.Context())
	if err != nil {
		return err
	}
	out := wire.Roles{Roles: make([]wire.Role, 0, len(list))}
	for _, role := range list {
		out.Roles = append(out.Roles, wireRole(role))
	}
	return httpapi.WriteJSON(w, http.StatusOK, out)
}

// adminAddRole is POST /auth/admin/roles.
func (a *surface) adminAddRole(w http.ResponseWriter, r *http.Request, by administrator) error {
	var req wire.Role
	if err := httpapi.ReadJSON(r, &req); err != nil {
		return err
	}
	if err := a.accounts.AddRole(r.Context(), by.actor, req.Name, req.Permissions...); err != nil {
		return err
	}
	role, err := a.accounts.Role(r.Context(), req.Name)
	if err != nil {
		return err
	}
	return created(w, a.BasePath+wire.PathAdminRoles+"/"+url.PathEscape(role.Name), wireRole(role))
}

// adminRole is GET /auth/admin/roles/{role}.
func (a *surface) adminRole(w http.ResponseWriter, r *http.Request, _ administrator) error {
	role, err := a.accounts.Role(r.Context(), r.PathValue("role"))
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, http.StatusOK, wireRole(role))
}

// adminSetRole is PUT /auth/admin/roles/{role}. A body without permissions is
// a mistake rather than a wish to take all away.
func (a *surface) adminSetRole(w http.ResponseWriter, r *http.Request, by administrator) error {
	var req wire.RolePermissions
	if err := httpapi.ReadJSON(r, &req); err != nil {
		return err
	}
	if req.Permissions == nil {
		return errNoPermissions
	}
	if err := a.accounts.SetPermissions(r.Context(), by.actor, r.PathValue("role"), req.Permissions...); err != nil {
		return err
	}
	return a.adminRole(w, r, by)
}

// adminChangeRole is PATCH /auth/admin/roles/{role}.
func (a *surface) adminChangeRole(w http.ResponseWriter, r *http.Request, by administrator) error {
	var req wire.RoleChange
	if err := httpapi.ReadJSON(r, &req); err != nil {
		return err
	}
	if err := a.accounts.ChangePermissions(r.Context(), by.actor, r.PathValue("role"), req.Add, req.Remove); err != nil {
		return err
	}
	return a.adminRole(w, r, by)
}

// adminRemoveRole is DELETE /auth/admin/roles/{role}.
func (a *surface) adminRemoveRole(w http.ResponseWriter, r *http.Request, by administrator) error {
	return noContent(w, a.accounts.RemoveRole(r.Context(), by.actor, r.PathValue("role")))
}
