package directory

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/pbkdf2"
	"github.com/go-crypt/crypt/algorithm/scrypt"
)

// importedHash is a hash that another system made. It is good until its user
// signs in, who then gets one of ours.
type importedHash struct {
	digest algorithm.Digest
	// sha256 is whether the SHA-256 of the password was hashed, in hexadecimal, as
	// Django's bcrypt_sha256 does.
	sha256 bool
}

func (h importedHash) matches(password string) bool {
	if h.sha256 {
		sum := sha256.Sum256([]byte(password))
		password = hex.EncodeToString(sum[:])
	}
	return h.digest.Match(password)
}

// What an imported hash may cost: a few seconds and a gigabyte. One that costs
// more would let anybody who tries to sign in as its user stop the server.
const (
	maxImportedText   = 1024    // characters of the hash
	maxImportedMemory = 1 << 20 // KiB
	maxImportedWork   = 4 << 20 // KiB that are filled: memory times passes
	maxBcryptCost     = 15      // 2^cost rounds
	maxPBKDF2Work     = 10_000_000
	minKey            = 16 // bytes; a shorter one is hit by chance
)

// parseImported reads a hash in one of the forms of docs/users.md. The error says
// what is wrong, without the hash.
func parseImported(s string) (importedHash, error) {
	if len(s) > maxImportedText {
		return importedHash{}, fmt.Errorf("the hash has more than %d characters", maxImportedText)
	}
	text, err := modular(s)
	if err != nil {
		return importedHash{}, err
	}
	h := importedHash{sha256: strings.HasPrefix(s, "bcrypt_sha256$")}
	var decode func(string) (algorithm.Digest, error)
	switch id, _, _ := strings.Cut(strings.TrimPrefix(text, "$"), "$"); id {
	case "argon2id", "argon2i", "argon2d":
		decode = argon2.Decode
	case "2a", "2b", "2y", "bcrypt-sha256":
		decode = bcrypt.Decode
	case "scrypt":
		decode = scrypt.Decode
	case "pbkdf2", "pbkdf2-sha1", "pbkdf2-sha256", "pbkdf2-sha512":
		decode = pbkdf2.Decode
	default:
		return importedHash{}, errors.New("the form of the hash is not known: Argon2, bcrypt, scrypt or PBKDF2 in PHC or modular crypt form, Django's, or that of ASP.NET Identity 3 in base64 is")
	}
	if h.digest, err = decode(text); err != nil {
		return importedHash{}, errors.New("the hash is damaged: " + strings.TrimSpace(err.Error()))
	}
	// The library fills in and overlooks what it can't read there.
	if id := strings.HasPrefix(text, "$argon2") || strings.HasPrefix(text, "$scrypt"); id && h.digest.Encode() != text {
		return importedHash{}, errCosts
	}
	return h, checkCost(h.digest)
}

// modular brings the forms of other systems to those of go-crypt.
func modular(s string) (string, error) {
	if rest, ok := strings.CutPrefix(s, "{bcrypt}"); ok { // Spring's DelegatingPasswordEncoder
		return rest, nil
	}
	if !strings.HasPrefix(s, "$") && !strings.Contains(s, "$") {
		return identityV3(s)
	}
	part := strings.Split(s, "$")
	switch {
	case part[0] == "argon2", part[0] == "bcrypt", part[0] == "bcrypt_sha256": // Django: name$ before the whole
		return "$" + strings.TrimPrefix(strings.TrimPrefix(s, part[0]+"$"), "$"), nil
	case (part[0] == "pbkdf2_sha1" || part[0] == "pbkdf2_sha256") && len(part) == 4: // Django
		key, err := base64.StdEncoding.DecodeString(part[3])
		if err != nil {
			return "", errors.New("the hash is damaged: its last part is not base64")
		}
		return pbkdf2Text(strings.Replace(part[0], "_", "-", 1), part[1], []byte(part[2]), key), nil
	case part[0] == "scrypt" && len(part) == 6: // Django: scrypt$N$salt$r$p$key
		n, err1 := strconv.ParseUint(part[1], 10, 32)
		key, err2 := base64.StdEncoding.DecodeString(part[5])
		if err1 != nil || err2 != nil || n < 2 || bits.OnesCount64(n) != 1 {
			return "", errors.New("the hash is damaged: it should be scrypt$N$salt$r$p$key, with N a power of two and the key in base64")
		}
		return fmt.Sprintf("$scrypt$ln=%d,r=%s,p=%s$%s$%s", bits.TrailingZeros64(n), part[3], part[4],
			base64.RawStdEncoding.EncodeToString([]byte(part[2])), base64.RawStdEncoding.EncodeToString(key)), nil
	case len(part) == 5 && strings.HasPrefix(part[1], "pbkdf2") && strings.HasPrefix(part[2], "i="): // PHC: $pbkdf2-sha256$i=…,l=…$salt$key
		part[2], _, _ = strings.Cut(strings.TrimPrefix(part[2], "i="), ",")
		return strings.ReplaceAll(strings.Join(part, "$"), "+", "."), nil
	}
	return s, nil
}

