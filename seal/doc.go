// Package seal is the format of encrypted bodies: a JWE in compact serialization
// (RFC 7516 §7.1) with alg "dir" and enc "A256GCM" (RFC 7518 §4.5, §5.3) under
// keys that the client's ephemeral P-256 key and a key of the server's agree on
// by ECDH. docs/encryption.md describes it, with what it protects
// against and what it does not.
//
// One agreement yields two keys, one for each direction, so that no message can
// be reflected to its sender. The protected header binds a message to
// its place: method, path, status, sequence and time.
//
// [ServerKey] and [Replays] are the server's side, [Client] and [Channel] the
// client's. verify.Encryption and client.Sealed put them around HTTP.
package seal
