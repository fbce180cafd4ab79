package idp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// Settings describe a provider.
type Settings struct {
	// ID names the provider in addresses and in user names: up to 32 lower-case
	// letters, digits and dashes.
	ID string
	// Name is what people read: "Sign in with Name".
	Name string
	// Issuer is the provider's issuer identifier, an https URL.
	Issuer string
	// ClientID and ClientSecret are what the provider knows this server by. A
	// public client has no secret. The file is read by whoever checks them.
	ClientID, ClientSecret, ClientSecretFile string
	// Scopes beside "openid"; none: profile and email.
	Scopes []string
	// RolesClaim is the claim that Roles are about, in the ID token or at the
	// UserInfo endpoint: a text or a list of texts. "a.b" also is the member b of
	// the claim a.
	RolesClaim string
	// Roles are lines VALUE=ROLE: who has this value in RolesClaim gets the role.
	Roles []string
	// RequireRole refuses people whom Roles give no role.
	RequireRole bool
	// InsecureHTTP allows an issuer by plain http that is not on this machine.
	InsecureHTTP bool
}

var idForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)

// Check fills in defaults and reports every setting that can't be right. The
// names are those of the command line.
func (s *Settings) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !idForm.MatchString(s.ID) {
		bad("oidc-id %q: use up to 32 lower-case letters, digits and dashes; it is part of addresses and user names", s.ID)
	}
	u, err := url.Parse(s.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		bad("oidc-issuer %q is not a URL of the form https://id.example.com, exactly as the provider writes its issuer", s.Issuer)
	case u.Scheme == "http" && !local(u.Hostname()) && !s.InsecureHTTP:
		bad("oidc-issuer %q is plain http on a host that is not loopback: anybody on the way could sign in as anybody. Use https, or say insecure-http", s.Issuer)
	}
	if s.ClientID == "" {
		bad("oidc-client-id is not set: register this server at the provider and give the client id that it gets there")
	}
	if err == nil && s.Name == "" {
		s.Name = u.Host
	}
	if len(s.Scopes) == 0 {
		s.Scopes = []string{"profile", "email"}
	}
	if len(s.Roles) > 0 && s.RolesClaim == "" {
		bad("oidc-role is set without oidc-roles-claim: say in which claim the provider puts the values")
	}
	if s.RequireRole && len(s.Roles) == 0 {
		bad("oidc-require-role without oidc-role would keep everybody out")
	}
	for _, line := range s.Roles {
		if _, _, ok := mapping(line); !ok {
			bad("oidc-role %q must be VALUE=ROLE, like staff=viewer", line)
		}
	}
	return errors.Join(errs...)
}

func local(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}

// mapping splits VALUE=ROLE at the last sign: values may have some, roles none.
func mapping(line string) (value, role string, ok bool) {
	i := strings.LastIndexByte(line, '=')
	if i <= 0 || i == len(line)-1 {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

// rolesOf are the roles that claims give.
func (s *Settings) rolesOf(c claims) []string {
	values := c.list(s.RolesClaim)
	var roles []string
	for _, line := range s.Roles {
		if value, role, _ := mapping(line); slices.Contains(values, value) {
			roles = append(roles, role)
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

func (s *Settings) scopes() []string {
	return append([]string{oidc.ScopeOpenID}, slices.DeleteFunc(slices.Clone(s.Scopes), func(x string) bool { return x == oidc.ScopeOpenID || x == "" })...)
}

// claims are what an ID token and the UserInfo endpoint say.
type claims map[string]json.RawMessage

// text is a claim that is a non-empty string.
func (c claims) text(name string) *string {
	var s string
	if json.Unmarshal(c[name], &s) != nil || s == "" {
		return nil
	}
	return &s
}

// yes is a claim that is true, or "true" as some providers have it.
func (c claims) yes(name string) bool {
	var b bool
	if s := c.text(name); s != nil {
		return *s == "true"
	}
	return json.Unmarshal(c[name], &b) == nil && b
}

// find is the claim of this name or path.
func (c claims) find(path string) json.RawMessage {
	if raw, ok := c[path]; ok { // names may have dots in them: https://example.com/roles
		return raw
	}
	for i := 0; i < len(path); i++ {
		var inner claims
		if path[i] == '.' && json.Unmarshal(c[path[:i]], &inner) == nil {
			if raw := inner.find(path[i+1:]); raw != nil {
				return raw
			}
		}
	}
	return nil
}

// list are the texts of a claim.
func (c claims) list(path string) []string {
	raw := c.find(path)
	var one string
	if json.Unmarshal(raw, &one) == nil && one != "" {
		return []string{one}
	}
	var many []json.RawMessage
	_ = json.Unmarshal(raw, &many) // anything else is no list
	var out []string
	for _, m := range many {
		if json.Unmarshal(m, &one) == nil {
			out = append(out, one)
		}
	}
	return out
}
