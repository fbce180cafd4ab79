// Package verify checks Tacet access tokens in a resource server: JWTs after
// RFC 9068, signed with EdDSA, ES256 or RS256, without a network call per request. It
// imports nothing but the standard library and, of this module, what both sides
// of the wire share.
//
//	keys, err := verify.NewKeySet(verify.KeySetConfig{URL: "https://auth.example.com/.well-known/jwks.json"})
//	v, err := verify.New(verify.Config{Issuer: "https://auth.example.com", Audience: "orders", Keys: keys})
//	mux.Handle("GET /orders", v.Require("orders:read")(orders))
//	// in the handler
//	token, _ := verify.FromContext(r.Context())
//	who := token.Subject()
//
// # What is checked
//
// Size before anything else; alg (only EdDSA, ES256 and RS256, and only the one that
// the key is made for); typ at+jwt; kid, looked up in the issuer's key set and
// nowhere else (jwk, jku, x5u and x5c in a header are never read); no crit; the
// signature; then iss, aud, exp, iat, nbf and the claims that RFC 9068 §2.2 and
// wire.md require; then, on every request, [Liveness]: sessions that have ended
// and grants that have changed since the token was issued.
//
// A token whose signature was found good is remembered, in bounded memory, so
// that seeing it again costs a comparison instead of a signature. Everything
// that can change is still checked each time: the times, that its key is still
// in the key set, and its liveness. Only good tokens are remembered, so forged
// ones cannot push them out.
//
// # Tokens that are bound to a key
//
// A token with cnf.jkt is good only with a proof of that key (DPoP, RFC 9449): in
// the scheme DPoP, with a DPoP header that was made for this method, this URI and
// this token, in the last minute, and not used before (package dpop). As Bearer it
// is refused. [Verifier.Middleware], Require, Optional and Authenticate do this by
// themselves; behind a proxy that ends TLS or changes Host, set Config.Origin. A
// [Verifier.Verify] without a request refuses such tokens ([Inspecting] looks at
// them). Proofs are remembered by each process for itself. Behind forward-auth
// they can't be checked, because what they are made for is another request.
//
// # Responses
//
// [Verifier.WriteError] is the one place where an error becomes a response (RFC
// 6750 §3): 401 invalid_token, after which clients refresh; 403
// insufficient_scope, which they must not; 401 insufficient_user_authentication
// with what [Verifier.RequireAuth] asks of the sign-in (RFC 9470); 503 with Retry-After when keys or
// liveness cannot be known, which must sign nobody out. Errors can be told apart
// with [errors.Is]: [ErrInvalidToken] is the family of the first and
// [ErrUnavailable] that of the last.
//
// # Ended sessions and changed grants
//
// Without more, a token is good until it expires, whatever happens to its session.
// A [Feed] as Config.Liveness changes that: one connection to the issuer tells
// which sessions have ended and whose grants have changed, and every request is
// checked against that in memory. While it is connected, that is within a few
// milliseconds of the event; when the feed is lost, [LostPolicy] bounds by how
// much longer: by default, nobody is served for more than 60 s
// (FeedConfig.MaxLag) after the end of their session, and when that is up
// requests are refused with 503 until the feed is back. Lag is measured from the
// issuer's statement of how far it has come, transit time included, so a stream
// that crawls does not pass for a fresh one.
//
// # Clocks
//
// A leeway of 60 s (Config.Leeway) applies to exp, iat and nbf, so that a server
// whose clock is off by up to a minute refuses no honest token; it also accepts
// an expired one for that much longer. [Feed.Now] is the issuer's clock as seen
// from here and can serve as Config.Clock.
package verify
