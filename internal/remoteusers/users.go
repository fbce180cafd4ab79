package remoteusers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

const (
	// callTimeout bounds one call, with the body of its response.
	callTimeout = 5 * time.Second
	// maxResponse bounds the body of a response, in bytes.
	maxResponse = 64 << 10
	// maxConnections bounds what is open to the other system at once. Calls beyond
	// it wait, within callTimeout.
	maxConnections = 128
	// idleTimeout is shorter than that of common servers (Node: 5 s), so that no
	// call is sent on a connection that is being closed.
	idleTimeout = 4 * time.Second
	// maxID bounds a user's id, in bytes.
	maxID = 255
)

// Credentials are the body of POST URL/authenticate. Address and UserAgent are
// those of the person who signs in.
type Credentials struct {
	Username  string `json:"username"`
	Password  string `json:"password"`
	Address   string `json:"address"`
	UserAgent string `json:"user_agent"`
}

// User is the response of both calls. GrantsVersion must grow with every change
// of Roles or Permissions.
type User struct {
	wire.User
	Roles         []string       `json:"roles"`
	Permissions   []string       `json:"permissions"`
	GrantsVersion int64          `json:"grants_version"`
	Settings      map[string]any `json:"settings"`
}

// Users asks the other system. It is a session.Directory and a
// session.Authenticator, safe for concurrent use.
type Users struct {
	base   string // without a slash at its end
	secret string
	http   *http.Client
}

// New returns the users of the system at a URL, which has no query.
func New(base, secret string) *Users {
	return &Users{base: strings.TrimRight(base, "/"), secret: secret, http: &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			MaxConnsPerHost:     maxConnections,
			MaxIdleConnsPerHost: maxConnections,
			IdleConnTimeout:     idleTimeout,
			ForceAttemptHTTP2:   true,
		},
		// A redirect is an outage: secret and password go nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Authenticate is session.Authenticator: 200 is the user, 400, 401 and 403 are
// wrong credentials, anything else is an outage.
func (u *Users) Authenticate(ctx context.Context, username, password string, from session.Contact) (session.Identity, error) {
	req := Credentials{Username: username, Password: password, UserAgent: from.UserAgent}
	if from.Address.IsValid() {
		req.Address = from.Address.String()
	}
	status, body, err := u.call(ctx, http.MethodPost, "/authenticate", req)
	if err != nil {
		return session.Identity{}, err
	}
	switch status {
	case http.StatusOK:
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return session.Identity{}, session.ErrInvalidCredentials
	default:
		return session.Identity{}, fmt.Errorf("POST %s/authenticate got %d", u.base, status)
	}
	user, err := parse(body)
	if err != nil {
		return session.Identity{}, fmt.Errorf("POST %s/authenticate: %w", u.base, err)
	}
	return session.Identity{UserID: user.ID, Credentials: user.Credentials}, nil
}

// User is session.Directory: 200 is the user, 404 and 410 are
// [session.ErrNoUser], anything else is an outage.
func (u *Users) User(ctx context.Context, id string) (session.User, error) {
	if checkID(id) != nil {
		return session.User{}, session.ErrNoUser // the other system can't have given it
	}
	path := "/users/" + url.PathEscape(id)
	status, body, err := u.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return session.User{}, err
	}
	switch status {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return session.User{}, session.ErrNoUser
	default:
		return session.User{}, fmt.Errorf("GET %s%s got %d", u.base, path, status)
	}
	user, err := parse(body)
	if err == nil && user.ID != id {
		err = errors.New("the response is about another user")
	}
	if err != nil {
		return session.User{}, fmt.Errorf("GET %s%s: %w", u.base, path, err)
	}
	return user, nil
}

// Grants is session.Directory. Nothing is remembered: only the other system
// knows when its users change.
func (u *Users) Grants(ctx context.Context, id string) (session.User, error) { return u.User(ctx, id) }

// call makes one call and reads its response to the end, whatever the status: a
// response that is too long or cut off says nothing.
func (u *Users) call(ctx context.Context, method, path string, body any) (status int, response []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var payload []byte
	if body != nil {
		if payload, err = json.Marshal(body); err != nil {
			return 0, nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, u.base+path, bytes.NewReader(payload))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+u.secret)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "tacet")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := u.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	response, err = io.ReadAll(io.LimitReader(res.Body, maxResponse+1))
	switch {
	case err != nil:
		return 0, nil, fmt.Errorf("%s %s%s: the response was cut off: %w", method, u.base, path, err)
	case len(response) > maxResponse:
		return 0, nil, fmt.Errorf("%s %s%s: the response has more than %d bytes", method, u.base, path, maxResponse)
	}
	return res.StatusCode, response, nil
}

// parse reads a user. What would mean something else in a token is not accepted.
func parse(body []byte) (session.User, error) {
	var u User
	if err := json.Unmarshal(body, &u); err != nil {
		return session.User{}, fmt.Errorf("the response is not a user: %w", err)
	}
	if err := checkID(u.ID); err != nil {
		return session.User{}, err
	}
	for _, p := range u.Permissions {
		if !wire.ValidPermission(p) {
			return session.User{}, fmt.Errorf("the permission %q is not segments of printable ASCII with colons between them, like orders:read", p)
		}
	}
	if u.GrantsVersion < 0 {
		return session.User{}, fmt.Errorf("grants_version is %d; it must not be negative", u.GrantsVersion)
	}
	return session.User{User: u.User, Roles: u.Roles, Permissions: u.Permissions, Scope: strings.Join(u.Permissions, " "),
		GrantsVersion: u.GrantsVersion, Settings: u.Settings}, nil
}

// checkID is the rule for ids, which are part of a path.
func checkID(id string) error {
	if id == "" || id == "." || id == ".." || len(id) > maxID || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) {
		return fmt.Errorf("the id %q is not one: it must have 1 to %d bytes of text without control characters", id, maxID)
	}
	return nil
}

// Probe reports why the other system can't be used, or nil: it must refuse a
// sign-in of nobody and know no user of that name.
func (u *Users) Probe(ctx context.Context) error {
	const nobody = "tacet-doctor"
	if _, err := u.Authenticate(ctx, nobody, nobody, session.Contact{}); err == nil {
		return fmt.Errorf("POST %s/authenticate accepts any password", u.base)
	} else if !errors.Is(err, session.ErrInvalidCredentials) {
		return err
	}
	if _, err := u.User(ctx, nobody); err != nil && !errors.Is(err, session.ErrNoUser) {
		return err
	}
	return nil
}
