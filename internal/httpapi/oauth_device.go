package httpapi

import (
	"errors"
	"net/http"

	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/wire"
)

var titleDevice = text{"Connect a device", "连接设备"}

// device is GET /oauth/device: where a user enters the code that a device shows
// (RFC 8628 §3.3). A code in the address only fills in the field: nothing is
// looked up before the user has sent the form.
func (a *api) device(w http.ResponseWriter, r *http.Request) error {
	p, err := oauth.ParseParams(r.URL.RawQuery)
	if err != nil {
		return err
	}
	a.showCode(w, r, p["user_code"], nil)
	return nil
}

// deviceForm is POST /oauth/device: first the code, then the sign-in.
func (a *api) deviceForm(w http.ResponseWriter, r *http.Request) error {
	form, err := formParams(r)
	if err != nil {
		return err
	}
	if err := a.checkForm(r, form); err != nil {
		return err
	}
	ctx, code, from := r.Context(), form["user_code"], a.contact(r)
	said := text{"The device is connected", "设备已连接"}
	switch {
	case form["action"] == "deny":
		err, said = a.OAuth.Refuse(ctx, code, from), text{"The device was refused", "已拒绝该设备"}
	case form["username"] != "" || form["password"] != "":
		err = a.OAuth.Approve(ctx, code, form["username"], form["password"], from)
	default:
		client, err := a.OAuth.Waiting(ctx, code, from)
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
func (a *api) showConnected(w http.ResponseWriter, r *http.Request, said text) {
	v := a.view(r, "", said)
	v.Lead = text{"You can close this page and go back to the device.", "您可以关闭此页面，回到设备上继续。"}.in(v.lang)
	a.show(w, v)
}

var errUserCode = &problem{status: http.StatusBadRequest, code: wire.CodeInvalidRequest, title: titleDevice,
	detail: text{"No device waits with this code. Check it, or ask the device for a new one.", "没有设备在等待此验证码。请核对，或在设备上重新获取。"}}

// codeAgain asks for the code again.
func (a *api) codeAgain(w http.ResponseWriter, r *http.Request, code string, err error) error {
	if errors.Is(err, oauth.ErrUserCode) {
		a.showCode(w, r, code, errUserCode)
		return nil
	}
	return a.signInAgain(w, r, err, func(p *problem) { a.showCode(w, r, code, p) })
}

// deviceAgain asks for the password again, if it was that.
func (a *api) deviceAgain(w http.ResponseWriter, r *http.Request, form oauth.Params, err error) error {
	if errors.Is(err, oauth.ErrUserCode) {
		return a.codeAgain(w, r, form["user_code"], err)
	}
	client, lookup := a.OAuth.Waiting(r.Context(), form["user_code"], a.contact(r))
	if lookup != nil {
		return a.codeAgain(w, r, form["user_code"], lookup)
	}
	return a.signInAgain(w, r, err, func(p *problem) { a.showConfirm(w, r, client, form, p) })
}

func (a *api) showCode(w http.ResponseWriter, r *http.Request, code string, failed *problem) {
	v := a.view(r, "", titleDevice)
	v.Lead = text{"Enter the code that your device shows.", "请输入设备上显示的验证码。"}.in(v.lang)
	v.Submit = text{"Continue", "继续"}.in(v.lang)
	v.AskCode, v.UserCode, v.Action, v.CSRF = true, code, wire.PathDevice, a.formToken(w, r)
	v.fail(failed)
	a.show(w, v)
}

func (a *api) showConfirm(w http.ResponseWriter, r *http.Request, client oauth.Client, form oauth.Params, failed *problem) {
	v := a.view(r, "", titleDevice)
	v.Lead = text{"Go on only if you started this yourself and the device in front of you shows this code. It will act for you in", "仅当此操作由您本人发起、且面前的设备显示以下验证码时才继续。它将以您的身份使用"}.in(v.lang)
	v.Client, v.UserCode = clientName(client), oauth.ShownUserCode(form["user_code"])
	v.AskPassword, v.Username = true, form["username"]
	v.Submit, v.Deny = text{"Sign in and allow", "登录并允许"}.in(v.lang), text{"Refuse", "拒绝"}.in(v.lang)
	v.Action, v.CSRF = wire.PathDevice, a.formToken(w, r)
	a.providerLinks(onward{UserCode: v.UserCode, Form: formMark(v.CSRF)}, labelAllowWith, &v)
	v.fail(failed)
	a.show(w, v)
}
