package gateway_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/tacet-dev/tacet/internal/gateway"
)

// forgedNames are headers that servers and frameworks are known to believe. The
// gateway and the configurations of the documentation must drop all of them.
var forgedNames = []string{
	"X-Tacet-User", "X-Tacet-Roles", "X-Tacet-Anything",

	// Addresses.
	"X-Forwarded-For", "X-Forwarded", "Forwarded", "Forwarded-For", "X-Real-IP", "X-Client-IP", "Client-IP", "True-Client-IP", "CF-Connecting-IP", "CF-Connecting-IPv6",
	"Fastly-Client-IP", "X-Cluster-Client-IP", "Fly-Client-IP", "X-Azure-ClientIP", "X-Originating-IP", "X-Remote-IP", "X-Remote-Addr", "Ali-CDN-Real-IP", "CDN-Src-IP",
	"Proxy-Client-IP", "WL-Proxy-Client-IP", "DO-Connecting-IP", "X-Envoy-External-Address", "X-ProxyUser-IP", "X-Vercel-Forwarded-For",

	// Host, scheme and proxy.
	"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Scheme", "X-Forwarded-SSL", "X-Forwarded-Server", "X-Host",
	"X-HTTP-Host-Override", "X-Scheme", "X-URL-Scheme", "Front-End-HTTPS", "Proxy",

	// Path and method.
	"Script-Name", "Path-Info", "Path-Translated", "Request-URI", "Request-Method", "Query-String", "Script-Filename", "Document-Root", "Document-URI", "Server-Name", "Server-Port",
	"Redirect-URL", "X-Script-Name", "X-Original-URL", "X-Original-URI", "X-Original-Method", "X-Original-Host", "X-Rewrite-URL", "X-Forwarded-URI", "X-Forwarded-Path",
	"X-Envoy-Original-Path", "X-WAWS-Unencoded-URL", "X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override", "X-Middleware-Subrequest", "X-Accel-Mapping", "X-Sendfile-Type",

	// Who is calling.
	"Remote-User", "Remote-Addr", "Remote-Host", "Remote-Name", "Remote-Email", "Remote-Groups", "Auth-Type", "Auth-User", "X-Remote-User", "X-Remote-Group", "X-Forwarded-User",
	"X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "X-Authenticated-User", "X-Auth-Request-User", "X-WebAuth-User",
	"X-MS-Client-Principal", "X-MS-Client-Principal-Name", "X-MS-Token-AAD-ID-Token", "MS-ASPNETCORE-WinAuthToken", "X-Goog-Authenticated-User-Email", "X-Goog-IAP-JWT-Assertion",
	"X-Amzn-OIDC-Data", "X-Amzn-OIDC-Identity", "CF-Access-JWT-Assertion", "CF-Access-Authenticated-User-Email", "OIDC-Claim-Sub", "Tailscale-User-Login",

	// Client certificates.
	"SSL-Client-Cert", "SSL-Client-Verify", "SSL-Client-S-DN", "Ssl-Client-Subject-Dn", "X-SSL-Client-Cert", "X-SSL-Client-Verify", "X-SSL-Client-S-DN", "X-Client-Cert", "X-Client-Verify",
	"X-Client-DN", "Client-Cert", "Client-Cert-Chain", "X-Forwarded-Client-Cert", "X-Forwarded-TLS-Client-Cert", "X-ARR-ClientCert", "X-TLS-Client-Cert", "X-Amzn-Mtls-Clientcert",
}

// innocent are headers that APIs need.
var innocent = []string{
	"Accept", "Accept-Language", "Authorization", "Cache-Control", "Content-Type", "Cookie", "If-None-Match", "Origin", "Referer", "Sec-Fetch-Site", "User-Agent", "Range", "DPoP",
	"Upgrade-Insecure-Requests", "HTTP2-Settings", "X-Requested-With", "X-Request-ID", "X-Api-Key", "X-Auth-Token", "X-Csrf-Token", "X-Xsrf-Token", "X-Tacetless", "X-Forwarder", "X-Tenant", "X-User-Agent",
	"Idempotency-Key", "Traceparent", "Tenant-Id", "X-Hub-Signature-256", "Request-Id", "Prefer", "Depth", "Destination", "Last-Event-ID", "X-Remoteness", "Via",
}

func TestStripDropsWhatCallersMustNotSet(t *testing.T) {
	for _, name := range forgedNames {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"), strings.Replace(name, "-", "_", 1), strings.ReplaceAll(name, "-", ".")} {
			h := http.Header{spelling: {"forged"}, "Accept": {"x"}}
			if gateway.Strip(h); len(h) != 1 {
				t.Errorf("%s stays", spelling)
			}
		}
	}
	for _, name := range []string{"A_B", "_", "Content_Length", "Transfer_Encoding", "X_Custom", "HTTP_AUTHORIZATION", "X.Custom", "X$"} {
		h := http.Header{name: {"x"}}
		if gateway.Strip(h); len(h) != 0 {
			t.Errorf("%s stays: a server may take it for another", name)
		}
	}
	for _, name := range innocent {
		h := http.Header{name: {"a=1"}}
		if gateway.Strip(h); len(h) != 1 {
			t.Errorf("%s is dropped", name)
		}
	}
}

// What other proxies must drop is what the gateway drops.
func TestTheDocumentationListsWhatCallersMustNotSet(t *testing.T) {
	doc, err := os.ReadFile("../../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(doc), "```text\n")
	list, _, _ = strings.Cut(list, "```")
	if got, want := strings.Fields(list), gateway.CallersMustNotSet; strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("docs/gateway.md lists\n%q\nbut the gateway drops\n%q", got, want)
	}
}
