package wire

// Provider is an identity provider by which users may sign in. Send the browser
// to Start, a path, with ?return_to= and where it is to come back to.
type Provider struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Start string `json:"start"`
}

// Providers is the response to GET /auth/oidc.
type Providers struct {
	Providers []Provider `json:"providers"`
}
