package idp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

// keySet is a provider's published keys (oidc.KeySet). A key that is not among
// them is looked for at the provider, but not more often than once per keyPause,
// whoever asks: logout tokens come from anybody.
type keySet struct {
	url    string
	http   *http.Client
	clock  func() time.Time
	flight singleflight.Group

	mu   sync.Mutex
	keys jose.JSONWebKeySet
	at   time.Time // of the last try to read them
}

// keyPause is how long a provider is left alone that has just been asked.
const keyPause = 5 * time.Second

// prepare reads the keys anew if the one that raw was signed with is not among
// them. The error is an outage.
func (k *keySet) prepare(ctx context.Context, raw string, algorithms []string) error {
	algs := make([]jose.SignatureAlgorithm, len(algorithms))
	for i, a := range algorithms {
		algs[i] = jose.SignatureAlgorithm(a)
	}
	jws, err := jose.ParseSignedCompact(raw, algs)
	if err != nil || len(jws.Signatures) != 1 {
		return nil // which the verifier will say
	}
	if k.verify(jws) != nil {
		return nil
	}
	_, err, _ = k.flight.Do("", func() (any, error) { return nil, k.read(context.WithoutCancel(ctx)) })
	return err
}

func (k *keySet) read(ctx context.Context) error {
	now := k.clock()
	k.mu.Lock()
	recent, some := now.Sub(k.at).Abs() < keyPause, len(k.keys.Keys) > 0
	if !recent {
		k.at = now
	}
	k.mu.Unlock()
	switch {
	case recent && some:
		return nil
	case recent:
		return errors.New("its keys could not be read a moment ago")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return err
	}
	resp, err := k.http.Do(req)
	if err != nil {
		return fmt.Errorf("read its keys: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	var keys jose.JSONWebKeySet
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	if err == nil {
		keys, err = publicKeys(body)
	}
	if err != nil {
		return fmt.Errorf("read its keys: %w", err)
	}
	k.mu.Lock()
	k.keys = keys
	k.mu.Unlock()
	return nil
}

// publicKeys reads a key set (RFC 7517 §5), without keys that are not for
// signatures, not public, or of a kind that is not known.
func publicKeys(body []byte) (set jose.JSONWebKeySet, err error) {
	var raw struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(body, &raw); err != nil {
		return set, err
	}
	for _, r := range raw.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(r) == nil && key.Valid() && key.IsPublic() && (key.Use == "" || key.Use == "sig") {
			set.Keys = append(set.Keys, key)
		}
	}
	return set, nil
}

// verify returns the payload, or nil if no key that is here has signed it.
func (k *keySet) verify(jws *jose.JSONWebSignature) []byte {
	k.mu.Lock()
	keys := k.keys.Keys
	k.mu.Unlock()
	kid := jws.Signatures[0].Header.KeyID
	for _, key := range keys {
		if kid != "" && key.KeyID != kid {
			continue
		}
		if payload, err := jws.Verify(&key); err == nil {
			return payload
		}
	}
	return nil
}

// VerifySignature is oidc.KeySet, with the keys at hand. The caller has checked
// the algorithm.
func (k *keySet) VerifySignature(_ context.Context, raw string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(raw, everyAlgorithm)
	if err != nil {
		return nil, err
	}
	if payload := k.verify(jws); payload != nil {
		return payload, nil
	}
	return nil, errors.New("no published key of the provider fits the signature")
}

// everyAlgorithm is what can be verified with a published key: never "none", and
// nothing with a shared secret, for which a public key could be passed off.
var everyAlgorithm = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA}
