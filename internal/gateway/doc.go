// Package gateway puts session and verification in front of an API in any
// language: a reverse proxy that lets only requests with a good access token
// through, takes out what callers must not set, says who is calling, and closes
// streams when the session they belong to is over. docs/gateway.md describes it
// for users.
//
// Who may call what is decided by the path alone (table.go, paths.go), before
// anything is sent upstream. A path that different servers would read
// differently, so that one reading falls under another rule, is refused.
package gateway
