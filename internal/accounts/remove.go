package accounts

import (
	"context"

	"github.com/tacet-dev/tacet/internal/directory"
)

// RemoveUser deletes a user for good. The user is disabled first, as by UpdateUser,
// so that nobody signs in meanwhile; a removal that fails half-way is finished by
// making it again.
func (a *Accounts) RemoveUser(ctx context.Context, by Actor, id string) error {
	disabled := true
	if err := a.UpdateUser(ctx, by, id, directory.Profile{Disabled: &disabled}); err != nil {
		return err
	}
	return settle(a.directory.Remove(ctx, id))
}
