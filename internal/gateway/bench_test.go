package gateway

import "testing"

func BenchmarkMatch(b *testing.B) {
	t := table(b, example)
	for name, p := range map[string]string{
		"plain": "/api/orders/lines/42", "upper": "/api/orders/ABC/x", "escaped": "/api/projects/a%2Fb/x", "worst": "/api/a%255Cb;x=1//Y.%20/z",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = t.match(p)
			}
		})
	}
}
