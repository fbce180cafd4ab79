// Package accounts is the administration of users and roles: what the directory
// can do, under the rules that span users, sessions and the one who asks.
//
//   - A new password and a disabled user end the user's sessions.
//   - Nobody reaches above themselves: who lacks a permission, of whatever kind, can
//     neither give it, nor change a user or a role that has it, nor end sessions of
//     such a user. Otherwise a help desk that may set passwords could set anybody's
//     and be them. wire.PermissionEscalate, which "admin:*" covers, lifts this, as the
//     verb escalate does in Kubernetes.
//   - Nobody takes administration from themselves.
//   - Somebody is always left who has all permissions of administration. (Two
//     nodes that take it from each other's caller in the same instant are not held
//     apart; one process is.)
//
// The middle two hold for callers of the HTTP API. [Operator], who has the data
// directory at hand, is bound by neither, and by the last one unless it is
// [OperatorEvenLast].
package accounts
