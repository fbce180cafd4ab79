// Package profiles speaks the dialects of front-ends that exist: other paths,
// names, envelopes and refusals for the same session calls (docs/profiles.md).
//
// A dialect is data, one YAML file (builtin/*.yaml, or one of the user's own).
// Load reads and checks it, with errors that name file and line; Open makes a
// Set of several; Bind turns the Set into handlers. There is no code for any
// single dialect, and a file has no means to get around a rule: which
// credentials count, what is consumed when, cookies and where a request may come
// from are decided by the interpreter and, behind it, by package session.
package profiles
