// Package accounts is the administration of users and roles: what the directory
// can do, under the rules that span users, sessions and the one who asks.
//
//   - A new password and a disabled user end the user's sessions.
//   - Nobody reaches above themselves: who lacks a permission of administration
//     (wire.AdminPermissions) can neither give it nor change a user or a role
//     that has it. Otherwise a help desk that may set passwords could set an
//     administrator's and be one.
//   - Nobody takes administration from themselves. Since whoever makes a change
//     can administrate after it, somebody always can. (Two administrators who
//     demote each other in the same instant are not prevented from it.)
//
// The last two hold for callers of the HTTP API. [Operator], who has the data
// directory at hand, is bound by neither and is the way back in.
package accounts
