package tacet

import (
	"context"
	"errors"

	"github.com/tacet-dev/tacet/internal/directory"
	"github.com/tacet-dev/tacet/internal/idp"
)

// Provider is an identity provider by which users may sign in. Register the
// addresses PublicURL + BasePath + "/oidc/" + ID + "/callback" and, for sign-outs
// there, the same with "/backchannel-logout".
type Provider struct {
	ID     string // in addresses and user names: lower-case letters, digits, dashes
	Name   string // for people: "Sign in with Name" [host of Issuer]
	Issuer string // exactly as the provider writes it, https

	// ClientID and ClientSecret are what the provider knows this server by. The
	// secret may be in a file; without one it is a public client.
	ClientID, ClientSecret, ClientSecretFile string

	Scopes     []string // beside openid [profile, email]
	RolesClaim string   // claim that Roles are about, like "groups" or "realm_access.roles"
	Roles      []string // VALUE=ROLE: whoever has the value gets the role
	// RequireRole lets nobody in to whom Roles give no role.
	RequireRole bool
	// InsecureHTTP allows an Issuer by plain http that is not on this machine.
	InsecureHTTP bool
}

// Person is who a provider says that somebody is. Issuer and Subject name a
// person, and nothing else does: never take two for one because of a name or an
// address.
type Person struct {
	Issuer, Subject string
	Provider        string // Provider.ID
	Username        string // as the provider suggests; may be empty, or be that of somebody else
	DisplayName     string
	Email           string   // empty unless the provider says that it is verified
	Roles           []string // that Provider.Roles give
}

// ProviderUsers is implemented by a [Users] that takes in who comes by way of a
// [Provider].
type ProviderUsers interface {
	Users
	// Receive returns the user who is this person, a new one for somebody who
	// was never here, or ErrNoUser for one who may not sign in.
	Receive(ctx context.Context, p Person) (User, error)
}

// ownProvided adapts a ProviderUsers to what sign-ins want.
type ownProvided struct{ users ProviderUsers }

func (o ownProvided) Receive(ctx context.Context, p directory.Person) (directory.User, error) {
	who := Person{Issuer: p.Issuer, Subject: p.Subject, Provider: p.Provider, Username: p.Username, Roles: p.Roles}
	if p.DisplayName != nil {
		who.DisplayName = *p.DisplayName
	}
	if p.Email != nil {
		who.Email = *p.Email
	}
	u, err := o.users.Receive(ctx, who)
	switch {
	case errors.Is(err, ErrNoUser):
		return directory.User{}, idp.ErrDisabled
	case err != nil:
		return directory.User{}, idp.Outage(err)
	}
	return directory.User{ID: u.ID, Roles: u.Roles}, nil
}
