package problem

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/tacet-dev/tacet/wire"
)

// Titles that several rows share.
var (
	TitleRequest  = Text{"The request is not valid", "请求无效"}
	TitleNotFound = Text{"Not found", "未找到"}
	TitleToken    = Text{"The access token is not valid", "访问令牌无效"}
)

// BadRequest is a request that no retry will mend.
func BadRequest(detail Text, args ...any) *Problem {
	return &Problem{Status: http.StatusBadRequest, Code: wire.CodeInvalidRequest, Title: TitleRequest, Detail: detail, Args: args}
}

// NotFoundBecause is a 404 that says what is missing.
func NotFoundBecause(detail Text, args ...any) *Problem {
	return &Problem{Status: http.StatusNotFound, Code: wire.CodeNotFound, Title: TitleNotFound, Detail: detail, Args: args}
}

// MaxBody bounds the body of every request that this server reads itself, in bytes.
const MaxBody = 64 << 10

// Rows that the kernel and several wings use.
var (
	MalformedJSON  = BadRequest(Text{"The body is not the JSON object that this call takes.", "请求体不是此接口所需的 JSON 对象。"})
	BodyUnreadable = BadRequest(Text{"The body could not be read to its end.", "请求体未能完整读取。"})
	NotFound       = NotFoundBecause(Text{"There is nothing here under this address.", "此地址下没有内容。"})

	Method = &Problem{Status: http.StatusMethodNotAllowed, Code: wire.CodeMethodNotAllowed,
		Title:  Text{"The method is not allowed", "不支持的请求方法"},
		Detail: Text{"This address does not take that method; the header Allow says which it takes.", "此地址不支持该请求方法；响应头 Allow 列出了支持的方法。"}}
	TooLarge = &Problem{Status: http.StatusRequestEntityTooLarge, Code: wire.CodeTooLarge,
		Title:  Text{"The body is too large", "请求体过大"},
		Detail: Text{"The body may have at most %d bytes.", "请求体最多 %d 字节。"}, Args: []any{MaxBody}}
	MediaType = &Problem{Status: http.StatusUnsupportedMediaType, Code: wire.CodeUnsupportedMedia,
		Title:  Text{"The content type is not supported", "不支持的内容类型"},
		Detail: Text{"Send the body as Content-Type: application/json in UTF-8.", "请以 Content-Type: application/json（UTF-8）发送请求体。"}}
	Server = &Problem{Status: http.StatusInternalServerError, Code: wire.CodeServerError,
		Title:  Text{"The server made an error", "服务器出错"},
		Detail: Text{"Something went wrong on our side. The session is not affected.", "服务器内部错误，会话不受影响。"}}
	Unavailable = &Problem{Status: http.StatusServiceUnavailable, Code: wire.CodeUnavailable,
		Title:  Text{"Temporarily unavailable", "暂时不可用"},
		Detail: Text{"The server can't do this right now. The session is not affected; try again shortly.", "服务器暂时无法处理，会话不受影响，请稍后重试。"},
		Header: func(h http.Header) { h.Set("Retry-After", RetryAfter()) }}
	InvalidToken = &Problem{Status: http.StatusUnauthorized, Code: wire.CodeInvalidToken, Title: TitleToken,
		Detail: Text{"The session of this access token is over. Renew it or sign in.", "此访问令牌的会话已结束，请续期或登录。"},
		Header: Challenge("")}
)

// RetryAfter is what a client is told when the store can't be reached, or when
// there is too much to do: 1 to 3 seconds, so that clients that were turned away
// together do not come back together.
func RetryAfter() string { return strconv.Itoa(1 + rand.IntN(3)) }

// Seconds is a wait as Retry-After has it: whole seconds, at least one.
func Seconds(wait time.Duration) int { return max(1, int((wait+time.Second-1)/time.Second)) }

// Challenge sets the WWW-Authenticate header of RFC 6750 §3 for a token that is
// not valid.
func Challenge(description string) func(http.Header) {
	v := `Bearer error="invalid_token"`
	if description != "" {
		v += `, error_description="` + description + `"`
	}
	return func(h http.Header) { h.Set("WWW-Authenticate", v) }
}

// MissingPermission says which permission a caller lacks (RFC 6750 §3.1).
func MissingPermission(permission string) *Problem {
	return &Problem{Status: http.StatusForbidden, Code: wire.CodeInsufficientScope,
		Title:  Text{"A permission is missing", "缺少权限"},
		Detail: Text{"This takes the permission %s. To renew the access token does not help.", "此操作需要权限 %s，续期访问令牌无济于事。"},
		Args:   []any{permission},
		Header: func(h http.Header) {
			h.Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+permission+`"`)
		}}
}
