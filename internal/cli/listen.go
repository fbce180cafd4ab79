package cli

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// listen listens on the address of a setting. Errors name the setting, and what
// to do.
func listen(setting, addr string) (net.Listener, error) {
	if err := checkAddress(setting, addr); err != nil {
		return nil, &usageError{err}
	}
	ln, err := net.Listen("tcp", addr)
	if err == nil {
		return ln, nil
	}
	remedy := "choose another --" + setting
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		remedy = "another program listens there (perhaps a server that is running already); stop it, or " + remedy
	case errors.Is(err, syscall.EACCES):
		remedy = "this user may not listen on ports below 1024; " + remedy + " and put a proxy in front, or give the program CAP_NET_BIND_SERVICE"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "this machine does not have the address; " + remedy
	}
	return nil, fmt.Errorf("--%s %s: %w: %s", setting, addr, err, remedy)
}

// checkAddress checks the form of an address to listen on.
func checkAddress(setting, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if n, e := strconv.Atoi(port); err != nil || e != nil || n < 0 || n > 65535 {
		return fmt.Errorf("--%s %q must be an address and a port, like 127.0.0.1:8080, [::1]:8080 or :8080 for all addresses of this machine", setting, addr)
	}
	return nil
}
