package wire_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/wire"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

const (
	someTime  = "2026-11-21T12:00:00Z"
	sessionID = "0197a9c4-6f1e-7b52-9d0a-3c5e8f214b67"
	userID    = "usr_4wq2pd6zk7ej3a5mnc8xh1tybq"
)

var (
	yes, name  = true, "Alice"
	user       = wire.User{ID: userID, Username: "alice", DisplayName: "Alice", Email: "alice@example.com"}
	inSession  = wire.TokenSession{ID: sessionID, ExpiresAt: someTime}
	aSession   = wire.Session{ID: sessionID, CreatedAt: someTime, LastSeen: someTime, ExpiresAt: someTime, Address: "203.0.113.7", UserAgent: "Mozilla/5.0", Current: true}
	oneContact = wire.Contact{Address: "203.0.113.7", UserAgent: "Mozilla/5.0"}
	anAdmin    = wire.AdminUser{User: user, Disabled: true, Roles: []string{"viewer"}, GrantsVersion: 3, CreatedAt: someTime}
	aRole      = wire.Role{Name: "viewer", Permissions: []string{"orders:read"}}
	aKey       = wire.Key{ID: "3", KeyID: "kPrK_qmx", Use: "sign", Algorithm: "EdDSA", State: "retired", CreatedAt: someTime, ActiveAt: someTime, RetiredAt: someTime}
)

// bodies is one of every type of package wire with all of its members set.
var confirmation = wire.Confirmation{KeyThumbprint: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}

var bodies = []any{
	wire.LoginRequest{Username: "alice", Password: "alice-password", Ticket: "tacet_st_…", Delivery: wire.DeliveryBody},
	wire.RefreshRequest{RefreshToken: "tacet_rt_…", Session: "0197a9c4-6f1e-7b52-9d0a-3c5e8f214b67"},
	wire.LogoutRequest{RefreshToken: "tacet_rt_…", Everywhere: true, Session: "0197a9c4-6f1e-7b52-9d0a-3c5e8f214b67"},
	wire.TokenResponse{AccessToken: "eyJ…", TokenType: "Bearer", ExpiresIn: 881, RefreshToken: "tacet_rt_…", Session: inSession, User: &user},
	inSession, user,
	wire.Me{User: user, Roles: []string{"viewer"}, Permissions: []string{"orders:read"}, GrantsVersion: 3, Session: inSession, Settings: map[string]any{"theme": "dark"}},
	aSession,
	wire.Sessions{Sessions: []wire.Session{aSession}},
	wire.Problem{Type: "about:blank", Title: "Sign-in failed", Status: 400, Code: wire.CodeInvalidCredentials, Detail: "The username or the password is wrong."},
	wire.AccessClaims{Issuer: "https://app.example.com", Subject: userID, Audience: "https://app.example.com", ExpiresAt: 1795262400, IssuedAt: 1795261500, ID: "8UFyZ8Vv2nD0rQ", ClientID: "tacet-web",
		SessionID: sessionID, Roles: []string{"viewer"}, Scope: "orders:read", GrantsVersion: 3, Chain: "chain", KeepsGrants: true, EncryptionKey: "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U", Confirmation: &confirmation,
		ACR: "urn:example:gold", AMR: []string{"pwd", "otp"}, AuthTime: 1795261400},
	confirmation,
	wire.EncryptionResponse{AccessToken: "eyJ…", TokenType: "Bearer", ExpiresIn: 881},
	wire.SessionEnded{SessionID: sessionID, Reason: wire.ReasonSignedOut},
	wire.GrantsChange{GrantsVersion: 3},
	wire.ReuseDetected{SessionID: sessionID, Head: oneContact, Presented: oneContact, HeadAt: someTime, At: someTime},
	oneContact,
	wire.Provider{ID: "company", Name: "Company", Start: "/auth/oidc/company/start"},
	wire.Providers{Providers: []wire.Provider{{ID: "company", Name: "Company", Start: "/auth/oidc/company/start"}}},
	wire.FeedHello{Now: someTime, Seq: 4711, AccessTTL: 900, Tick: 5, Reset: true},
	wire.FeedTick{Now: someTime, Seq: 4711, Mark: "9f2c"},
	wire.FeedSessionEnded{SessionID: sessionID, UserID: userID, Reason: wire.ReasonSignedOut, At: someTime},
	wire.FeedGrantsChanged{UserID: userID, GrantsVersion: 3, At: someTime},

	wire.OAuthError{Error: "invalid_grant", Description: "the refresh token is not one of this server's"},
	wire.DeviceAuthorization{DeviceCode: "tacet_dc_…", UserCode: "WDJB-MJHT", VerificationURI: "https://app.example.com/oauth/device",
		VerificationURIComplete: "https://app.example.com/oauth/device?user_code=WDJB-MJHT", ExpiresIn: 600, Interval: 5},
	filled(wire.OAuthMetadata{}),

	anAdmin,
	wire.AdminUsers{Users: []wire.AdminUser{anAdmin}, Next: "alice"},
	wire.NewUser{Username: "alice", Password: "alice-password", DisplayName: "Alice", Email: "alice@example.com", Roles: []string{"viewer"}},
	wire.UserChange{DisplayName: &name, Email: &name, Disabled: &yes},
	wire.PasswordChange{Password: "alice-password"},
	aRole,
	wire.Roles{Roles: []wire.Role{aRole}},
	wire.RolePermissions{Permissions: []string{"orders:read"}},
	wire.RoleChange{Add: []string{"orders:write"}, Remove: []string{"orders:read"}},
	wire.AdminSession{Session: aSession, UserID: userID},
	wire.AdminSessions{Sessions: []wire.AdminSession{{Session: aSession, UserID: userID}}, Next: sessionID},
	wire.NewSession{UserID: userID, Username: "alice", ClientID: "my-app", AMR: []string{"otp"}, ACR: "urn:example:gold", AuthTime: 1795261400, Delivery: wire.DeliveryBody},
	wire.Ticket{Ticket: "tacet_st_…", ExpiresIn: 60},
	aKey,
	wire.Keys{Keys: []wire.Key{aKey}},
	wire.KeyRotation{Now: true},
}

