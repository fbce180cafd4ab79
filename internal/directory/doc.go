// Package directory is the embedded directory of users: names and passwords,
// roles and permissions, and the brake on those who guess.
//
// Names are one after [NormalizeName]. Passwords are stored as Argon2id PHC
// strings; [Directory.Authenticate] does the same work for every name, known or
// not. Every effective change of a user's grants moves GrantsVersion and leaves
// a grants.changed event, in the transaction of the change.
package directory
