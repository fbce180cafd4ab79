// Package client keeps a Go program signed in: it adds access tokens to
// requests and refreshes them, and the program need not do anything.
//
// A [Source] holds one session of one auth server (its native surface, body
// delivery). [Source.Token] hands out an access token; a [Transport] puts it on
// requests to the origins that it was made for, and on no others. A
// [TokenStore] keeps the session between runs: [NewMemoryStore],
// [NewFileStore] (safe for several processes of one user), [NewKeyringStore],
// or your own.
//
// # When it renews
//
// A token is renewed once it has lived [Config.RenewAt] of its lifetime. Until
// it is nearly over, callers still get it at once while one renewal runs beside
// them; after that they wait for the renewal. Lifetimes count from receipt,
// never from the server's clock, and survive both a stepped wall clock and a
// computer that slept. A 401 with invalid_token (RFC 6750 §3.1) renews as well,
// and the request is repeated once; so does a 401 without an error code. A 403
// never renews. A source does nothing until it is asked for a token.
//
// However many goroutines need it, there is one renewal, with its own time-out
// ([Config.RenewTimeout]). Waiters honour their own context; one that leaves
// does not affect the others. If it fails they all get the same error.
//
// # What can go wrong
//
//   - [*TemporaryError]: the auth server could not be reached or responded
//     with neither tokens nor a refusal. Nothing is lost; until RetryAfter
//     has passed, calls that need a renewal fail with it at once.
//   - [*SignedOutError]: the session is over, for good. Sign in again.
//   - [*StoreError]: the token store could not be read or written. Nothing was
//     lost; the error says what to do.
//   - [ErrBodyNotRepeatable]: the API refused a token and the request's body
//     could be sent only once.
//
// # Why a response may be lost
//
// A new refresh token is stored, durably, before anything is done with it. If a
// renewal's response is lost, or the program dies before it is stored, the next
// renewal presents the same token again, and the server's protocol
// (PROTOCOL.md, "head and fork") accepts it. The same
// protocol treats two copies of a session that are both used as a theft: give
// every session one store, and never copy a token file.
package client
