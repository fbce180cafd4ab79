// Package jose is the part of JOSE that access tokens, ID tokens, DPoP proofs and
// encrypted bodies have in common: base64url and JSON objects that are read in one
// way only, public keys as JWKs (RFC 7517), and signatures in compact
// serialization (RFC 7515) with EdDSA and ES256. It is for the packages verify,
// seal and dpop and for the server; programs use those.
//
// It stands beside go-jose for two reasons. Resource servers and clients link these
// packages, and the standard library is all that they need with it. And every
// refresh signs an access token, every request may verify one: go-jose takes
// 118 allocations and 8 KB to verify one and read its claims, this package and
// verify 9 allocations and 1.3 KB (BenchmarkVerify in package verify). For the
// tokens of foreign identity providers, with their many algorithms, the server uses
// go-jose.
package jose