// filled sets every member of a flat type to something.
func filled[T any](v T) T {
	for i, m := 0, reflect.ValueOf(&v).Elem(); i < m.NumField(); i++ {
		switch f := m.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("text")
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{"text"}))
		}
	}
	return v
}

// TestGoldenFiles pins the JSON of every type: with all members ("full") and of
// the zero value ("least"), which shows the members that are never left out.
func TestGoldenFiles(t *testing.T) {
	for _, v := range bodies {
		typ := reflect.TypeOf(v)
		t.Run(typ.Name(), func(t *testing.T) {
			for i := range typ.NumField() {
				if reflect.ValueOf(v).Field(i).IsZero() {
					t.Errorf("the member %s is not set, so that nothing pins it", typ.Field(i).Name)
				}
			}
			got, err := json.MarshalIndent(map[string]any{"full": v, "least": reflect.Zero(typ).Interface()}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			file := filepath.Join("testdata", typ.Name()+".json")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatalf("%v: make it with go test ./wire -update", err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the JSON has changed, which breaks clients (if it is meant: go test ./wire -update, and a line in CHANGELOG.md)\ngot  %s\nwant %s", got, want)
			}

			// What was written can be read again, all of it.
			var golden struct{ Full json.RawMessage }
			back := reflect.New(typ)
			if err := json.Unmarshal(want, &golden); err != nil {
				t.Fatal(err)
			}
			decoder := json.NewDecoder(bytes.NewReader(golden.Full))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(back.Interface()); err != nil || !reflect.DeepEqual(back.Elem().Interface(), v) {
				t.Errorf("read back as %+v, %v", back.Elem(), err)
			}
		})
	}
}

// TestEveryTypeHasAGoldenFile reads the package's source, so that a new type
// can't be forgotten.
func TestEveryTypeHasAGoldenFile(t *testing.T) {
	var pinned []string
	for _, v := range bodies {
		pinned = append(pinned, reflect.TypeOf(v).Name())
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var structs []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.IsExported() {
				if _, ok := spec.Type.(*ast.StructType); ok {
					structs = append(structs, spec.Name.Name)
				}
			}
			return true
		})
	}
	for _, s := range structs {
		if !slices.Contains(pinned, s) {
			t.Errorf("type %s is not pinned: add one to bodies", s)
		}
	}
	golden, err := filepath.Glob("testdata/*.json")
	if err != nil || len(golden) != len(structs) {
		t.Errorf("%d golden files for %d types, %v: delete what is gone", len(golden), len(structs), err)
	}
}
