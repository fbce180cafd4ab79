package sqlite

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestUnreleasedDatabaseIsRefused: what commit 5a40820 has written. The error
// says what it is and what to do, and the file stays as it is.
func TestUnreleasedDatabaseIsRefused(t *testing.T) {
	packed, err := os.Open("testdata/unreleased.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	r, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	before, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	writeFile(t, path, before)
	refused(t, dir, ErrUnreleased, "its schema has version 3", "name an empty data directory")
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) {
		t.Error("the file has been changed")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("in the directory: %v, %v", entries, err)
	}
}
