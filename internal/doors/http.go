package doors

import (
	"errors"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

// newSession is POST /auth/admin/sessions.
func (d *Doors) newSession(w http.ResponseWriter, r *http.Request, by httpapi.Administrator) error {
	var req wire.NewSession
	if err := httpapi.ReadJSON(r, &req); err != nil {
		return err
	}
	switch req.Delivery {
	case "":
		req.Delivery = wire.DeliveryTicket
	case wire.DeliveryTicket, wire.DeliveryBody:
	default:
		return errDelivery
	}
	user, err := d.named(r, req)
	if errors.Is(err, session.ErrNoUser) {
		return errNoUser
	}
	if err != nil {
		return err
	}
	if err := reaches(by, user); err != nil {
		return err
	}
	o := Options{ClientID: req.ClientID, AMR: req.AMR, ACR: req.ACR}
	if req.AuthTime != 0 {
		o.AuthTime = time.Unix(req.AuthTime, 0)
	}
	in, err := d.signIn(r.Context(), user, o)
	if err != nil {
		return err
	}
	if req.Delivery == wire.DeliveryTicket {
		return d.respondTicket(w, r, in)
	}
	in.Contact, in.Binding = d.api.Contact(r), httpapi.Encrypted(r)
	g, err := d.start(r.Context(), in)
	if errors.Is(err, session.ErrNoUser) {
		return errNoUser
	}
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, http.StatusOK, d.api.SignedIn(w, g, wire.DeliveryBody))
}

func (d *Doors) respondTicket(w http.ResponseWriter, r *http.Request, in session.SignIn) error {
	if in.Client.Authenticated {
		return errSecretClient
	}
	raw, err := d.issue(r.Context(), in)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, http.StatusCreated, wire.Ticket{Ticket: raw, ExpiresIn: int64(ticketLife / time.Second)})
}

// named is the user whom a request names.
func (d *Doors) named(r *http.Request, req wire.NewSession) (session.User, error) {
	if (req.UserID == "") == (req.Username == "") {
		return session.User{}, errWho
	}
	if req.Username != "" {
		if d.UserID == nil {
			return session.User{}, errNoNames
		}
		var err error
		if req.UserID, err = d.UserID(r.Context(), req.Username); err != nil {
			return session.User{}, err
		}
	}
	return d.Sessions.User(r.Context(), req.UserID)
}

// reaches reports whether by may become the user, as far as administration goes: an
// application signs everybody in, but its key is no way to more administration than
// the key has.
func reaches(by httpapi.Administrator, user session.User) error {
	if by.Has(wire.PermissionEscalate) {
		return nil
	}
	holder := httpapi.Administrator{Permissions: user.Permissions}
	for _, p := range wire.AdminPermissions() {
		if holder.Has(p) && !by.Has(p) {
			missing := problem.MissingPermission(p)
			missing.Detail = detailAbove
			return missing
		}
	}
	return nil
}

var (
	errDelivery = problem.BadRequest(problem.Text{EN: `The member delivery must be "ticket" or "body".`, ZH: `字段 delivery 只能是 "ticket" 或 "body"。`})
	errWho      = problem.BadRequest(problem.Text{EN: "Say who signs in: either user_id or username.", ZH: "请指明登录的用户：user_id 或 username，二者择一。"})
	errNoNames  = problem.BadRequest(problem.Text{EN: "Users are kept elsewhere and are known here by their ids alone: send user_id.", ZH: "用户由其他系统保存，此处只能识别用户 ID，请提供 user_id。"})
	errNoUser   = problem.NotFoundBecause(problem.Text{EN: "There is no such user, or the user is disabled.", ZH: "没有此用户，或该用户已被停用。"})
	detailAbove = problem.Text{EN: "The user has the permission %s, which you lack. Let somebody begin this session who has it, or who has admin:permissions:escalate.", ZH: "该用户拥有您没有的权限 %s。请由拥有该权限或拥有 admin:permissions:escalate 的人开始此会话。"}
)
