// Package app is the composition: the one place that constructs concrete types
// and connects them. Package tacet (embedding) and internal/cli (the program)
// are two faces of it.
package app
