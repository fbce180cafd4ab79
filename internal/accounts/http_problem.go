package accounts

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/wire"
)

// problemOf is httpapi.Wing.Problem. It translates the errors of administration, as translate does the
// others; nil if err is none of them.
func problemOf(err error) *problem.Problem {
	var invalid *directory.InvalidError
	var noRole *directory.NoRoleError
	var missing *MissingError
	var above *AboveError
	var own *OwnError
	switch {
	case errors.As(err, &invalid):
		return invalidProblem(invalid)
	case errors.As(err, &noRole):
		return noRoleProblem(noRole)
	case errors.As(err, &missing):
		return problem.MissingPermission(missing.Permission)
	case errors.Is(err, ErrLastAdmin):
		return errLastAdmin
	case errors.As(err, &above):
		p := problem.MissingPermission(above.Permission)
		p.Detail = detailAbove
		return p
	case errors.As(err, &own):
		return &problem.Problem{Status: http.StatusConflict, Code: wire.CodeOwnAccess, Title: titleOwnAccess, Detail: detailOwnAccess, Args: []any{own.Permission}}
	case errors.Is(err, directory.ErrExists):
		return errExists
	case errors.Is(err, directory.ErrNotFound):
		return errNoUser
	}
	return nil
}

var (
	titleOwnAccess  = problem.Text{EN: "You would lock yourself out", ZH: "此操作会使您失去管理权限"}
	detailOwnAccess = problem.Text{EN: "This would take the permission %s from yourself. Let another administrator do it, or use the command line.", ZH: "此操作会取消您自己的权限 %s。请由其他管理员或通过命令行执行。"}
	detailAbove     = problem.Text{EN: "You lack the permission %s, which this would give or change. Let somebody do it who has it, or who has admin:permissions:escalate.", ZH: "此操作会授予或更改您自己没有的权限 %s。请由拥有该权限或拥有 admin:permissions:escalate 的人执行。"}

	errLastAdmin = &problem.Problem{Status: http.StatusConflict, Code: wire.CodeLastAdmin,
		Title:  problem.Text{EN: "The last administrator stays", ZH: "必须保留最后一名管理员"},
		Detail: problem.Text{EN: "After this nobody would be left who has every permission of administration. Make somebody else an administrator (admin:*) first.", ZH: "此操作之后将没有任何人拥有全部管理权限。请先让其他人成为管理员（admin:*）。"}}
	errNoPermissions = problem.BadRequest(problem.Text{EN: "The member permissions is missing; an empty list takes all permissions from the role.", ZH: "缺少字段 permissions；空列表表示取消该角色的全部权限。"})
	errAfterSession  = problem.BadRequest(problem.Text{EN: "The parameter after must be the value of next of the page before.", ZH: "参数 after 必须是上一页中 next 的值。"})
	errNoSession     = &problem.Problem{Status: http.StatusNotFound, Code: wire.CodeNotFound, Title: problem.TitleNotFound,
		Detail: problem.Text{EN: "There is no session with this id.", ZH: "没有此 ID 的会话。"}}
	errNoUser = &problem.Problem{Status: http.StatusNotFound, Code: wire.CodeNotFound, Title: problem.TitleNotFound,
		Detail: problem.Text{EN: "There is no user with this id.", ZH: "没有此 ID 的用户。"}}
	errExists = &problem.Problem{Status: http.StatusConflict, Code: wire.CodeExists,
		Title:  problem.Text{EN: "The name is taken", ZH: "名称已被使用"},
		Detail: problem.Text{EN: "There is one with this name already. Choose another name, or change the one that there is.", ZH: "已存在同名对象。请换一个名称，或修改现有对象。"}}
)

func noRoleProblem(e *directory.NoRoleError) *problem.Problem {
	p := &problem.Problem{Status: http.StatusNotFound, Code: wire.CodeNotFound, Title: problem.TitleNotFound,
		Detail: problem.Text{EN: "There is no role %q, only: %s.", ZH: "没有角色 %q，现有角色：%s。"}, Args: []any{e.Role, strings.Join(e.Known, ", ")}}
	if len(e.Known) == 0 {
		p.Detail, p.Args = problem.Text{EN: "There is no role %q, nor any other yet. Add it first.", ZH: "没有角色 %q，也没有任何其他角色，请先添加。"}, []any{e.Role}
	}
	return p
}

// invalidProblem says which input is not acceptable. What the tables lack is
// said in English.
func invalidProblem(e *directory.InvalidError) *problem.Problem {
	what, why := problem.Text{EN: e.What, ZH: e.What}, problem.Text{EN: e.Why, ZH: e.Why}
	if zh, ok := invalidWhat[e.What]; ok {
		what.ZH = zh
	}
	if zh, ok := invalidWhy[e.Why]; ok {
		why.ZH = zh
	}
	return problem.BadRequest(problem.Text{
		EN: fmt.Sprintf("The %s: %s.", what.EN, why.EN),
		ZH: fmt.Sprintf("%s：%s。", what.ZH, why.ZH)}, e.Args...)
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
