//go:build !unix

package app

// openFiles is how many files and connections this process may have open.
func openFiles() int { return 1 << 16 }
