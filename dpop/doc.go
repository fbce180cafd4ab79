// Package dpop checks proofs of possession (RFC 9449): what a client sends
// beside a token that is bound to its key, so that the token alone, stolen, is
// worth nothing. Package verify and the token endpoint use it; it needs nothing
// but the standard library.
//
// A check has two halves. [Parse] looks at the proof itself (RFC 9449 §4.3). The
// caller then compares [Proof.Key] with the key that the token is bound to, and
// asks [Replays] last: what is refused for another reason leaves no trace.
package dpop
