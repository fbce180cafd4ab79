package httpapi_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/oauth"
	"github.com/tacet-dev/tacet/wire"
)

func (h *oauthHarness) startDevice() wire.DeviceAuthorization {
	h.Helper()
	var d wire.DeviceAuthorization
	h.form(wire.PathDeviceAuthorization, values("client_id", "tv", "scope", "openid")).json(&d)
	return d
}

func (h *oauthHarness) poll(d wire.DeviceAuthorization, pairs ...string) answer {
	h.Helper()
	h.Clock.Advance(oauth.DeviceInterval)
	p := values("grant_type", oauth.GrantDevice, "client_id", "tv", "device_code", d.DeviceCode)
	for i := 0; i < len(pairs); i += 2 {
		p.Set(pairs[i], pairs[i+1])
	}
	return h.form(wire.PathToken, p)
}

// enter types a code on the page and returns the next one.
func (h *oauthHarness) enter(code string) answer {
	h.Helper()
	return h.submit(h.call(h.browser, "GET", wire.PathDevice, ""), "user_code", code)
}

func TestRFC8628_3_2_DeviceAuthorizationResponse(t *testing.T) {
	h := newOAuthHarness(t)
	d := h.startDevice()
	if !regexp.MustCompile(`^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$`).MatchString(d.UserCode) || len(d.DeviceCode) < 43 ||
		d.VerificationURI != h.URL+"/oauth/device" || !strings.Contains(d.VerificationURIComplete, d.UserCode) || d.ExpiresIn != 600 || d.Interval != 5 {
		t.Errorf("%+v", d)
	}
	if other := h.startDevice(); other.UserCode == d.UserCode || other.DeviceCode == d.DeviceCode {
		t.Error("two devices got one code")
	}
	h.form(wire.PathDeviceAuthorization, values("client_id", "spa")).oauthError(400, "unauthorized_client")
	h.form(wire.PathDeviceAuthorization, values("client_id", "nobody")).oauthError(401, "invalid_client")
	h.form(wire.PathDeviceAuthorization, values("scope", "openid")).oauthError(400, "invalid_request")
}

// Anybody may ask, and each request is kept until it expires: one address is
// slowed down, and others are not.
func TestDeviceAuthorizationsAreThrottledByAddress(t *testing.T) {
	h := newOAuthHarness(t)
	start := func() answer { return h.form(wire.PathDeviceAuthorization, values("client_id", "tv")) }
	for i := range 20 {
		if a := start(); a.StatusCode != 200 {
			t.Fatalf("request %d: %d %s", i+1, a.StatusCode, a.body)
		}
	}
	refused := start()
	refused.oauthError(429, "slow_down")
	if refused.Header.Get("Retry-After") == "" {
		t.Error("nobody says for how long")
	}
	// Who is signing in is not held up by it, and after a while it goes on.
	h.Clock.Advance(time.Minute)
	d := h.startDevice()
	if again := h.enter(d.UserCode); again.StatusCode != 200 {
		t.Errorf("%d", again.StatusCode)
	}
	for range 100 {
		if a := start(); a.StatusCode != 200 {
			return
		}
	}
	t.Error("after a pause there is no limit any more")
}

