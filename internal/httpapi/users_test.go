package httpapi_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/app"
)

// Errors that the document promises to the system that keeps the users.
func TestGrantsChangedByAnotherSystem(t *testing.T) {
	const secret = "a-secret-of-two-systems"
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHarness(t, func(c *app.Config) {
		c.Directory, c.Authenticator = nil, nil
		c.RemoteUsers.UsersURL, c.RemoteUsers.UsersSecretFile = "http://127.0.0.1:9", file // which is not asked
	})
	say := func(id, body string, headers ...string) answer {
		return h.call(http.DefaultClient, "POST", "/auth/admin/users/"+id+"/grants-changed", body, headers...)
	}
	known := bearer(secret)
	const change = `{"grants_version":4}`
	say("7", change, known...).want(204)
	say("7", change).problem(401, "invalid_token")
	say("7", change, bearer("another-secret-of-both")...).problem(401, "invalid_token")
	for _, body := range []string{"", "{}", `{"grants_version":0}`, `{"grants_version":-1}`, `{"grants_version":"4"}`, `{"`} {
		say("7", body, known...).problem(400, "invalid_request")
	}
	say(strings.Repeat("7", 256), change, known...).problem(404, "not_found")
	say("7", change, append(known, "Content-Type", "text/plain")...).problem(415, "unsupported_media_type")
	say("7", strings.Repeat(" ", 65<<10), known...).problem(413, "content_too_large")
	if err := h.App.DB.Close(); err != nil {
		t.Fatal(err)
	}
	say("7", change, known...).problem(503, "temporarily_unavailable")
}
