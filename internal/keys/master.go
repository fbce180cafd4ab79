package keys

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// MasterFile is the name of the master key's file in a data directory.
const MasterFile = "master.key"

// ErrMasterMissing is wrapped when keys are stored but the master key that
// sealed them is not there.
var ErrMasterMissing = errors.New("keys: the master key is missing")

// MasterOptions says where the master key comes from. At most one of Value and
// File may be given; without both it is the file [MasterFile] in Dir, which is
// made if no keys are stored yet.
type MasterOptions struct {
	Value string // 32 bytes in base64 or hex
	File  string // holds the same
	Dir   string
	Store Store // asked whether keys are stored before a master key is made; without it none is made
}

// LoadMaster finds the master key or makes the first one. It is safe when
// several processes start at once: all get the same key.
func LoadMaster(ctx context.Context, o MasterOptions) (*Master, error) {
	switch {
	case o.Value != "" && o.File != "":
		return nil, errors.New("keys: the master key is given twice, as a value and as a file; give one of them")
	case o.Value != "":
		m, err := ParseMaster(o.Value)
		if err != nil {
			return nil, fmt.Errorf("keys: master key: %w", err)
		}
		return m, nil
	case o.File != "":
		m, err := readMaster(o.File)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: there is no file %s", ErrMasterMissing, o.File)
		}
		return m, err
	}
	path := filepath.Join(o.Dir, MasterFile)
	m, err := readMaster(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	if o.Store == nil {
		return nil, fmt.Errorf("%w: there is no file %s", ErrMasterMissing, path)
	}
	ring, _, err := o.Store.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("keys: load the key ring: %w", err)
	}
	if len(ring) > 0 {
		// The file is written before the first ring: another process may have
		// made both since we looked.
		if m, err = readMaster(path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %d keys are stored, sealed under a master key that should be in %s; restore that file from a backup, or give the key as TACET_MASTER_KEY. "+
				"A new one would be of no use: without the old one every session ends", ErrMasterMissing, len(ring), path)
		}
		return m, err
	}
	if err := createMaster(path); err != nil {
		return nil, fmt.Errorf("keys: make a master key: %w", err)
	}
	return readMaster(path)
}

// ParseMaster reads a master key from text: 32 bytes in hex or base64.
func ParseMaster(text string) (*Master, error) {
	text = strings.TrimSpace(text)
	var raw []byte
	if b, err := hex.DecodeString(text); err == nil && len(b) == masterLen {
		raw = b
	} else {
		std := strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
		if b, err := base64.RawStdEncoding.Strict().DecodeString(std); err == nil && len(b) == masterLen {
			raw = b
		}
	}
	switch {
	case raw == nil:
		return nil, fmt.Errorf("not %d bytes in base64 or hex; make one with: openssl rand -base64 %d", masterLen, masterLen)
	case bytes.Count(raw, raw[:1]) == masterLen:
		return nil, fmt.Errorf("all %d bytes are the same, that is no secret; make one with: openssl rand -base64 %d", masterLen, masterLen)
	}
	return newMaster(raw)
}

// readMaster reads and checks a master key file. The error is fs.ErrNotExist if
// there is none.
func readMaster(path string) (*Master, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keys: read the master key: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("keys: read the master key: %w", err)
	}
	if mode := st.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("keys: the master key file %s can be read by others than its owner (mode %04o); make it private with: chmod 600 %s", path, mode, path)
	}
	text := make([]byte, 1024)
	n, err := f.Read(text)
	if err != nil && n == 0 {
		return nil, fmt.Errorf("keys: the master key file %s is empty or unreadable: %v", path, err)
	}
	m, err := ParseMaster(string(text[:n]))
	if err != nil {
		return nil, fmt.Errorf("keys: the master key file %s: %w", path, err)
	}
	return m, nil
}

// createMaster writes a new master key, unless there is a file by then. The
// file appears with its whole content or not at all.
func createMaster(path string) error {
	raw := make([]byte, masterLen)
	_, _ = rand.Read(raw)                                          // never fails (crypto/rand)
	tmp, err := os.CreateTemp(filepath.Dir(path), MasterFile+".*") // O_EXCL, mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(base64.StdEncoding.EncodeToString(raw) + "\n")
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	// A link never replaces a file: the first process wins, the others read its key.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w (on a file system without hard links, make the file by hand: openssl rand -base64 %d)", err, masterLen)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the new name durable: a ring sealed under a key that a power
// cut takes away would be lost.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