func TestRFC8628_3_5_DeviceAccessTokenResponse(t *testing.T) {
	h := newOAuthHarness(t)
	d := h.startDevice()
	h.poll(d).oauthError(400, "authorization_pending")
	h.poll(d).oauthError(400, "authorization_pending")
	h.Clock.Advance(-3 * time.Second)
	h.poll(d).oauthError(400, "slow_down") // 2 s after the last
	// "the interval MUST be increased by 5 seconds for this and all subsequent requests"
	h.poll(d).oauthError(400, "slow_down")
	h.Clock.Advance(10 * time.Second)
	h.poll(d).oauthError(400, "authorization_pending")
	h.poll(d, "client_id", "spa").oauthError(400, "invalid_grant")
	h.poll(wire.DeviceAuthorization{DeviceCode: "x"}).oauthError(400, "invalid_grant")

	page := h.enter(strings.ToLower(strings.ReplaceAll(d.UserCode, "-", " "))).want(200) // §6.1
	if b := string(page.body); !strings.Contains(b, "<b>Television</b>") || !strings.Contains(b, `<p class="code">`+d.UserCode+`</p>`) {
		t.Errorf("the page does not say who asks: %s", b)
	}
	page = h.submit(page, "username", "alice", "password", "wrong").want(400)
	h.Clock.Advance(20 * time.Second)
	h.poll(d).oauthError(400, "authorization_pending")
	if b := string(h.submit(page, "username", "alice", "password", "alice").want(200).body); !strings.Contains(b, "The device is connected") {
		t.Errorf("approved: %s", b)
	}
	h.submit(page, "username", "bob", "password", "bob").want(400) // the first who approves is the one
	g := h.poll(d).granted()
	if g.RefreshToken == "" || g.IDToken == "" {
		t.Errorf("%+v", g)
	}
	var c oauth.IDClaims
	h.claims(g.IDToken, &c)
	if c.Subject != "alice" || c.Audience != "tv" {
		t.Errorf("claims %+v", c)
	}
	h.renew(g.RefreshToken, "client_id", "tv").granted()
	h.enter(d.UserCode).want(400)

	denied := h.startDevice()
	h.submit(h.enter(denied.UserCode), "action", "deny").want(200)
	h.poll(denied).oauthError(400, "access_denied")

	late := h.startDevice()
	h.Clock.Advance(oauth.DeviceLifetime)
	h.poll(late).oauthError(400, "expired_token")
	h.enter(late.UserCode).want(400)
	forgotten := h.startDevice()
	h.submit(h.enter(forgotten.UserCode), "username", "alice", "password", "alice").want(200)
	h.Clock.Advance(oauth.DeviceLifetime)
	h.poll(forgotten).oauthError(400, "expired_token")
}

func TestDeviceCodesAreUsedOnce(t *testing.T) {
	h := newOAuthHarness(t)
	d := h.startDevice()
	h.submit(h.enter(d.UserCode), "username", "alice", "password", "alice").want(200)
	g := h.poll(d).granted()
	h.poll(d, "client_id", "spa").oauthError(400, "invalid_grant")
	h.renew(g.RefreshToken, "client_id", "tv").granted()
	h.poll(d).oauthError(400, "invalid_grant")
	h.renew(g.RefreshToken, "client_id", "tv").oauthError(400, "invalid_grant")
}

func TestRFC8628_3_3_1_TheCodeInTheAddressOnlyFillsTheField(t *testing.T) {
	h := newOAuthHarness(t)
	d := h.startDevice()
	a := h.call(h.browser, "GET", strings.TrimPrefix(d.VerificationURIComplete, h.URL), "").want(200)
	if b := string(a.body); !strings.Contains(b, `value="`+d.UserCode+`"`) || strings.Contains(b, "Television") {
		t.Errorf("page: %s", b)
	}
	h.submit(h.submit(a, "user_code", d.UserCode), "username", "alice", "password", "alice").want(200)
	h.poll(d).granted()
	action, fields := a.pageForm()
	fields.Set("user_code", d.UserCode)
	h.call(http.DefaultClient, "POST", action, fields.Encode(), "Content-Type", "application/x-www-form-urlencoded").want(403)
}

func TestRFC8628_5_1_UserCodesAreNotGuessed(t *testing.T) {
	h := newOAuthHarness(t)
	for i := range 200 {
		a := h.enter("BCDF-GHJ" + string("BCDFGHJKLMNPQRSTVWXZ"[i%20]))
		if a.StatusCode == 429 {
			return
		}
		a.want(400)
	}
	t.Error("200 wrong codes from one address, and nobody was slowed down")
}
