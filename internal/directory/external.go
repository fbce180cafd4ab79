package directory

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Person is who an identity provider says that somebody is.
type Person struct {
	Issuer, Subject string   // name the person; nothing else does
	Provider        string   // id of the provider, which the user name of a new user ends in
	Username        string   // what a new user's name begins with; may be empty
	DisplayName     *string  // nil: unknown
	Email           *string  // nil: unknown
	Roles           []string // that the provider gives; those that do not exist are left out
}

// Receive returns the user who is this person, with the profile and the roles
// that the provider gives now; a new user for somebody who was never here. It
// never returns a user who was known by anything but Issuer and Subject: same
// names and addresses are no reason to take two for one. The error may be
// [ErrDisabled]; then nothing has changed.
func (d *Directory) Receive(ctx context.Context, p Person) (User, error) {
	known, err := d.store.Roles(ctx)
	if err != nil {
		return User{}, err
	}
	p.Roles = slices.DeleteFunc(sorted(p.Roles), func(name string) bool {
		return !slices.ContainsFunc(known, func(r Role) bool { return r.Name == name })
	})
	for _, name := range d.namesFor(p) {
		u, err := d.store.UserByExternal(ctx, p.Issuer, p.Subject)
		switch {
		case err == nil:
			return d.again(ctx, u, p)
		case !errors.Is(err, ErrNotFound):
			return User{}, err
		}
		u, err = d.firstTime(ctx, name, p)
		if !errors.Is(err, ErrExists) { // else the name is taken, or the same person came twice at once
			return u, err
		}
	}
	return User{}, fmt.Errorf("no free user name was found for a new person of the provider %q: %w", p.Provider, ErrExists)
}

func (d *Directory) firstTime(ctx context.Context, name string, p Person) (User, error) {
	u := User{
		ID:            d.newID(),
		Name:          name,
		DisplayName:   name[:strings.LastIndexByte(name, '@')],
		Roles:         p.Roles,
		GrantsVersion: 1,
		CreatedAt:     d.now(),
		External:      External{Issuer: p.Issuer, Subject: p.Subject, Roles: p.Roles},
	}
	p.describe(&u)
	return shown(u), d.store.CreateUser(ctx, u)
}

func (d *Directory) again(ctx context.Context, u User, p Person) (User, error) {
	if u.Disabled {
		return User{}, ErrDisabled
	}
	err := d.update(ctx, u.ID, func(now *User) bool {
		p.describe(now)
		local := without(now.Roles, now.External.Roles)
		now.External.Roles = without(p.Roles, local)
		next := sorted(slices.Concat(local, p.Roles))
		changed := !slices.Equal(next, now.Roles)
		now.Roles, u = next, *now
		return changed
	})
	return shown(u), err
}

func without(list, gone []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(gone, s) })
}

// describe takes over what is shown of a person. What would not be accepted from
// an administrator is made acceptable or left out: it must not keep anybody out.
func (p Person) describe(u *User) {
	if p.DisplayName != nil && shownName(*p.DisplayName) != "" {
		u.DisplayName = shownName(*p.DisplayName)
	}
	if p.Email != nil && checkEmail(*p.Email) == nil {
		u.Email = *p.Email
	}
}

func shownName(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s))
	if runes := []rune(s); len(runes) > MaxDisplayName {
		s = string(runes[:MaxDisplayName])
	}
	return s
}

// maxOwnPart is how many characters of a provider's user name are kept.
const maxOwnPart = 64

// namesFor are user names for a new person, best first. All end in the provider:
// nobody can come by a name that looks like that of a user who was made here.
func (d *Directory) namesFor(p Person) []string {
	own, _, _ := strings.Cut(p.Username, "@")
	own = strings.Trim(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.L, unicode.M, unicode.N) || strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, own), "._-")
	if runes := []rune(own); len(runes) > maxOwnPart {
		own = string(runes[:maxOwnPart])
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", p.Issuer, p.Subject))
	mark := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))
	candidates := []string{"user-" + mark, strings.TrimPrefix(d.newID(), "usr_")}
	if own != "" {
		candidates = append([]string{own, own + "-" + mark}, candidates...)
	}
	var names []string
	for _, c := range candidates {
		if name, err := NormalizeName(c + "@" + p.Provider); err == nil {
			names = append(names, name)
		}
	}
	return names
}
