package remoteusers

import "net/http"

// UseTransport makes the calls another way.
func (u *Users) UseTransport(t http.RoundTripper) { u.http.Transport = t }
