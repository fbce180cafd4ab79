package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestValidateFindsWhatServeRefuses: each of these keeps a server from starting,
// and config validate says so before.
func TestValidateFindsWhatServeRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	clashing := file("clash.yaml", "name: clash\nlogin:\n  path: /livez\n")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"cors-origin", []string{"--cors-origin", "https://*.example.com"}},
		{"cors-origin", []string{"--cors-origin", "https://user@app.example.com"}},
		{"trusted-proxy", []string{"--trusted-proxy", "0.0.0.0/0"}},
		{"trusted-proxy", []string{"--trusted-proxy", "::/0"}},
		{"trusted-proxy", []string{"--trusted-proxy", "10.0.0.0/8,128.0.0.0/1"}},
		{"trusted-proxy", []string{"--trusted-proxy", "::ffff:0.0.0.0/96"}},
		{"trusted-proxy", []string{"--trusted-proxy", "2000::/3"}},
		{"feed-token-file", []string{"--feed-token-file", file("short", "short")}},
		{"feed-token-file", []string{"--feed-token-file", filepath.Join(dir, "missing")}},
		{"master key", []string{"--master-key-file", file("nokey", "no key")}},
		{"missing", []string{"--master-key-file", filepath.Join(dir, "missing")}},
		{"database-url-file", []string{"--database-url-file", file("empty", "")}},
		{"oidc-client-secret-file", []string{"--oidc-issuer", "https://idp.example.com", "--oidc-client-id", "x", "--oidc-client-secret-file", filepath.Join(dir, "missing")}},
		{"clash.yaml", []string{"--profile", clashing}},
		{"public-url", []string{"--public-url", "http://app.example.com"}},
		{"admin-listen", []string{"--admin-listen", "nowhere"}},
		{"listen", []string{"--listen", "127.0.0.1"}},
		{"listen", []string{"--listen", "127.0.0.1:99999"}},
		{"upstream-timeout", []string{"--upstream-timeout", "0s", "--upstream", "/a=http://127.0.0.1:1", "--upstream-timeout", "-1s"}},
	} {
		for _, command := range []string{"config validate", "serve"} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			args := append(strings.Fields(command), "--data", filepath.Join(t.TempDir(), "data"))
			if c.args[0] != "--listen" {
				args = append(args, "--listen", "127.0.0.1:0")
			}
			if c.args[0] != "--public-url" {
				args = append(args, "--public-url", "https://app.example.com")
			}
			var out bytes.Buffer
			code := Main(ctx, append(args, c.args...), nil, &out, &out)
			if ctx.Err() != nil || code == exitOK || !strings.Contains(out.String(), c.want) {
				t.Errorf("%s %q: exit code %d, %s", command, c.args, code, out.String())
			}
			cancel()
		}
	}
}

func TestOrdinaryProxiesAreTrusted(t *testing.T) {
	var out bytes.Buffer
	args := []string{"config", "validate", "--public-url", "https://app.example.com", "--trusted-proxy", "10.0.0.0/8,192.0.2.7,fc00::/7,fe80::/10,2606:4700::/32,::1"}
	if code := Main(t.Context(), args, nil, &out, &out); code != exitOK {
		t.Errorf("exit code %d, %s", code, out.String())
	}
}
