package profiles_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/profiles"
)

// good is a small profile of a user's own; tests break it.
const good = `profile: mine
about: A test
refresh:
  body: refreshToken
envelope: {code: 0, data: "${data}"}
routes:
  POST /my/login:
    operation: login
    username: user
    password: pass
    data: {token: "${access.token}", refresh: "${refresh.token}"}
  POST /my/refresh:
    operation: refresh
    data: {token: "${access.token}", refresh: "${refresh.token}"}
  POST /my/logout:
    operation: logout
  GET /my/me:
    operation: user
    body: {name: "${user.name}", at: "${session.expires_at:ms}"}
refusals:
  default:
    body: {code: "${error.status}", msg: "${error.message}"}
never:
  - on: refresh
    member: code
    is: [401]
    why: it would renew for ever
`

func TestErrorsNameFileAndLine(t *testing.T) {
	if _, err := profiles.Load("my.yaml", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{good, "", "my.yaml:1: the file is empty"},
		{good, "[]", `my.yaml:1: a profile must be a mapping of "name: value" lines`},
		{good, "a: [", "my.yaml:1: this is not valid YAML"},
		{good, "a:\n\tb", "my.yaml:2: this is not valid YAML"},
		{good, strings.Repeat("#", 300<<10), "my.yaml:1: the file has more than 262144 bytes"},
		{"profile: mine", "profil: mine", `my.yaml:1: "profil" means nothing in a profile; did you mean profile?`},
		{"profile: mine", "profile: My Own", `my.yaml:1: the name "My Own" must be lower case`},
		{"about: A test", "profile: again", `my.yaml:2: "profile" stands here for the second time, the first is on line 1`},
		{"  body: refreshToken\n", "  body: refreshToken\n  query: refreshToken\n", "my.yaml:4: the refresh token travels in one way"},
		{"  body: refreshToken\n", "  header: X\n", `my.yaml:4: "header" means nothing in refresh`},
		{"body: refreshToken", "cookie: a b", `my.yaml:4: "a b" can't be the name of a cookie`},
		{"body: refreshToken", "cookie: default", "my.yaml:7: the answer may not show ${refresh.token}"},
		{"envelope: {code: 0, data: \"${data}\"}\n", "", "data, but the profile has no envelope"},
		{`data: "${data}"}`, `data: 1}`, "my.yaml:5: the envelope must have ${data} in it"},
		{"POST /my/login", "PATCH /my/login", "my.yaml:7: a route is a method and a path"},
		{"POST /my/login", "POST my/login", `my.yaml:7: the path "my/login" must be plain`},
		{"POST /my/login", "POST /my/{id}", `my.yaml:7: the path "/my/{id}" must be plain`},
		{"POST /my/login", "POST /my/../login", `my.yaml:7: the path`},
		{"POST /my/login", "GET /my/login", "my.yaml:7: login changes something: it can't be GET"},
		{"operation: login", "operation: signin", `my.yaml:8: the operation is "signin"; it must be one of login, refresh`},
		{"    operation: logout\n", "    status: 200\n", "my.yaml:15: the route has no operation"},
		{"    password: pass\n", "", "my.yaml:7: a login names the members with the credentials"},
		{"password: pass", "form: maybe", `my.yaml:10: form is "maybe"; it must be one of true, false`},
		{"${access.token}", "${acces.token}", "my.yaml:11: there is no value ${acces.token}; did you mean access.token?"},
		{"${access.token}", "x", "my.yaml:7: the answer must hand out ${access.token}"},
		{`, refresh: "${refresh.token}"}
  POST /my/logout`, `}
  POST /my/logout`, "my.yaml:12: the answer must hand out ${refresh.token}"},
		{"${session.expires_at:ms}", "${session.expires_at}", "my.yaml:19: ${session.expires_at} is a time: say in which form"},
		{"${session.expires_at:ms}", "${session.expires_at:mss}", `my.yaml:19: there is no function "mss" in ${session.expires_at:mss}; did you mean ms?`},
		{"${session.expires_at:ms}", "${user.name:ms}", `my.yaml:19: the function "ms" in ${user.name:ms} is for a time, and what stands before it is a string`},
		{"${session.expires_at:ms}", "${access.token}", "my.yaml:19: ${access.token} has no value in this answer"},
		{"${session.expires_at:ms}", "a ${user.roles}", "my.yaml:19: ${user.roles} is a list and can't stand inside a text"},
		{"${session.expires_at:ms}", "${session.id", "has no closing brace"},
		{`at: "${session.expires_at:ms}"`, "at: 2026-01-01", "my.yaml:19: 2026-01-01 is read as a date by YAML: quote it"},
		{`at: "${session.expires_at:ms}"`, "at: .nan", "my.yaml:19: .nan is not a number that JSON has"},
		{`at: "${session.expires_at:ms}"`, "at: &x 1", "my.yaml:19: anchors and aliases"},
		{`at: "${session.expires_at:ms}"`, "at: " + strings.Repeat("[", 30) + strings.Repeat("]", 30), "my.yaml:19: more than 24 levels"},
		{"    operation: user\n", "    operation: user\n    headers: {Set-Cookie: a=b}\n", "my.yaml:19: the header Set-Cookie is set by the server"},
		{"    operation: user\n", "    operation: user\n    headers: {access-control-allow-origin: x}\n", "is set by the server"},
		{"    operation: user\n", "    operation: user\n    status: 99\n", "my.yaml:19: the status must be a number from 200 to 599"},
		{"    operation: user\n", "    operation: user\n    status: 404\n", "my.yaml:17: the answer is a success with the status 404"},
		{"    operation: user\n", "    operation: user\n    text: hello\n", "an answer is either text or JSON"},
		{"    operation: user\n", "    operation: config\n", "my.yaml:17: config needs anonymous"},
		{"    operation: user\n", "    operation: user\n    user: id\n", `"user" means nothing in a route of the operation user`},
		{"  default:", "  other:", `my.yaml:21: a refusal is "other"; it must be one of default, invalid_grant`},
		{"  default:\n    body: {code: \"${error.status}\", msg: \"${error.message}\"}", "  expired: {}", "my.yaml:1: refusals has no default"},
		{"msg: \"${error.message}\"}\n", "msg: \"\"}\n  reused:\n    body: {code: 401}\n", "my.yaml:12: the refusal reused has code: 401, which must never be (line 26): it would renew for ever"},
		{"msg: \"${error.message}\"}\n", "msg: \"\"}\n  invalid_credentials: {status: 401, body: {}}\n", "my.yaml:7: the refusal invalid_credentials is 401, which every interceptor takes"},
		{"    why: it would renew for ever\n", "", "a constraint says on which operation"},
		{"  - on: refresh", "  - on: renewal", `my.yaml:24: on is "renewal"; it must be one of any, api, login`},
		{"  POST /my/logout:\n    operation: logout\n", "", "my.yaml:1: there is no route with the operation logout"},
		{"operation: refresh\n    data: {token: \"${access.token}\", refresh: \"${refresh.token}\"}", "operation: logout", "there must be a route with the operation refresh"},
	} {
		broken := strings.Replace(good, c.old, c.new, 1)
		if broken == good {
			t.Errorf("the test does not break anything: %q", c.old)
		}
		_, err := profiles.Load("my.yaml", []byte(broken))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("instead of\n  %s\nthere is\n  %v", c.want, err)
		}
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "my.yaml:") {
					t.Errorf("no file and line in %q", line)
				}
			}
		}
	}
}

