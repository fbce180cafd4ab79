package verify

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// language of a problem's title and detail.
type language int

const (
	english language = iota
	chinese          // simplified
	languages
)

func (l language) tag() string { return [languages]string{"en", "zh-CN"}[l] }

// message is a text in each language.
type message [languages]string

var (
	msgNoCredential   = message{"This request needs an access token in its Authorization header. Sign in first.", "此请求需要在 Authorization 标头中携带访问令牌，请先登录。"}
	msgInvalidRequest = message{"Send exactly one Authorization header.", "请只发送一个 Authorization 标头。"}
	msgInvalidToken   = message{"The access token is not accepted. Renew it and repeat the request.", "访问令牌无效，请续期后重试。"}
	msgExpired        = message{"The access token has expired. Renew it and repeat the request.", "访问令牌已过期，请续期后重试。"}
	msgNotYetValid    = message{"The access token is not valid yet. Check the clock of this server.", "访问令牌尚未生效，请检查此服务器的时钟。"}
	msgSessionEnded   = message{"The session has ended. Sign in again.", "会话已结束，请重新登录。"}
	msgStaleGrants    = message{"Your permissions have changed. Renew the access token and repeat the request.", "您的权限已变更，请续期访问令牌后重试。"}
	msgScope          = message{"You do not have the permission that this request needs.", "您没有执行此请求所需的权限。"}
	msgStepUp         = message{"This request needs a more recent or a stronger sign-in. Sign in again.", "此请求需要更近期或更高强度的登录，请重新登录。"}
	msgProof          = message{"The proof of possession of the key is not accepted. Make a new one and repeat the request.", "密钥持有证明无效，请重新生成后重试。"}
	msgBound          = message{"The access token is bound to a key. Send it with a proof of that key.", "访问令牌绑定了密钥，请随请求附上该密钥的持有证明。"}
	msgUnavailable    = message{"Access tokens cannot be checked at the moment. Repeat the request shortly; you are still signed in.", "暂时无法校验访问令牌，请稍后重试；您仍处于登录状态。"}
)

var titleStepUp = message{"Sign in again", "请重新登录"}

var titles = map[int]message{
	http.StatusBadRequest:            {"The request is not valid", "请求无效"},
	http.StatusUnauthorized:          {"The access token is not valid", "访问令牌无效"},
	http.StatusForbidden:             {"Permission missing", "权限不足"},
	http.StatusConflict:              {"The request was received before", "请求已接收过"},
	http.StatusRequestEntityTooLarge: {"The body is too large", "请求体过大"},
	http.StatusUnsupportedMediaType:  {"The request must be encrypted", "请求必须加密"},
	http.StatusInternalServerError:   {"The response cannot be encrypted", "响应无法加密"},
	http.StatusServiceUnavailable:    {"Temporarily unavailable", "暂时不可用"},
}

// textOf is the detail for an error of the ErrInvalidToken family.
func textOf(err error) message {
	switch {
	case errors.Is(err, ErrExpired):
		return msgExpired
	case errors.Is(err, ErrNotYetValid):
		return msgNotYetValid
	case errors.Is(err, ErrSessionEnded):
		return msgSessionEnded
	}
	return msgInvalidToken
}

// maxAcceptLanguage is far beyond what browsers send.
const maxAcceptLanguage = 1024

// preferred picks a language after Accept-Language (RFC 9110 §12.5.4): the known
// one with the highest weight, the first of equals, and English if none is.
func preferred(headers []string) language {
	best, weight := english, 0.0
	for _, h := range headers {
		if len(h) > maxAcceptLanguage {
			continue
		}
		for item := range strings.SplitSeq(h, ",") {
			tag, q, weighted := strings.Cut(strings.TrimSpace(item), ";")
			var l language
			switch primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-"); primary {
			case "zh":
				l = chinese
			case "en":
				l = english
			default:
				continue
			}
			w := 1.0
			if weighted {
				var err error
				w, err = strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(q), "q="), 64)
				if err != nil || w > 1 {
					continue
				}
			}
			if w > weight {
				best, weight = l, w
			}
		}
	}
	return best
}
