package verify_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/verify"
	"github.com/tacet-dev/tacet/wire"
)

func TestRequireAuth(t *testing.T) {
	v := newVerifier(t, verify.Config{})
	token := func(changes object) string { return "Bearer " + signEd(header(nil), claims(changes)) }
	now := t0.Unix()
	const error = `Bearer error="insufficient_user_authentication", error_description="a stronger or more recent sign-in is needed"`
	gold := verify.StepUp{ACR: []string{"gold", "silver"}}
	otp := verify.StepUp{AMR: []string{"pwd", "otp"}}
	fresh := verify.StepUp{MaxAge: 5 * time.Minute}
	for name, c := range map[string]struct {
		wanted    verify.StepUp
		token     string
		status    int
		challenge string
	}{
		"nothing is asked for":     {verify.StepUp{}, token(nil), 200, ""},
		"no token":                 {gold, "", 401, "Bearer"},
		"no class":                 {gold, token(nil), 401, error + `, acr_values="gold silver"`},
		"another class":            {gold, token(object{"acr": "bronze"}), 401, error + `, acr_values="gold silver"`},
		"the second class":         {gold, token(object{"acr": "silver"}), 200, ""},
		"no methods":               {otp, token(nil), 401, error},
		"one method of two":        {otp, token(object{"amr": []string{"otp"}}), 401, error},
		"both methods and another": {otp, token(object{"amr": []string{"otp", "hwk", "pwd"}}), 200, ""},
		"no time":                  {fresh, token(nil), 401, error + `, max_age="300"`},
		"in time":                  {fresh, token(object{"auth_time": now - 300}), 200, ""},
		"too old":                  {fresh, token(object{"auth_time": now - 301}), 401, error + `, max_age="300"`},
		"not a time":               {fresh, token(object{"auth_time": "today"}), 401, `Bearer error="invalid_token", error_description="the access token is malformed"`},
		"all, and one is missing": {verify.StepUp{ACR: []string{"gold"}, AMR: []string{"otp"}, MaxAge: time.Minute},
			token(object{"acr": "gold", "auth_time": now}), 401, error + `, acr_values="gold", max_age="60"`},
		"all": {verify.StepUp{ACR: []string{"gold"}, AMR: []string{"otp"}, MaxAge: time.Minute},
			token(object{"acr": "gold", "amr": []string{"otp"}, "auth_time": now - 1}), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := get(v.RequireAuth(c.wanted)(hello), c.token)
			if w.Code != c.status || w.Header().Get("WWW-Authenticate") != c.challenge {
				t.Errorf("%d %q, want %d %q", w.Code, w.Header().Get("WWW-Authenticate"), c.status, c.challenge)
			}
		})
	}
	w := get(v.RequireAuth(gold)(hello), token(nil))
	var p wire.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Code != wire.CodeInsufficientAuthentication || p.Status != http.StatusUnauthorized || p.Title != "Sign in again" {
		t.Errorf("the problem is %s (%v)", w.Body, err)
	}
}

func TestRequireAuthRefusesWordsThatBreakTheHeader(t *testing.T) {
	v := newVerifier(t, verify.Config{})
	defer func() {
		if recover() == nil {
			t.Error("a class with a quote is taken")
		}
	}()
	v.RequireAuth(verify.StepUp{ACR: []string{`a", error="invalid_token`}})
}
