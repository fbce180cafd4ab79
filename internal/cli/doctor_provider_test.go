package cli

import (
	"context"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/internal/idp"
	"github.com/tacet-dev/tacet/internal/idp/idptest"
	"github.com/tacet-dev/tacet/internal/store/sqlite/sqlitetest"
)

func TestDoctorAsksTheProvider(t *testing.T) {
	p := idptest.New(t, nil)
	look := func(change func(*idptest.Settings)) finding {
		t.Helper()
		p.Change(change)
		cfg := app.Config{PublicURL: "http://127.0.0.1:8080", DataDir: sqlitetest.Dir(t),
			Providers: []idp.Settings{{ID: "sso", Name: "Company", Issuer: p.URL, ClientID: idptest.ClientID}}}
		if err := cfg.Normalize(); err != nil {
			t.Fatal(err)
		}
		return checkProviders(&env{ctx: context.Background()}, cfg)[0]
	}
	if f := look(func(*idptest.Settings) {}); f.Status != statusOK || !strings.Contains(f.Advice, "http://127.0.0.1:8080/auth/oidc/sso/callback") {
		t.Errorf("%+v", f)
	}
	if f := look(func(s *idptest.Settings) { s.Status = map[string]int{idptest.PathKeys: 500} }); f.Status != statusFail || !strings.Contains(f.Detail, "Company") {
		t.Errorf("%+v", f)
	}
	if f := look(func(s *idptest.Settings) { s.Down = true }); f.Status != statusFail {
		t.Errorf("%+v", f)
	}
}
