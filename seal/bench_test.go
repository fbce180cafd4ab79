package seal

import (
	"bytes"
	"fmt"
	"testing"
)

var sizes = []int{0, 1 << 10, 100 << 10, 10 << 20}

func BenchmarkSeal(b *testing.B) {
	p := newPair(b)
	for _, n := range sizes {
		content := bytes.Repeat([]byte("x"), n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				if _, err := p.channel.Seal(order, "application/json", content, atTime); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	p := newPair(b)
	for _, n := range sizes {
		message := p.request(b, string(bytes.Repeat([]byte("x"), n)))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				m, err := Read(bytes.NewReader(message))
				if err == nil {
					_, err = p.keys.OpenRequest(m, int64(n))
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAgree is what the first request of a page costs on top.
func BenchmarkAgree(b *testing.B) {
	p := newPair(b)
	for b.Loop() {
		if _, err := p.server.Agree(p.client.public, session); err != nil {
			b.Fatal(err)
		}
	}
}
