package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// What BenchDirectory expects to find: users user0000000, user0000001, …, of whom
// every hundredth, up to BenchUsers/100, has the role staff.
const (
	BenchUsers = 1_000_000
	BenchHash  = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
)

// DirectoryCalls are what is measured; the first three return how many users they
// have found.
type DirectoryCalls struct {
	List    func(after string, limit int) (int, error)
	Prefix  func(prefix string, limit int) (int, error)
	Holders func(role, after string, limit int) (int, error)
	Edit    func(role string, n int) error
}

// BenchDirectory measures a directory of BenchUsers users.
func BenchDirectory(b *testing.B, c DirectoryCalls) {
	rng := rand.New(rand.NewPCG(1, 2))
	measure := func(name string, want int, f func(i int) (int, error)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if n, err := f(rng.IntN(BenchUsers - 1000)); err != nil || n != want {
					b.Fatalf("%d found, want %d: %v", n, want, err)
				}
			}
		})
	}
	measure("list", 200, func(i int) (int, error) { return c.List(fmt.Sprintf("user%07d", i), 200) })
	measure("prefix", 50, func(i int) (int, error) { return c.Prefix(fmt.Sprintf("user%05d", i/100), 50) })
	measure("holders", 200, func(i int) (int, error) {
		return c.Holders("staff", fmt.Sprintf("usr_%026d", min(i, BenchUsers-30_000)), 200)
	})
	n := 0
	b.Run("edit", func(b *testing.B) {
		for b.Loop() {
			n++
			if err := c.Edit("staff", n); err != nil {
				b.Fatal(err)
			}
		}
	})
}
