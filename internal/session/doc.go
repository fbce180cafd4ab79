// Package session is the shell around package rotation: load, decide, apply
// with a compare-and-swap, sign. It owns what a session is (start, renew,
// confirm, end, list, sweep) and declares the contracts that it needs of a
// store, a key ring and a directory of users. It knows nothing of HTTP or SQL.
package session
