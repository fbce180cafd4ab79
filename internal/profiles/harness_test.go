package profiles_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/apptest"
	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/profiles"
	"github.com/tacet-dev/tacet/internal/session"
	"github.com/tacet-dev/tacet/wire"
)

var errOutage = errors.New("the directory is out")

type harness struct{ *apptest.Server }

// accessTTL is so short that all tokens live equally long.
const accessTTL = 19 * time.Second

// newHarness is a server that speaks all built-in dialects at once.
func newHarness(t *testing.T, change ...func(*app.Config)) *harness {
	t.Helper()
	var users []session.User
	for _, name := range []string{"alice", "bob"} {
		users = append(users, session.User{User: wire.User{ID: name, Username: name, DisplayName: strings.ToUpper(name[:1]) + name[1:], Email: name + "@example.com"},
			Roles: []string{"viewer"}, Permissions: []string{"orders:read", "shop.orders.write"}, Scope: "orders:read shop.orders.write", GrantsVersion: 1})
	}
	change = append([]func(*app.Config){func(c *app.Config) {
		c.Profiles, c.AccessTTL = profiles.Settings{Names: profiles.Together(), TTL: accessTTL}, accessTTL
	}}, change...)
	return &harness{apptest.Open(t, apptest.NewPeople(users...), change...)}
}

// answer is a response that has been read.
type answer struct {
	*http.Response
	raw  []byte
	body any // decoded; nil if it is no JSON
}

// at follows member names, "data.token".
func (a answer) at(path string) any {
	v := a.body
	for name := range strings.SplitSeq(path, ".") {
		o, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = o[name]
	}
	return v
}

func (a answer) text(path string) string {
	s, _ := a.at(path).(string)
	return s
}

// call sends a request; headers are name, value pairs, and an empty value takes a
// header away.
func (h *harness) call(c *http.Client, method, path, body string, headers ...string) answer {
	h.Helper()
	a := answer{}
	a.Response, a.raw = h.Do(c, method, path, body, headers...)
	_ = json.Unmarshal(a.raw, &a.body)
	return a
}

func newUser(name string, roles ...string) directory.NewUser {
	return directory.NewUser{Name: name, Password: name + "-password", Roles: roles}
}
