package accounts

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/wire"
)

func adminUser(u directory.User) wire.AdminUser {
	return wire.AdminUser{
		User:          wire.User{ID: u.ID, Username: u.Name, DisplayName: u.DisplayName, Email: u.Email},
		Disabled:      u.Disabled,
		Roles:         httpapi.OrEmpty(u.Roles),
		GrantsVersion: u.GrantsVersion,
		CreatedAt:     httpapi.Timestamp(u.CreatedAt),
	}
}

// adminUsers is GET /auth/admin/users: a page, or with username the one user
// who has that name.
func (a *surface) adminUsers(w http.ResponseWriter, r *http.Request, _ administrator) error {
	limit, err := pageLimit(r)
	if err != nil {
		return err
	}
	var list []directory.User
	if name := r.URL.Query().Get("username"); name != "" {
		u, err := a.accounts.UserByName(r.Context(), name)
		switch {
		case err == nil:
			list = []directory.User{u}
		case !errors.Is(err, directory.ErrNotFound):
			return err
		}
		return httpapi.WriteJSON(w, http.StatusOK, usersPage(list, ""))
	}
	// One more than is shown says whether there are more.
	if list, err = a.accounts.Users(r.Context(), r.URL.Query().Get("after"), limit+1); err != nil {
		return err
	}
	next := ""
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].Name
	}
	return httpapi.WriteJSON(w, http.StatusOK, usersPage(list, next))
}

func usersPage(list []directory.User, next string) wire.AdminUsers {
	page := wire.AdminUsers{Users: make([]wire.AdminUser, 0, len(list)), Next: next}
	for _, u := range list {
		page.Users = append(page.Users, adminUser(u))
	}
	return page
}

// adminAddUser is POST /auth/admin/users.
func (a *surface) adminAddUser(w http.ResponseWriter, r *http.Request, by administrator) error {
	var req wire.NewUser
	if err := httpapi.ReadJSON(r, &req); err != nil {
		return err
	}
	u, err := a.accounts.AddUser(r.Context(), by.actor, directory.NewUser{
		Name: req.Username, Password: req.Password, DisplayName: req.DisplayName, Email: req.Email, Roles: req.Roles})
	var noRole *directory.NoRoleError
	if errors.As(err, &noRole) {
		p := *noRoleProblem(noRole)
		p.Status, p.Code, p.Title = http.StatusBadRequest, wire.CodeInvalidRequest, problem.TitleRequest // the body names it, not the address
		return &p
	}
	if err != nil {
		return err
	}
	return created(w, a.BasePath+wire.PathAdminUsers+"/"+url.PathEscape(u.ID), adminUser(u))
}

// adminUser is GET /auth/admin/users/{id}.
func (a *surface) adminUser(w http.ResponseWriter, r *http.Request, _ administrator) error {
	u, err := a.accounts.User(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, http.StatusOK, adminUser(u))
}

// adminChangeUser is PATCH /auth/admin/users/{id}.
func (a *surface) adminChangeUser(w http.ResponseWriter, r *http.Request, by administrator) error {
	var req wire.UserChange
	if err := httpapi.ReadJSON(r, &req); err != nil {
		return err
	}
	err := a.accounts.UpdateUser(r.Context(), by.actor, r.PathValue("id"),
		directory.Profile{DisplayName: req.DisplayName, Email: req.Email, Disabled: req.Disabled})
	if err != nil {
		return err
	}
	return a.adminUser(w, r, by)
}

// adminSetPassword is PUT /auth/admin/users/{id}/password.
func (a *surface) adminSetPassword(w http.ResponseWriter, r *http.Request, by administrator) error {
	var req wire.PasswordChange
	if err := httpapi.ReadJSON(r, &req); err != nil {
		return err
	}
	return noContent(w, a.accounts.SetPassword(r.Context(), by.actor, r.PathValue("id"), req.Password))
}

// adminGrantRole is PUT /auth/admin/users/{id}/roles/{role}.
func (a *surface) adminGrantRole(w http.ResponseWriter, r *http.Request, by administrator) error {
	return noContent(w, a.accounts.GrantRole(r.Context(), by.actor, r.PathValue("id"), r.PathValue("role")))
}

// adminRevokeRole is DELETE /auth/admin/users/{id}/roles/{role}.
func (a *surface) adminRevokeRole(w http.ResponseWriter, r *http.Request, by administrator) error {
	return noContent(w, a.accounts.RevokeRole(r.Context(), by.actor, r.PathValue("id"), r.PathValue("role")))
}
