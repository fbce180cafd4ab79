package remoteusers

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Settings are those of this wing: flags, variables and keys of the file.
type Settings struct {
	UsersURL        string `name:"users-url" help:"Another system keeps the users; it serves POST URL/authenticate and GET URL/users/ID (docs/users.md); https, or a loopback host." placeholder:"URL"`
	UsersSecretFile string `help:"File with the secret that Tacet and that system present to each other." placeholder:"FILE" type:"path"`
}

// GrantsChanged tells that a user's grants have a new version.
type GrantsChanged func(ctx context.Context, userID string, version int64) error

// Wing is the call with which the other system says that grants have changed. It
// takes the shared secret, and no access token.
func Wing(u *Users, changed GrantsChanged) httpapi.Builder {
	return func(api *httpapi.API) (httpapi.Wing, error) {
		return httpapi.Wing{Routes: httpapi.Routes{
			api.BasePath + wire.PathAdminUsers + "/{id}" + wire.PathGrantsChanged: {
				http.MethodPost: api.Handle(func(w http.ResponseWriter, r *http.Request) error { return u.grantsChanged(w, r, changed) })},
		}}, nil
	}
}

// grantsChanged is POST /auth/admin/users/{id}/grants-changed.
func (u *Users) grantsChanged(w http.ResponseWriter, r *http.Request, changed GrantsChanged) error {
	if !u.presents(r) {
		return errSecret
	}
	var req wire.GrantsChange
	if err := httpapi.ReadJSON(r, &req); err != nil {
		return err
	}
	id := r.PathValue("id")
	if checkID(id) != nil {
		return problem.NotFound
	}
	if req.GrantsVersion < 1 {
		return errVersion
	}
	if err := changed(r.Context(), id, req.GrantsVersion); err != nil {
		return fmt.Errorf("%w: %w", session.ErrUnavailable, err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// presents reports whether the caller knows the secret. Sums are compared, so
// that the time does not show the length either.
func (u *Users) presents(r *http.Request) bool {
	token, err := verify.Bearer(r.Header)
	if err != nil {
		return false
	}
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(u.secret))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

var (
	errSecret = &problem.Problem{Status: http.StatusUnauthorized, Code: wire.CodeInvalidToken, Title: problem.TitleToken,
		Detail: problem.Text{EN: "This call is for the system that keeps the users; it presents the secret that both share.", ZH: "此接口仅供保存用户的系统调用，须出示双方共享的密钥。"},
		Header: problem.Challenge("")}
	errVersion = problem.BadRequest(problem.Text{EN: "The member grants_version must be the user's new version, at least 1.", ZH: "字段 grants_version 必须是用户的新版本号，且不小于 1。"})
)
