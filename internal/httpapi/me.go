package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/internal/problem"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/rotation"
	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

// Caller is the living session and the user behind a verified access token.
func (a *API) Caller(r *http.Request) (session.Session, session.User, error) {
	token, ok := verify.FromContext(r.Context())
	if !ok {
		return session.Session{}, session.User{}, problem.InvalidToken
	}
	return a.CallerOf(r.Context(), token)
}

// CallerOf is Caller for a token in hand. The user has no more permissions than the
// token grants.
func (a *API) CallerOf(ctx context.Context, token *verify.Token) (session.Session, session.User, error) {
	id, err := rotation.ParseSessionID(token.SessionID())
	if err != nil {
		return session.Session{}, session.User{}, problem.InvalidToken
	}
	sess, err := a.Sessions.Living(ctx, id)
	var refused *session.Refusal
	if errors.As(err, &refused) {
		return session.Session{}, session.User{}, problem.InvalidToken
	}
	if err != nil {
		return session.Session{}, session.User{}, err
	}
	user, err := a.Directory.User(ctx, sess.UserID)
	if errors.Is(err, session.ErrNoUser) {
		return session.Session{}, session.User{}, problem.InvalidToken
	}
	if err != nil {
		return session.Session{}, session.User{}, errors.Join(session.ErrUnavailable, err)
	}
	if token.GrantsVersion() < user.GrantsVersion {
		return session.Session{}, session.User{}, ErrGrantsChanged
	}
	if scope := strings.Join(token.Permissions(), " "); scope != user.Scope {
		// The token of an OAuth client grants less than its user has.
		user.Permissions = strings.Fields(session.Narrow(strings.Join(user.Permissions, " "), scope))
	}
	return sess, user, nil
}

// me is GET /auth/me, the application configuration.
func (a *API) me(w http.ResponseWriter, r *http.Request) error {
	sess, user, err := a.Caller(r)
	if err != nil {
		return err
	}
	body := wire.Me{
		User:          user.User,
		Roles:         OrEmpty(user.Roles),
		Permissions:   OrEmpty(user.Permissions),
		GrantsVersion: user.GrantsVersion,
		Session:       wire.TokenSession{ID: sess.ID.String()},
		Settings:      user.Settings,
	}
	if body.Settings == nil {
		body.Settings = map[string]any{}
	}
	// The tag leaves out the expiry, which moves with every renewal: what an
	// application is configured by has not changed then.
	etag, err := entityTag(body)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "private, no-cache")
	w.Header().Set("Vary", "Authorization")
	w.Header().Set("ETag", etag)
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body.Session.ExpiresAt = Timestamp(a.Sessions.ExpiresAt(sess))
	return WriteJSON(w, http.StatusOK, body)
}

// entityTag is weak (RFC 9110 §8.8.1), because the expiry may differ.
func entityTag(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`, nil
}

// matches is the weak comparison of If-None-Match (RFC 9110 §13.1.2).
func matches(headers []string, etag string) bool {
	for part := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}

func OrEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
