package idp

// Flags are the settings of one provider on the command line. Go programs give
// any number of [Settings].
type Flags struct {
	Issuer      string   `name:"oidc-issuer" help:"Let users sign in at this OpenID provider too; its issuer, exactly as it writes it." placeholder:"URL"`
	ID          string   `name:"oidc-id" help:"What the provider is called in addresses and user names (${default}). Register PUBLIC-URL/auth/oidc/ID/callback there." placeholder:"ID" default:"sso"`
	Name        string   `name:"oidc-name" help:"What it is called on the sign-in page (default: the host of the issuer)." placeholder:"NAME"`
	ClientID    string   `name:"oidc-client-id" help:"client_id of this server at the provider." placeholder:"ID"`
	SecretFile  string   `name:"oidc-client-secret-file" help:"File with the secret of that client; the secret itself may be given in TACET_OIDC_CLIENT_SECRET. Without either it is a public client." placeholder:"FILE" type:"path"`
	Scopes      []string `name:"oidc-scopes" help:"Scopes that the provider is asked for beside openid (${default})." placeholder:"SCOPE" default:"profile,email"`
	RolesClaim  string   `name:"oidc-roles-claim" help:"Claim that oidc-role is about, like groups or realm_access.roles." placeholder:"CLAIM"`
	Roles       []string `name:"oidc-role" help:"Whoever has this value in the claim gets this role; like staff=viewer." placeholder:"VALUE=ROLE"`
	RequireRole bool     `name:"oidc-require-role" help:"Let nobody in to whom oidc-role gives no role."`
}

// Providers is the provider that the flags describe, if one is set. secret takes
// precedence over the file.
func (f *Flags) Providers(secret string) []Settings {
	if f.Issuer == "" && f.ClientID == "" && f.SecretFile == "" && len(f.Roles) == 0 {
		return nil // what is set without the issuer is a mistake, which Check names
	}
	return []Settings{{ID: f.ID, Name: f.Name, Issuer: f.Issuer, ClientID: f.ClientID,
		ClientSecret: secret, ClientSecretFile: f.SecretFile, Scopes: f.Scopes,
		RolesClaim: f.RolesClaim, Roles: f.Roles, RequireRole: f.RequireRole}}
}
