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
// A client has scopes, all that it may ever ask for, and audiences. The
// administrator who makes the client gives them; that is the consent. An access
// token grants what was asked for, the client may have and the user has, and never
// more later than at the sign-in (RFC 6749 §6): session.Details remembers it. It is
// for one audience, which is not that of Tacet's own calls unless the client was
// given that on purpose.
//
// The package knows nothing of HTTP or SQL; [Store] is what it needs stored.
package oauth
