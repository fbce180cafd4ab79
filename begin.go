package tacet

import (
	"context"
	"net/http"
	"time"

	"github.com/tacet-dev/tacet/internal/doors"
	"github.com/tacet-dev/tacet/wire"
)

// BeginOptions say how a user was identified, and for which client.
type BeginOptions struct {
	// ClientID is a registered client [Config.ClientID].
	ClientID string
	// AMR and ACR are the methods and the class of the authentication, which access
	// tokens carry (RFC 8176, RFC 9068 §2.2.1): words of ASCII, like "otp" [none].
	AMR []string
	ACR string
	// AuthTime is when the user was identified [now].
	AuthTime time.Time
}

// Begin signs a user in whom your own program has identified, by whatever means, in
// the browser that has sent r. It sets the cookies on w and writes nothing else: call
// it before the first byte of the response, and write the response that it returns as
// JSON, or a redirection. The session that the browser had ends. The error is
// ErrNoUser for a user who is unknown or disabled, or says what is wrong with o; any
// other is an outage.
//
// Whoever makes a browser send r is signed in there: check that it comes from a page
// of yours (http.CrossOriginProtection), or is the response to a request of yours.
func (s *Server) Begin(w http.ResponseWriter, r *http.Request, userID string, o BeginOptions) (wire.TokenResponse, error) {
	return s.app.Doors.Begin(w, r, userID, doors.Options(o))
}

// BeginTokens is Begin for clients that are no browsers: the response has the refresh
// token.
func (s *Server) BeginTokens(ctx context.Context, userID string, o BeginOptions) (wire.TokenResponse, error) {
	return s.app.Doors.BeginTokens(ctx, userID, doors.Options(o))
}
