package client

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tacet-dev/tacet/wire"
)

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		values        []string
		renew, grants bool
	}{
		{nil, true, false},
		{[]string{`Bearer`}, true, false},
		{[]string{`bearer realm="x"`}, true, false},
		{[]string{`Bearer error="invalid_token"`}, true, false},
		{[]string{`Bearer error=invalid_token`}, true, false},
		{[]string{`Bearer realm="a, b \" error=\"insufficient_scope\"", error="invalid_token"`}, true, false},
		{[]string{`Bearer error="invalid_token", error_description="grants_changed"`}, true, true},
		{[]string{`BEARER ERROR = "invalid_token" , Error_Description = "grants_changed"`}, true, true},
		{[]string{`Basic realm="x", Bearer error="invalid_token"`}, true, false},
		{[]string{`Negotiate abc==`, `Bearer error="invalid_token"`}, true, false},
		{[]string{`Negotiate abc==, Bearer error="invalid_token"`}, true, false},
		{[]string{`, ,Bearer error="invalid_token",,`}, true, false},
		{[]string{`Basic realm="x"`}, false, false},
		{[]string{`Basic realm="Bearer error"`}, false, false},
		{[]string{`Bearer error="insufficient_scope"`}, false, false},
		{[]string{`Bearer error="invalid_request", error_description="grants_changed"`}, false, false},
		{[]string{`Bearer error="insufficient_scope", error_description="grants_changed"`}, false, false},
		{[]string{`DPoP error="invalid_token"`}, false, false},
		{[]string{``}, false, false},
		{[]string{`"`}, false, false},
	} {
		got := readRefusal(http.Header{"Www-Authenticate": c.values})
		if got.renew != c.renew || got.grantsChanged != c.grants {
			t.Errorf("%q: %+v", c.values, got)
		}
	}
}

func FuzzChallenges(f *testing.F) {
	for _, v := range []string{`Bearer error="invalid_token"`, `Negotiate abc==, Bearer a="\"",b`, `"\`, `a "`, `=,=`, "Bearer\terror\t=\t\"x\""} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		for _, c := range parseChallenges(v) {
			if c.scheme == "" || c.params == nil {
				t.Fatalf("%q: %+v", v, c)
			}
		}
		readRefusal(http.Header{"Www-Authenticate": {v}})
		// A challenge of our own is found behind anything that leaves no string open.
		if strings.IndexByte(v, '"') < 0 && !strings.Contains(strings.ToLower(v), "bearer") {
			if got := readRefusal(http.Header{"Www-Authenticate": {v + `, Bearer error="invalid_token"`}}); !got.renew {
				t.Fatalf("%q hides the challenge behind it", v)
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		value, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"0", "", 0},
		{"120", "", 2 * time.Minute},
		{" 7 ", "", 7 * time.Second},
		{"-1", "", 0},
		{"1.5", "", 0},
		{"soon", "", 0},
		{"9223372036854775807", "", time.Duration(maxLifetime) * time.Second},
		{now.Add(time.Minute).Format(http.TimeFormat), "", time.Minute},
		{now.Add(-time.Minute).Format(http.TimeFormat), "", 0},
		// The server's clock is two hours ahead: only the difference counts.
		{now.Add(2*time.Hour + time.Minute).Format(http.TimeFormat), now.Add(2 * time.Hour).Format(http.TimeFormat), time.Minute},
	} {
		h := http.Header{}
		h.Set("Retry-After", c.value)
		h.Set("Date", c.date)
		if got := retryAfter(h, now); got != c.want {
			t.Errorf("%q at %q: %v, want %v", c.value, c.date, got, c.want)
		}
	}
}

func TestAnswers(t *testing.T) {
	good := `{"access_token":"a.b-c","token_type":"Bearer","expires_in":900,"refresh_token":"r","session":{"id":"s"}}`
	for _, c := range []struct {
		status int
		body   string
		ok     bool
	}{
		{200, good, true},
		{204, "", true},
		{200, strings.Replace(good, "Bearer", "bearer", 1), true},
		{200, strings.Replace(good, `"refresh_token":"r",`, "", 1), true},
		{200, "", false},
		{200, "<html>", false},
		{200, "null", false},
		{200, "[]", false},
		{200, strings.Replace(good, "Bearer", "DPoP", 1), false},
		{200, strings.Replace(good, "900", "0", 1), false},
		{200, strings.Replace(good, "900", "-5", 1), false},
		{200, strings.Replace(good, "900", "1e999", 1), false},
		{200, strings.Replace(good, "a.b-c", "", 1), false},
		{200, strings.Replace(good, "a.b-c", `a\r\nX: y`, 1), false},
		{200, strings.Replace(good, "a.b-c", "a b", 1), false},
		{200, good + strings.Repeat(" ", maxResponse), false},
		{503, strings.Repeat(" ", maxResponse+1), false},
	} {
		a, err := parseResponse(c.status, http.Header{}, []byte(c.body), time.Now())
		if (err == nil) != c.ok || a.status != c.status {
			t.Errorf("%d %.100q: %v", c.status, c.body, err)
		}
		if err != nil && strings.Contains(err.Error(), "a.b-c") {
			t.Errorf("a token is in the error: %v", err)
		}
	}
}

