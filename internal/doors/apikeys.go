package doors

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/documents"
	"github.com/tacet-dev/tacet/internal/httpapi"
	"github.com/tacet-dev/tacet/internal/problem"
	"github.com/tacet-dev/tacet/wire"
)

const (
	kindAPIKey   = "apikey" // its key is hashed
	byName       = "name"
	apiKeyPrefix = "tacet_ak_"
)

// APIKey is a program that may make calls of administration. The key itself is not
// kept.
type APIKey struct {
	Name        string
	Permissions []string
	CreatedAt   time.Time
	ExpiresAt   time.Time `json:",omitzero"` // zero: never
	UsedOn      string    `json:",omitzero"` // the last day, in UTC, like 2026-11-30
}

// Errors of API keys.
var (
	ErrKeyExists = errors.New("doors: there is an API key of this name")
	ErrNoKey     = errors.New("doors: there is no API key of this name")
)

// InvalidError says what is wrong with an API key that was to be added.
type InvalidError struct{ Problem string }

func (e *InvalidError) Error() string { return e.Problem }

var keyName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// AddKey adds an API key and returns it; it can't be read again. It is good for life
// (zero: for ever). The error may be an *InvalidError or ErrKeyExists.
func (d *Doors) AddKey(ctx context.Context, name string, permissions []string, life time.Duration) (string, error) {
	if !keyName.MatchString(name) {
		return "", &InvalidError{fmt.Sprintf("API key %q: use up to 64 letters, digits, dots, dashes and underscores, and begin with a letter or digit", name)}
	}
	if len(permissions) == 0 {
		return "", &InvalidError{"an API key without permissions is good for nothing: name at least one"}
	}
	for _, p := range permissions {
		if !wire.ValidPermission(p) {
			return "", &InvalidError{fmt.Sprintf("permission %q: it looks like admin:users:read or admin:users:*", p)}
		}
	}
	if life < 0 {
		return "", &InvalidError{"an API key can't have expired before it is made"}
	}
	k := APIKey{Name: name, Permissions: slices.Compact(slices.Sorted(slices.Values(permissions))), CreatedAt: d.Sessions.Now()}
	if life > 0 {
		k.ExpiresAt = k.CreatedAt.Add(life)
	}
	raw := apiKeyPrefix + rand.Text()
	err := d.Store.Update(ctx, documents.Loose, func(_ context.Context, tx documents.Tx) error {
		tx.Put(k.document(hashed(raw)))
		return nil
	})
	switch {
	case errors.Is(err, documents.ErrExists):
		return "", ErrKeyExists
	case err != nil:
		return "", unavailable(err)
	}
	return raw, nil
}

func (k APIKey) document(key string) documents.Document {
	return documents.Encode(kindAPIKey, key, k, documents.Value{Index: byName, Value: k.Name, Unique: true})
}

// APIKeys returns all API keys in order of name, also those that have expired.
func (d *Doors) APIKeys(ctx context.Context) ([]APIKey, error) {
	list, err := documents.All(ctx, d.Store, kindAPIKey, documents.Query{})
	if err != nil {
		return nil, unavailable(err)
	}
	keys := make([]APIKey, len(list))
	for i, doc := range list {
		if err := doc.Decode(&keys[i]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(keys, func(a, b APIKey) int { return cmp.Compare(a.Name, b.Name) })
	return keys, nil
}

// RemoveKey removes an API key, which is refused from the next call on; or ErrNoKey.
func (d *Doors) RemoveKey(ctx context.Context, name string) error {
	err := d.Store.Update(ctx, documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		doc, err := documents.Find(ctx, tx, kindAPIKey, byName, name)
		if err == nil {
			tx.Delete(doc)
		}
		return err
	})
	switch {
	case errors.Is(err, documents.ErrNotFound):
		return ErrNoKey
	case err != nil:
		return unavailable(err)
	}
	return nil
}

// program is httpapi.Wing.Program.
func (d *Doors) program(ctx context.Context, bearer string) (by httpapi.Administrator, ok bool, err error) {
	if !strings.HasPrefix(bearer, apiKeyPrefix) {
		return by, false, nil
	}
	doc, err := d.Store.Get(ctx, kindAPIKey, hashed(bearer))
	switch {
	case errors.Is(err, documents.ErrNotFound):
		return by, true, errAPIKey
	case err != nil:
		return by, true, unavailable(err)
	}
	var k APIKey
	if err := doc.Decode(&k); err != nil {
		return by, true, unavailable(err)
	}
	now := d.Sessions.Now()
	if !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) {
		return by, true, errAPIKey
	}
	if day := now.Format(time.DateOnly); k.UsedOn != day {
		d.used(ctx, doc.Key, k.Name, day)
	}
	return httpapi.Administrator{Program: k.Name, Permissions: k.Permissions}, true, nil
}

// used notes the day on which a key was used: at most one write a day. The call that
// it is used for goes on without it.
func (d *Doors) used(ctx context.Context, key, name, day string) {
	err := d.Store.Update(ctx, documents.Loose, func(ctx context.Context, tx documents.Tx) error {
		doc, err := tx.Get(ctx, kindAPIKey, key)
		var k APIKey
		if err == nil {
			err = doc.Decode(&k)
		}
		if err == nil && k.UsedOn != day {
			k.UsedOn = day
			tx.Put(doc.With(k.document(key)))
		}
		return err
	})
	if err != nil && !errors.Is(err, documents.ErrNotFound) {
		d.Logger.Warn("the day of the last use of an API key could not be stored", "name", name, "error", err)
	}
}

// errAPIKey is the one refusal of API keys: unknown, removed or expired.
var errAPIKey = &problem.Problem{Status: http.StatusUnauthorized, Code: wire.CodeInvalidToken,
	Title:  problem.Text{EN: "The API key is not valid", ZH: "API 密钥无效"},
	Detail: problem.Text{EN: "The API key is unknown, or has been removed or has expired. tacet apikey list shows those that there are.", ZH: "API 密钥不存在、已被删除或已过期。可用 tacet apikey list 查看现有密钥。"},
	Header: problem.Challenge("")}
