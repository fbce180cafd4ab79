package directory

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// HashParams are the cost of a password hash (RFC 9106 §3.1). The zero value
// means [DefaultHash].
type HashParams struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// DefaultHash is the first choice of the OWASP Password Storage Cheat Sheet for
// Argon2id.
var DefaultHash = HashParams{Memory: 19 * 1024, Time: 2, Threads: 1}

const (
	saltLen = 16
	hashLen = 32
	// Bounds on what is taken from a store: a damaged record must not eat the
	// machine.
	maxMemory = 1 << 20 // KiB
	maxTime   = 64
)

// phc is a parsed "$argon2id$v=19$m=…,t=…,p=…$salt$hash" string.
type phc struct {
	HashParams
	salt, hash []byte
}

var errPHC = errors.New("directory: not an Argon2id PHC string")

func parsePHC(s string) (phc, error) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, errPHC
	}
	var p phc
	if _, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Time, &p.Threads); err != nil || p.params() != part[3] {
		return phc{}, errPHC
	}
	var err1, err2 error
	p.salt, err1 = phcEncoding.DecodeString(part[4])
	p.hash, err2 = phcEncoding.DecodeString(part[5])
	if err1 != nil || err2 != nil || len(p.salt) < 8 || len(p.salt) > 64 || len(p.hash) < 16 || len(p.hash) > 64 ||
		p.Time < 1 || p.Time > maxTime || p.Threads < 1 || p.Memory < 8*uint32(p.Threads) || p.Memory > maxMemory {
		return phc{}, errPHC
	}
	return p, nil
}

var phcEncoding = base64.RawStdEncoding.Strict()

func (p HashParams) params() string {
	return fmt.Sprintf("m=%d,t=%d,p=%d", p.Memory, p.Time, p.Threads)
}

func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$%s$%s$%s", argon2.Version, p.params(),
		phcEncoding.EncodeToString(p.salt), phcEncoding.EncodeToString(p.hash))
}

func (p phc) compute(password string) []byte {
	return argon2.IDKey([]byte(password), p.salt, p.Time, p.Memory, p.Threads, uint32(len(p.hash)))
}

func (p phc) matches(password string) bool {
	return subtle.ConstantTimeCompare(p.compute(password), p.hash) == 1
}

// hasher makes and checks password hashes, a few at a time: each takes
// Memory KiB and a processor.
type hasher struct {
	params HashParams
	slots  chan struct{}
	random io.Reader
	dummy  phc
}

func newHasher(params HashParams, parallel int, random io.Reader) *hasher {
	h := &hasher{params: params, slots: make(chan struct{}, parallel), random: random}
	// Nobody knows a password for a random hash; checking it costs the same.
	h.dummy = phc{HashParams: params, salt: h.bytes(saltLen), hash: h.bytes(hashLen)}
	return h
}

func (h *hasher) bytes(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(h.random, b); err != nil {
		// crypto/rand never fails (since Go 1.24).
		panic(fmt.Sprintf("directory: random source failed: %v", err))
	}
	return b
}

// hash returns the PHC string of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	p := phc{HashParams: h.params, salt: h.bytes(saltLen), hash: make([]byte, hashLen)}
	err := h.limited(ctx, func() { p.hash = p.compute(norm.NFC.String(password)) })
	return p.String(), err
}

// verify reports whether the password is the one of stored, and whether stored
// was made with other parameters than those of today. A stored string that
// cannot be read costs as much as one that can and fits no password.
func (h *hasher) verify(ctx context.Context, stored, password string) (ok, outdated bool, err error) {
	matches, outdated, known := h.reader(stored)
	if len(password) > MaxPassword {
		matches, known, password = h.dummy.matches, false, ""
	}
	err = h.limited(ctx, func() {
		// Ours are made of the composed form; other systems took what was typed.
		composed := norm.NFC.String(password)
		ok = matches(composed)
		if !ok && composed != password {
			ok, outdated = matches(password), true
		}
	})
	return ok && known, outdated, err
}

// reader returns what checks a password against a stored hash, ours or one that
// was imported, and whether it was made with other parameters than those of today.
func (h *hasher) reader(stored string) (matches func(string) bool, outdated, known bool) {
	if p, err := parsePHC(stored); err == nil {
		return p.matches, p.HashParams != h.params || len(p.salt) != saltLen || len(p.hash) != hashLen, true
	}
	if i, err := parseImported(stored); err == nil {
		return i.matches, true, true
	}
	return h.dummy.matches, false, false
}

func (h *hasher) limited(ctx context.Context, work func()) error {
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("directory: waiting to check a password: %w", ctx.Err())
	}
	defer func() { <-h.slots }()
	if err := ctx.Err(); err != nil { // select picks at random
		return fmt.Errorf("directory: waiting to check a password: %w", err)
	}
	work()
	return nil
}

// checkPassword is the policy for new passwords (NIST SP 800-63B §3.1.1): a
// length, and no rules about kinds of characters.
func checkPassword(password string) error {
	switch n := utf8.RuneCountInString(norm.NFC.String(password)); {
	case !utf8.ValidString(password):
		return invalid("password", "must be valid UTF-8")
	case n < MinPassword:
		return invalid("password", "has %d characters, at least %d are needed", n, MinPassword)
	case len(password) > MaxPassword:
		return invalid("password", "has %d bytes, at most %d are allowed", len(password), MaxPassword)
	}
	return nil
}
