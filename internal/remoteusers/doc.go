// Package remoteusers is a directory of users that another system keeps, asked
// over HTTP with a shared secret:
//
//	POST URL/authenticate {"username","password","address","user_agent"}
//	GET  URL/users/{id}
//
// Both return the user. What the other system says about a user is
// never kept here: every refresh asks again, so a user who is gone has no session
// left after one lifetime of an access token. Whatever is not one of the agreed
// responses is an outage: the request fails with 503, and nothing changes.
//
// The way back is POST /auth/admin/users/{id}/grants-changed, with the same
// secret: access tokens with older grants are refused from the next request on.
package remoteusers
