//go:build tacet_future

package postgres

import (
	_ "embed"
	"io/fs"
	"testing/fstest"
)

//go:embed testdata/99999_future.sql
var tomorrow []byte

// future adds a migration that no release has. The tests of rolling upgrades
// build the program with it (-tags tacet_future), to have one that is newer than
// all there are.
func future(files fs.FS) fs.FS {
	all := fstest.MapFS{"99999_future.sql": {Data: tomorrow}}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			panic(err) // they are embedded
		}
		all[name] = &fstest.MapFile{Data: data}
	}
	return all
}
