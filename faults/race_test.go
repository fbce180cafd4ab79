//go:build race

package faults

// raced: the race detector makes every process ten times slower.
const raced = true