func TestProblems(t *testing.T) {
	body := []byte(`{"code":"invalid_grant","title":"Abgemeldet\u0007\nx","status":400}`)
	for _, c := range []struct{ kind, code string }{
		{wire.ContentTypeProblem, wire.CodeInvalidGrant},
		{wire.ContentTypeProblem + "; charset=utf-8", wire.CodeInvalidGrant},
		{"application/json", ""}, // not the auth server speaking: no clear no
		{"text/html", ""},
		{"", ""},
	} {
		a, err := parseResponse(400, http.Header{"Content-Type": {c.kind}}, body, time.Now())
		if err != nil || a.problem.Code != c.code || strings.ContainsAny(a.problem.Error(), "\n\a") {
			t.Errorf("%q: %+v %v", c.kind, a.problem, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(200, "application/json", `{"access_token":"a","token_type":"Bearer","expires_in":1,"session":{"id":"s"}}`)
	f.Add(400, wire.ContentTypeProblem, `{"code":"invalid_grant"}`)
	f.Add(503, "text/html", "<html>")
	f.Add(200, "", `{"access_token":"a","token_type":"Bearer","expires_in":9223372036854775807}`)
	f.Fuzz(func(t *testing.T, status int, kind, body string) {
		a, err := parseResponse(status, http.Header{"Content-Type": {kind}}, []byte(body), time.Now())
		if a.problem != nil && (len([]rune(a.problem.Error())) > 1000 || !utf8.ValidString(a.problem.Error())) {
			t.Fatalf("%q", a.problem.Error())
		}
		if err != nil || status != http.StatusOK {
			return
		}
		r := record{Version: recordVersion, Server: "s", RefreshToken: "r"}.with(a.tokens, time.Now())
		if life := r.lifetime(); life <= 0 {
			t.Fatalf("lifetime %v", life)
		}
		back, err := decodeRecord(r.encode())
		if err != nil || back.AccessToken != r.AccessToken || back.ExpiresIn != r.ExpiresIn || back.Server != r.Server {
			t.Fatalf("%v: %+v became %+v", err, r, back)
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"server":"s","refresh_token":"r","access_token":"a","expires_in":900,"received_at":1}`))
	f.Add([]byte(`{"version":1,"server":"s","refresh_token":"r","expires_in":9223372036854775807,"received_at":-9223372036854775808}`))
	f.Add([]byte(`null`))
	s, err := New(Config{URL: "https://auth.test/auth"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			if json.Valid(b) && strings.Contains(err.Error(), "no valid JSON") && len(b) > 0 && b[0] == '{' && !strings.Contains(string(b), `"`) {
				t.Fatalf("%q: %v", b, err)
			}
			return
		}
		now := time.Now()
		g := s.grantOf(r, now)
		if g.usable(now) && (g.token.ExpiresAt.Before(now) || g.renewFrom > g.usableFor) {
			t.Fatalf("%s: %+v", b, g)
		}
	})
}

// A wall clock that was set, and a computer that slept while its monotonic
// clock stood still: the older reading counts.
func TestAge(t *testing.T) {
	now := time.Now()
	g := func(mono, wall time.Duration) *grant {
		return &grant{received: now.Add(-mono), wall: now.Add(-wall).UnixNano(), usableFor: 10 * time.Minute}
	}
	for _, c := range []struct {
		name       string
		mono, wall time.Duration
		usable     bool
	}{
		{"fresh", time.Minute, time.Minute, true},
		{"old", time.Hour, time.Hour, false},
		{"slept", time.Minute, time.Hour, false},
		{"clock set back", time.Hour, -time.Hour, false},
		{"clock set back, still fresh", time.Minute, -time.Hour, true},
	} {
		if got := g(c.mono, c.wall).usable(now); got != c.usable {
			t.Errorf("%s: usable %v", c.name, got)
		}
	}
	if none().usable(now) || none().usable(time.Unix(0, math.MinInt64/4)) {
		t.Error("nothing is usable")
	}
}

// What a record says of its age is judged by the wall clock alone.
func TestGrantOfARecord(t *testing.T) {
	s, err := New(Config{URL: "https://auth.test/auth"})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for _, c := range []struct {
		name   string
		age    time.Duration
		usable bool
	}{
		{"new", 0, true},
		{"young", 5 * time.Minute, true},
		{"within the leeway", 15*time.Minute - 9*time.Second, false},
		{"over", 16 * time.Minute, false},
		{"from the future", -time.Second, false},
	} {
		r := record{AccessToken: "a", ExpiresIn: 900, ReceivedAt: now.Add(-c.age).UnixNano()}
		if got := s.grantOf(r, now).usable(now); got != c.usable {
			t.Errorf("%s: usable %v", c.name, got)
		}
	}
	// Renewal ahead is spread, and comes well before the end.
	for _, x := range []float64{0, 0.5, 0.999} {
		s.random = func() float64 { return x }
		g := s.grantOf(record{AccessToken: "a", ExpiresIn: 1000, ReceivedAt: now.UnixNano()}, now)
		if g.renewFrom < 760*time.Second || g.renewFrom > 800*time.Second {
			t.Errorf("random %v: renewed ahead at %v", x, g.renewFrom)
		}
	}
}
