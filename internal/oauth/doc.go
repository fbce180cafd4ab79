// Package oauth is what standard clients need around sessions: registered
// clients (RFC 6749 §2), the authorization code with PKCE (RFC 6749 §4.1,
// RFC 7636), the device grant (RFC 8628), revocation (RFC 7009), introspection
// (RFC 7662) and ID tokens (OpenID Connect Core).
//
// # One kind of session
//
// Every grant ends in a session of package session, whose ClientID is the OAuth
// client. Refresh tokens are the rotating ones, with all that PROTOCOL.md says;
// there are no others. The answer to a slow duplicate carries none, which
// RFC 6749 §6 allows: the client keeps the one that it has.
//
// # Scopes
//
// Clients are first-party: a token carries all that its user may do, and the
// scopes of a request only say what an ID token tells ([Scopes]). Tokens are
// not narrowed, because stock clients repeat the scope of the last answer at
// every renewal, which would freeze what the user may do. Other scopes are left
// out of a grant (RFC 6749 §3.3) and refused at a renewal (§6).
//
// The package knows nothing of HTTP or SQL; [Store] is what it needs stored.
package oauth
