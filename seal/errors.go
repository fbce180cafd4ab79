package seal

import "errors"

// What is wrong with a message. None of them says more than the one who sent it
// may know.
var (
	// ErrMalformed: not a JWE in compact serialization with the header of this
	// package, or cut off.
	ErrMalformed = errors.New("seal: the message is not a complete JWE with the header that encrypted bodies have")
	// ErrAlgorithm: another alg or enc than the one pair, compression, or an
	// extension that must be understood.
	ErrAlgorithm = errors.New("seal: only alg dir with enc A256GCM is accepted, without zip and crit")
	// ErrKey: the server has no such key, or the key is not the one that the
	// access token is bound to. Agree anew.
	ErrKey = errors.New("seal: the message is sealed under a key that is not in use here")
	// ErrDecrypt: header, content or tag were changed, or it is another key's.
	ErrDecrypt = errors.New("seal: the message was changed on its way or sealed under another key")
	// ErrBinding: a good message in the wrong place.
	ErrBinding = errors.New("seal: the message was sealed for another request or answer")
	// ErrStale: sealed too long ago, or the clocks differ too much.
	ErrStale = errors.New("seal: the message was sealed too long ago, or the clocks differ")
	// ErrReplayed: the sequence number was seen before, or lies so far back that
	// it can't be told.
	ErrReplayed = errors.New("seal: the message was received before")
	// ErrTooLarge: more content than the receiver takes.
	ErrTooLarge = errors.New("seal: the content is larger than the receiver takes")
)
