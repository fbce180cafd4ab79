package directory

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Grants is a user and what they may do: all that an access token says of them.
// It is shared between callers, who must not
// change its slices.
type Grants struct {
	User        User
	Roles       []string // sorted
	Permissions []string // of all roles, sorted, each once
	Scope       string   // Permissions as a token carries them (RFC 6749 §3.3)
	Version     int64
}

// maxCached bounds how many users' grants are kept in memory.
const maxCached = 50_000

// grantsCache is thrown away as a whole when anything changes. A reader that
// was still loading then stores what it got in the cache that is gone.
type grantsCache struct {
	users sync.Map // user id → Grants
	size  atomic.Int64
}

// Grants returns what a user may do, from memory where it can. It returns
// [ErrNotFound] or [ErrDisabled] for a user who may not hold sessions.
func (d *Directory) Grants(ctx context.Context, userID string) (Grants, error) {
	cache := d.grants.Load()
	if g, ok := cache.users.Load(userID); ok {
		return *g.(*Grants), nil
	}
	// The user first: if a role changes between the two reads, the new
	// permissions go with the old version and are fetched again soon. The other
	// way round, old permissions would pass as new ones.
	u, err := d.store.UserByID(ctx, userID)
	switch {
	case err != nil:
		return Grants{}, err
	case u.Disabled:
		return Grants{}, ErrDisabled
	}
	roles, err := d.store.Roles(ctx)
	if err != nil {
		return Grants{}, err
	}
	g := grantsOf(u, roles)
	if _, had := cache.users.Swap(userID, &g); !had && cache.size.Add(1) >= maxCached {
		d.grants.CompareAndSwap(cache, &grantsCache{})
	}
	return g, nil
}

// Invalidate forgets what was read. The directory does so after its own writes;
// call it when another process wrote to the store.
func (d *Directory) Invalidate() { d.grants.Store(&grantsCache{}) }

func grantsOf(u User, roles []Role) Grants {
	g := Grants{User: shown(u), Roles: []string{}, Permissions: []string{}, Version: u.GrantsVersion}
	for _, r := range roles {
		// A role that was deleted in the moment in which it was given is none.
		if slices.Contains(u.Roles, r.Name) {
			g.Roles = append(g.Roles, r.Name)
			g.Permissions = append(g.Permissions, r.Permissions...)
		}
	}
	g.Roles, g.Permissions = sorted(g.Roles), sorted(g.Permissions)
	g.Scope = strings.Join(g.Permissions, " ")
	return g
}

// PermissionsOf returns what the user may do if these are the roles: sorted,
// each once.
func PermissionsOf(u User, roles []Role) []string { return grantsOf(u, roles).Permissions }
