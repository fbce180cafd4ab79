// Package session is the shell around package rotation: load, decide, apply
// with a compare-and-swap, sign. It starts, refreshes, confirms, ends, lists and
// sweeps sessions, and declares the interfaces that it needs of a store, a key
// ring and a directory of users. It contains no HTTP and no SQL.
package session
