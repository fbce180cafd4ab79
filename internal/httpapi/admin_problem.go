package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/internal/accounts"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/wire"
)

// adminProblem translates the errors of administration, as translate does the
// others; nil if err is none of them.
func adminProblem(err error) *problem {
	var invalid *directory.InvalidError
	var noRole *directory.NoRoleError
	var missing *accounts.MissingError
	var above *accounts.AboveError
	var own *accounts.OwnError
	switch {
	case errors.As(err, &invalid):
		return invalidProblem(invalid)
	case errors.As(err, &noRole):
		return noRoleProblem(noRole)
	case errors.As(err, &missing):
		return scopeProblem(missing.Permission)
	case errors.As(err, &above):
		p := scopeProblem(above.Permission)
		p.detail = detailAbove
		return p
	case errors.Is(err, accounts.ErrLastAdmin):
		return errLastAdmin
	case errors.As(err, &own):
		return &problem{status: http.StatusConflict, code: wire.CodeOwnAccess, title: titleOwnAccess, detail: detailOwnAccess, args: []any{own.Permission}}
	case errors.Is(err, directory.ErrExists):
		return errExists
	case errors.Is(err, directory.ErrNotFound):
		return errNoUser
	}
	return nil
}

var (
	titleNotFound   = text{"Not found", "未找到"}
	titleOwnAccess  = text{"You would lock yourself out", "此操作会使您失去管理权限"}
	detailOwnAccess = text{"This would take the permission %s from yourself. Let another administrator do it, or use the command line.", "此操作会取消您自己的权限 %s。请由其他管理员或通过命令行执行。"}
	detailAbove     = text{"You lack the permission %s, which this would give or change. Let somebody do it who has it, or who has admin:permissions:escalate.", "此操作会授予或更改您自己没有的权限 %s。请由拥有该权限或拥有 admin:permissions:escalate 的人执行。"}

	errLastAdmin = &problem{status: http.StatusConflict, code: wire.CodeLastAdmin,
		title:  text{"The last administrator stays", "必须保留最后一名管理员"},
		detail: text{"After this nobody would be left who has every permission of administration. Make somebody else an administrator (admin:*) first.", "此操作之后将没有任何人拥有全部管理权限。请先让其他人成为管理员（admin:*）。"}}
	errNoPermissions = badRequest(text{"The member permissions is missing; an empty list takes all permissions from the role.", "缺少字段 permissions；空列表表示取消该角色的全部权限。"})
	errAfterSession  = badRequest(text{"The parameter after must be the value of next of the page before.", "参数 after 必须是上一页中 next 的值。"})
	errNoSession     = &problem{status: http.StatusNotFound, code: wire.CodeNotFound, title: titleNotFound,
		detail: text{"There is no session with this id.", "没有此 ID 的会话。"}}
	errNoUser = &problem{status: http.StatusNotFound, code: wire.CodeNotFound, title: titleNotFound,
		detail: text{"There is no user with this id.", "没有此 ID 的用户。"}}
	errExists = &problem{status: http.StatusConflict, code: wire.CodeExists,
		title:  text{"The name is taken", "名称已被使用"},
		detail: text{"There is one with this name already. Choose another name, or change the one that there is.", "已存在同名对象。请换一个名称，或修改现有对象。"}}
)

// scopeProblem says that a permission is missing (RFC 6750 §3.1).
func scopeProblem(permission string) *problem {
	return &problem{status: http.StatusForbidden, code: wire.CodeInsufficientScope,
		title:  text{"A permission is missing", "缺少权限"},
		detail: text{"This takes the permission %s. To renew the access token does not help.", "此操作需要权限 %s，续期访问令牌无济于事。"},
		args:   []any{permission},
		header: func(h http.Header) {
			h.Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+permission+`"`)
		}}
}

func noRoleProblem(e *directory.NoRoleError) *problem {
	p := &problem{status: http.StatusNotFound, code: wire.CodeNotFound, title: titleNotFound,
		detail: text{"There is no role %q, only: %s.", "没有角色 %q，现有角色：%s。"}, args: []any{e.Role, strings.Join(e.Known, ", ")}}
	if len(e.Known) == 0 {
		p.detail, p.args = text{"There is no role %q, nor any other yet. Add it first.", "没有角色 %q，也没有任何其他角色，请先添加。"}, []any{e.Role}
	}
	return p
}

// invalidProblem says which input is not acceptable. What the tables lack is
// said in English.
func invalidProblem(e *directory.InvalidError) *problem {
	what, why := text{e.What, e.What}, text{e.Why, e.Why}
	if zh, ok := invalidWhat[e.What]; ok {
		what.zh = zh
	}
	if zh, ok := invalidWhy[e.Why]; ok {
		why.zh = zh
	}
	return badRequest(text{
		fmt.Sprintf("The %s: %s.", what.en, why.en),
		fmt.Sprintf("%s：%s。", what.zh, why.zh)}, e.Args...)
}

// invalidWhat and invalidWhy are the words of directory.InvalidError in Chinese.
var invalidWhat = map[string]string{
	"user name":      "用户名",
	"display name":   "显示名称",
	"e-mail address": "电子邮箱",
	"password":       "密码",
	"role":           "角色",
	"permission":     "权限",
}

var invalidWhy = map[string]string{
	"must not be empty":                                          "不能为空",
	"must be at most %d characters of valid UTF-8":               "最多 %d 个字符，且须为有效的 UTF-8",
	"has %d characters, at most %d are allowed":                  "有 %d 个字符，最多允许 %d 个",
	"must not contain %q; use letters, digits and . _ - + @":     "不能包含 %q；请使用字母、数字以及 . _ - + @",
	"must not contain control characters":                        "不能包含控制字符",
	"%q is none; it looks like name@example.com":                 "%q 不是有效地址，正确形式如 name@example.com",
	"the name must have 1 to %d characters":                      "名称须为 1 到 %d 个字符",
	"the name %q must consist of letters, digits and . _ - only": "名称 %q 只能由字母、数字以及 . _ - 组成",
	"at most %d characters are allowed":                          "最多允许 %d 个字符",
	"%q must be segments of letters, digits and . _ - with colons between them, or * for any segment, as in orders:read or orders:*": "%q 须由字母、数字以及 . _ - 组成的段以冒号连接，或用 * 表示任意一段，例如 orders:read 或 orders:*",
	"%q is empty or has an empty segment; it looks like orders:read or orders:*":                                                     "%q 为空或含有空段，正确形式如 orders:read 或 orders:*",
	"must be valid UTF-8":                       "须为有效的 UTF-8",
	"has %d characters, at least %d are needed": "有 %d 个字符，至少需要 %d 个",
	"has %d bytes, at most %d are allowed":      "有 %d 个字节，最多允许 %d 个",
}
