// Package webhooks tells another system over HTTP what was committed: sign-ins,
// ends of sessions, reuse, changed grants. Messages are signed and named as
// Standard Webhooks says (https://www.standardwebhooks.com).
//
// It reads the log of events, so nothing is told before its commit, and its place
// there is durable, so nothing is lost: after a restart it goes on behind the last
// message that was accepted. A message may come twice, with the same webhook-id.
// Messages about one user, and so about one session, come in the order of their
// commits: the next one is sent when the one before it was accepted.
package webhooks
