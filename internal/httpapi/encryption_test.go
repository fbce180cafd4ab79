package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/tacet-dev/tacet/client"
	"github.com/tacet-dev/tacet/internal/app"
	"github.com/tacet-dev/tacet/wire"
)

// What encryption is good for is tested in verify and in the gateway; here, how
// the call looks from outside.
func TestAgreeingOnEncryption(t *testing.T) {
	path := wire.DefaultBasePath + wire.PathEncryption
	off := newHarness(t)
	token := off.login(off.client, "alice").AccessToken
	off.call(off.client, "POST", path, "", "Authorization", "Bearer "+token).problem(404, wire.CodeNotFound)

	h := newHarness(t, func(c *app.Config) { c.Encryption.Encryption = true })
	token = h.login(h.client, "alice").AccessToken
	h.call(h.client, "POST", path, "").problem(401, wire.CodeInvalidToken)
	h.call(h.client, "POST", path, "", "Authorization", "Bearer "+token).problem(415, wire.CodeEncryptionRequired)

	encrypted, err := client.NewEncrypted(client.EncryptedConfig{Auth: h.URL + wire.DefaultBasePath, Clock: h.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", h.URL+wire.DefaultBasePath+wire.PathMe, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := encrypted.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("GET %s, encrypted: %d", wire.PathMe, resp.StatusCode)
	}
}
