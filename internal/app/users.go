package app

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/tacet-dev/tacet/internal/remoteusers"
)

// checkUsers puts the users of another system in the place of the embedded
// directory, if there is one.
func (c *Config) checkUsers() error {
	if c.RemoteUsers.UsersURL == "" {
		if c.RemoteUsers.UsersSecretFile != "" {
			return errors.New("users-secret-file is set without users-url: name the URL of the system that keeps the users")
		}
		return nil
	}
	if c.Directory != nil && c.users == nil {
		return errors.New("users-url and a directory of your own are both set: there can be only one")
	}
	if err := checkSystemURL("users-url", c.RemoteUsers.UsersURL); err != nil {
		return err
	}
	if c.RemoteUsers.UsersSecretFile == "" {
		return errors.New("users-url is set without users-secret-file: put a random text of at least 16 characters in a file, which the other system knows too")
	}
	secret, err := secretFile("users-secret-file", c.RemoteUsers.UsersSecretFile)
	if err != nil {
		return err
	}
	c.users = remoteusers.New(c.RemoteUsers.UsersURL, secret)
	c.Directory, c.Authenticator = c.users, c.users
	return nil
}

// checkSystemURL is the rule for the URL of another system that is sent secrets:
// https, or http on a loopback host, also where insecure-http is set.
func checkSystemURL(setting, raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%s %q is not a URL of the form https://host[:port][/path]", setting, raw)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("%s must have no user name, query or fragment: the secret belongs into a file of its own", setting)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("%s %q is plain http on a host that is not loopback: what is sent there would travel in clear. Use https", setting, raw)
	}
	return nil
}

// UsersElsewhere asks the system that RemoteUsers names; nil: there is none.
func (c *Config) UsersElsewhere() *remoteusers.Users { return c.users }