func pbkdf2Text(name, iterations string, salt, key []byte) string {
	encode := func(b []byte) string {
		return strings.ReplaceAll(base64.RawStdEncoding.EncodeToString(b), "+", ".")
	}
	return "$" + name + "$" + iterations + "$" + encode(salt) + "$" + encode(key)
}

// identityV3 reads what PasswordHasher of ASP.NET Core Identity writes in its
// version 3: 1, the function, the iterations and the length of the salt as numbers
// of four bytes, the salt, and the key; all in base64.
func identityV3(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) < 13 || b[0] != 1 {
		return "", errors.New("the hash is neither in PHC, modular crypt or Django's form nor that of ASP.NET Identity 3 in base64")
	}
	name, ok := map[uint32]string{0: "pbkdf2-sha1", 1: "pbkdf2-sha256", 2: "pbkdf2-sha512"}[binary.BigEndian.Uint32(b[1:])]
	iterations, salt := binary.BigEndian.Uint32(b[5:]), uint64(binary.BigEndian.Uint32(b[9:]))
	if !ok || salt > uint64(len(b)-13) {
		return "", errors.New("the hash of ASP.NET Identity is damaged")
	}
	return pbkdf2Text(name, strconv.FormatUint(uint64(iterations), 10), b[13:13+salt], b[13+salt:]), nil
}

// checkCost refuses hashes that cost too much to check, and those that are too
// short to prove anything. The costs are read from the form that the library
// writes.
func checkCost(d algorithm.Digest) error {
	if len(d.Key()) < minKey {
		return fmt.Errorf("the hash has %d bytes; fewer than %d prove nothing", len(d.Key()), minKey)
	}
	part := strings.Split(d.Encode(), "$")
	switch d.(type) {
	case *argon2.Digest:
		var m, t, p uint64
		if _, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &m, &t, &p); err != nil || t < 1 || p < 1 || m < 8*p {
			return errCosts
		}
		if m > maxImportedMemory || t > maxTime || p > 255 || m*t > maxImportedWork {
			return tooMuch(part[3], "%d KiB (m) and m·t = %d", maxImportedMemory, maxImportedWork)
		}
	case *scrypt.Digest:
		var ln, r, p uint64
		if _, err := fmt.Sscanf(part[2], "ln=%d,r=%d,p=%d", &ln, &r, &p); err != nil || ln < 1 || r < 1 || p < 1 {
			return errCosts
		}
		if ln > 24 || r > 1<<10 || p > 1<<10 || r<<ln>>3 > maxImportedMemory || r<<ln>>3*p > maxImportedWork { // 128·r bytes each
			return tooMuch(part[2], "%d KiB, written %d times", maxImportedMemory, maxImportedWork/maxImportedMemory)
		}
	case *bcrypt.Digest:
		var cost int
		_, err := fmt.Sscanf(part[2][strings.LastIndexByte(part[2], '=')+1:], "%d", &cost) // 12, or v=2,t=2b,r=12
		if err != nil || cost < 4 {
			return errCosts
		}
		if cost > maxBcryptCost {
			return tooMuch("cost "+strconv.Itoa(cost), "%d", maxBcryptCost)
		}
	case *pbkdf2.Digest:
		iterations, err := strconv.ParseUint(part[2], 10, 32)
		if err != nil || iterations < 1 {
			return errCosts
		}
		size := map[string]int{"pbkdf2-sha256": 32, "pbkdf2-sha512": 64}[part[1]]
		if size == 0 {
			size = 20 // SHA-1
		}
		if blocks := (len(d.Key()) + size - 1) / size; iterations*uint64(blocks) > maxPBKDF2Work {
			return tooMuch(fmt.Sprintf("%d iterations for %d bytes", iterations, len(d.Key())), "%d iterations in all", maxPBKDF2Work)
		}
	}
	return nil
}

var errCosts = errors.New("the hash is damaged: its costs can't be right")

func tooMuch(costs, limit string, args ...any) error {
	return fmt.Errorf("to check the hash costs too much for a sign-in, %s: at most "+limit+" is taken", append([]any{costs}, args...)...)
}
