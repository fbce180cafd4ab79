package oauth

import (
	"errors"
	"net/http"

	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/httpapi/form"
	"github.com/tacet-dev/tacet/internal/httpapi/page"
	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/wire"
)

var titleDevice = problem.Text{EN: "Connect a device", ZH: "连接设备"}

// device is GET /oauth/device: where a user enters the code that a device shows
// (RFC 8628 §3.3). A code in the address only fills in the field: nothing is
// looked up before the user has sent the form.
func (a *surface) device(w http.ResponseWriter, r *http.Request) error {
	p, err := form.Parse(r.URL.RawQuery)
	if err != nil {
		return err
	}
	a.showCode(w, r, p["user_code"], nil)
	return nil
}

// deviceForm is POST /oauth/device: first the code, then the sign-in.
func (a *surface) deviceForm(w http.ResponseWriter, r *http.Request) error {
	form, err := form.Read(r)
	if err != nil {
		return err
	}
	if err := a.Pages.CheckForm(r, form["csrf"]); err != nil {
		return err
	}
	ctx, code, from := r.Context(), form["user_code"], a.Contact(r)
	said := problem.Text{EN: "The device is connected", ZH: "设备已连接"}
	switch {
	case form["action"] == "deny":
		err, said = a.server.Refuse(ctx, code, from), problem.Text{EN: "The device was refused", ZH: "已拒绝该设备"}
	case form["username"] != "" || form["password"] != "":
		err = a.server.Approve(ctx, code, form["username"], form["password"], from)
	default:
		client, err := a.server.Waiting(ctx, code, from)
		if err != nil {
			return a.codeAgain(w, r, code, err)
		}
		a.showConfirm(w, r, client, form, nil)
		return nil
	}
	if err != nil {
		return a.deviceAgain(w, r, form, err)
	}
	a.showConnected(w, r, said)
	return nil
}

// showConnected is the end of the way.
func (a *surface) showConnected(w http.ResponseWriter, r *http.Request, said problem.Text) {
	v := a.Pages.New(r, "", said)
	v.Lead = problem.Text{EN: "You can close this page and go back to the device.", ZH: "您可以关闭此页面，回到设备上继续。"}.In(v.Tag)
	a.Pages.Show(w, v)
}

var errUserCode = &problem.Problem{Status: http.StatusBadRequest, Code: wire.CodeInvalidRequest, Title: titleDevice,
	Detail: problem.Text{EN: "No device waits with this code. Check it, or ask the device for a new one.", ZH: "没有设备在等待此验证码。请核对，或在设备上重新获取。"}}

// codeAgain asks for the code again.
func (a *surface) codeAgain(w http.ResponseWriter, r *http.Request, code string, err error) error {
	if errors.Is(err, ErrUserCode) {
		a.showCode(w, r, code, errUserCode)
		return nil
	}
	return a.signInAgain(w, r, err, func(p *problem.Problem) { a.showCode(w, r, code, p) })
}

// deviceAgain asks for the password again, if it was that.
func (a *surface) deviceAgain(w http.ResponseWriter, r *http.Request, form form.Params, err error) error {
	if errors.Is(err, ErrUserCode) {
		return a.codeAgain(w, r, form["user_code"], err)
	}
	client, lookup := a.server.Waiting(r.Context(), form["user_code"], a.Contact(r))
	if lookup != nil {
		return a.codeAgain(w, r, form["user_code"], lookup)
	}
	return a.signInAgain(w, r, err, func(p *problem.Problem) { a.showConfirm(w, r, client, form, p) })
}

func (a *surface) showCode(w http.ResponseWriter, r *http.Request, code string, failed *problem.Problem) {
	v := a.Pages.New(r, "", titleDevice)
	v.Lead = problem.Text{EN: "Enter the code that your device shows.", ZH: "请输入设备上显示的验证码。"}.In(v.Tag)
	v.Submit = problem.Text{EN: "Continue", ZH: "继续"}.In(v.Tag)
	v.AskCode, v.UserCode, v.Action, v.CSRF = true, code, wire.PathDevice, a.Pages.FormToken(w, r)
	v.Fail(failed)
	a.Pages.Show(w, v)
}

func (a *surface) showConfirm(w http.ResponseWriter, r *http.Request, client Client, form form.Params, failed *problem.Problem) {
	v := a.Pages.New(r, "", titleDevice)
	v.Lead = problem.Text{EN: "Go on only if you started this yourself and the device in front of you shows this code. It will act for you in", ZH: "仅当此操作由您本人发起、且面前的设备显示以下验证码时才继续。它将以您的身份使用"}.In(v.Tag)
	v.Client, v.UserCode = clientName(client), ShownUserCode(form["user_code"])
	v.AskPassword, v.Username = true, form["username"]
	v.Submit, v.Deny = problem.Text{EN: "Sign in and allow", ZH: "登录并允许"}.In(v.Tag), problem.Text{EN: "Refuse", ZH: "拒绝"}.In(v.Tag)
	v.Action, v.CSRF = wire.PathDevice, a.Pages.FormToken(w, r)
	a.OfferSignIn(httpapi.Purpose{Kind: purposeDevice, Data: v.UserCode, Form: page.Mark(v.CSRF)}, labelAllowWith, &v)
	v.Fail(failed)
	a.Pages.Show(w, v)
}

var labelAllowWith = problem.Text{EN: "Sign in with {} and allow", ZH: "使用 {} 登录并允许"}
