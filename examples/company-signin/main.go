// Command company-signin is a site whose people sign in at the company's identity
// provider, any that speaks OpenID Connect. From then on their sessions are
// Tacet's: renewed silently, and over at once when somebody ends them.
//
//	OIDC_ISSUER=https://id.example.com OIDC_CLIENT_ID=site OIDC_CLIENT_SECRET=… go run ./company-signin
//
// Register http://127.0.0.1:8080/auth/oidc/company/callback there.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/tacet-dev/tacet"
	"github.com/tacet-dev/tacet/examples/internal/handlers"
	"github.com/tacet-dev/tacet/examples/internal/resource"
)

func main() {
	const addr = "127.0.0.1:8080"
	auth, err := tacet.New(context.Background(), tacet.Config{
		PublicURL: "http://" + addr,
		DataDir:   filepath.Join(os.TempDir(), "tacet-example-company-signin"),
		Providers: []tacet.Provider{{
			ID: "company", Name: "Company",
			Issuer:   os.Getenv("OIDC_ISSUER"),
			ClientID: os.Getenv("OIDC_CLIENT_ID"), ClientSecret: os.Getenv("OIDC_CLIENT_SECRET"),
			// Who is in the group "staff" there is a "viewer" here. Make the role with
			// tacet role add viewer --permission orders:read --data DIR
			RolesClaim: "groups", Roles: []string{"staff=viewer"},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", addr)
	log.Fatal(resource.Serve(ln, routes(auth)))
}

func routes(auth *tacet.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/auth/", auth)
	mux.Handle("/.well-known/", auth)
	mux.Handle("/api/me", auth.Protect(http.HandlerFunc((&handlers.API{}).Me)))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, page)
	})
	return mux
}

// page signs in and shows who has. The first renewal gives the access token;
// with the SDK (package @tacet/browser) all of this is one call.
const page = `<!doctype html><title>Company</title>
<p id="who"><a href="/auth/oidc/company/start?return_to=/">Sign in with Company</a></p>
<script type="module">
const csrf = document.cookie.match(/(?:^|; )(?:__Host-)?tacet_csrf=([^;]*)/)?.[1]
if (csrf) {
  const renewed = await fetch('/auth/refresh', {method: 'POST', headers: {'X-CSRF-Token': decodeURIComponent(csrf)}})
  if (renewed.ok) {
    const {access_token} = await renewed.json()
    const me = await fetch('/auth/me', {headers: {Authorization: 'Bearer ' + access_token}})
    who.textContent = 'Hello, ' + (await me.json()).user.display_name
  }
}
</script>`
