package verify

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tacet-dev/tacet/dpop"
)

// PathResourceMetadata is where clients look for [Verifier.ResourceMetadata] of a
// resource without a path (RFC 9728 §3.1).
const PathResourceMetadata = "/.well-known/oauth-protected-resource"

// Resource says of a resource server what clients need to know before they have a
// token (RFC 9728 §2).
type Resource struct {
	// Name is for people. Empty: none.
	Name string
	// Scopes are those that clients may ask for. Empty: that is not said.
	Scopes []string
}

// resourceMetadata is the metadata of RFC 9728 §2.
type resourceMetadata struct {
	Resource    string   `json:"resource"`
	Issuers     []string `json:"authorization_servers"`
	BearerBy    []string `json:"bearer_methods_supported"`
	Name        string   `json:"resource_name,omitempty"`
	Scopes      []string `json:"scopes_supported,omitempty"`
	DPoPSigning []string `json:"dpop_signing_alg_values_supported"`
}

// ResourceMetadata serves the metadata of this resource server: which issuer its
// tokens come from, and the resource to ask for, which is the audience. Put it at
// [PathResourceMetadata], or below that at the path of the resource, and say its URL
// in [Config.ResourceMetadata]. Pages of every origin may read it.
func (v *Verifier) ResourceMetadata(about Resource) http.Handler {
	body, err := json.Marshal(resourceMetadata{Resource: v.audience, Issuers: []string{v.issuer}, BearerBy: []string{"header"},
		Name: about.Name, Scopes: about.Scopes, DPoPSigning: dpop.Algorithms})
	if err != nil { // texts
		panic(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", strings.Join([]string{http.MethodGet, http.MethodHead}, ", "))
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=300")
		_, _ = w.Write(body)
	})
}
