// Package keys is the ring of signing keys (access tokens, RFC 9068) and MAC
// keys (refresh tokens and everything small that the server must recognise).
//
// Keys rotate by themselves. A key is announced, and in the published key set,
// a lead time before it is used; then it is used; then it is retired, still
// accepted for as long as anything made with it can live; then it is dropped.
// So no node and no verifier ever meets a token whose key it could not know.
// The rule is [Plan], which is pure; [Ring] carries it out.
//
// At rest every secret is sealed under a [Master] key that is not in the store:
// whoever has only the database has no key.
package keys
