package events

import (
	"fmt"
	"runtime"
	"testing"
)

// BenchmarkSubscribers reports what a thousand idle subscribers cost in memory,
// each, and how long it takes to hand one event to each of them.
func BenchmarkSubscribers(b *testing.B) {
	const n = 1000
	l := newTable()
	h := open(b, l)
	users := make([]string, n)
	for i := range users {
		users[i] = fmt.Sprintf("usr_%022d", i)
	}
	before := heap()
	subs := make([]*Subscription, n)
	for i := range subs {
		subs[i], _ = subscribe(b, h, users[i], -1)
	}
	bytes := float64(heap()-before) / n
	for b.Loop() {
		l.commit(users...)
		mustRead(b, h)
		for _, s := range subs {
			if list, _, err := s.Take(); len(list) != 1 || err != nil {
				b.Fatal(len(list), err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
	b.ReportMetric(bytes, "B/subscriber")
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
