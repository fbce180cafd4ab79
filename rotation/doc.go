// Package rotation is the protocol that decides what a refresh token is worth.
//
// It is pure: it does no I/O, reads no clock, draws no random numbers and logs
// nothing. Keys, times and random tags are arguments, decisions are values, so
// every rule here can be explored exhaustively and re-implemented elsewhere
// from PROTOCOL.md and the vectors in spec/.
//
// # Words
//
// A session is one sign-in on one device. Its generation counts refreshes. The
// head is the newest refresh token that anyone has presented; it is all that a
// server stores of the chain. A child is a token minted in response to a
// presentation; children are not stored. A fork is the presentation of two
// different children of one parent outside the overlap, or of an ancestor: only
// copies of a token can do that, so a fork ends the session (RFC 9700 §4.14.2).
// PROTOCOL.md, section 8, states for which honest clients this holds.
//
// # Use
//
//	token, err := rotation.Open(keys, presented)       // no storage touched
//	decision := rotation.Decide(state, token, policy, now)
//	// apply decision with a compare-and-swap on state.Head, then
//	child := rotation.Child(token.Session, decision.Head, tag)
//	response := rotation.Seal(key, child)
package rotation
