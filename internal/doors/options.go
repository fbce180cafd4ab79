package doors

import (
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/internal/session"
)

// Options say how a user was identified, and for which client.
type Options struct {
	// ClientID is a registered client. Empty: that of the server.
	ClientID string
	// AMR and ACR are the methods and the class of the authentication (RFC 8176,
	// RFC 9068 §2.2.1).
	AMR []string
	ACR string
	// AuthTime is when the user was identified. Zero: now.
	AuthTime time.Time
}

// Bounds of Options.
const (
	maxMethods = 10
	maxWord    = 128
	maxAhead   = time.Minute // of the caller's clock
)

// details is what the session keeps of the options.
func (o Options) details(now time.Time) (session.Details, error) {
	if len(o.AMR) > maxMethods {
		return session.Details{}, errAMR
	}
	for _, m := range o.AMR {
		if !word(m) {
			return session.Details{}, errAMR
		}
	}
	if o.ACR != "" && !word(o.ACR) {
		return session.Details{}, errACR
	}
	at := o.AuthTime
	if at.IsZero() {
		at = now
	}
	if at.Unix() < 1 || at.Sub(now) > maxAhead {
		return session.Details{}, errAuthTime
	}
	if at.After(now) {
		at = now
	}
	return session.Details{ACR: o.ACR, AMR: strings.Join(o.AMR, " "), AuthTime: at.UTC().Truncate(time.Second)}, nil
}

// word reports whether s can stand in a list that is separated by spaces, and between
// quotes in a header.
func word(s string) bool {
	return s != "" && len(s) <= maxWord && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' })
}

var (
	errAMR      = problem.BadRequest(problem.Text{EN: "The member amr must be up to %d words of up to %d visible ASCII characters each, like \"otp\".", ZH: "字段 amr 最多包含 %d 个词，每个词最多 %d 个可见 ASCII 字符，例如 \"otp\"。"}, maxMethods, maxWord)
	errACR      = problem.BadRequest(problem.Text{EN: "The member acr must be one word of up to %d visible ASCII characters.", ZH: "字段 acr 必须是一个词，最多 %d 个可见 ASCII 字符。"}, maxWord)
	errAuthTime = problem.BadRequest(problem.Text{EN: "The member auth_time must be when the user was identified, in seconds since 1970, and not in the future.", ZH: "字段 auth_time 必须是识别用户的时间（自 1970 年起的秒数），且不得晚于当前时间。"})
)