func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	_, err := profiles.Load("my.yaml", []byte("profile: X\nabout: \"\"\nrefresh: {body: a}\nroutes: {GET x: {}}\n"))
	if err == nil || strings.Count(err.Error(), "my.yaml:") < 4 {
		t.Fatalf("%v", err)
	}
}

func TestProfilesThatDoNotGoTogether(t *testing.T) {
	write := func(name, text string) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	mine := write("mine.yaml", good)
	if set, err := profiles.Open(append(profiles.Together(), mine)...); err != nil || len(set.Profiles) != len(profiles.Together())+1 {
		t.Fatal(err)
	}
	other := write("other.yaml", strings.Replace(good, "profile: mine", "profile: other", 1))
	for want, names := range map[string][]string{
		"the profile abp is there twice":                               {"abp", "vben", "abp"},
		`there is no profile "soybeen"; did you mean soybean?`:         {"soybeen"},
		"the profile can't be read":                                    {"./no-such-file.yaml"},
		"POST /my/login belongs to the profile mine as well":           {mine, other},
		"GET /my/me belongs to the profile mine as well":               {mine, other},
		"nothing in the body tells the two apart: switch on one of th": {mine, other},
	} {
		if _, err := profiles.Open(names...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("instead of %q there is %v", want, err)
		}
	}
}

func TestGUID(t *testing.T) {
	for id, want := range map[string]string{
		"usr_aaaaaaaaaaaaaaaaaaaaaaaaaa":       "00000000-0000-0000-0000-000000000000",
		"usr_aerukz4jvpg66ajdivtytk6n54":       "01234567-89ab-cdef-0123-456789abcdef",
		"01234567-89AB-CDEF-0123-456789ABCDEF": "01234567-89ab-cdef-0123-456789abcdef",
		"alice":                                "5105dd99-edde-8e34-85fa-6a68a3ac1f5a",
		"usr_short":                            profiles.GUID("usr_short"),
	} {
		if got := profiles.GUID(id); got != want || len(got) != 36 {
			t.Errorf("GUID(%q) = %q, want %q", id, got, want)
		}
	}
}

// Whatever the file, Load neither panics nor returns a profile that can't answer.
func FuzzLoad(f *testing.F) {
	for _, name := range profiles.Names() {
		data, err := profiles.Source(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(good))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte(strings.Replace(good, "${user.name}", "$${x} ${user.name:guid:or_null} $", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := profiles.Load("f.yaml", data)
		if (p == nil) == (err == nil) {
			t.Fatalf("profile %v, error %v", p, err)
		}
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "f.yaml:") {
					t.Fatalf("no file and line in %q", line)
				}
			}
		}
	})
}
