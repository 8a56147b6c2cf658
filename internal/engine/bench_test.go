package engine

import (
	"fmt"
	"iter"
	"strings"
	"testing"

	"habilita/internal/testkit/redistest"
)

// rowsOf gives n calls, perToken of them for each token, one token after the other.
func rowsOf(n, perToken int) iter.Seq2[Call, error] {
	return func(yield func(Call, error) bool) {
		for i := range n {
			if !yield(Call{Server: "0001", Token: Token(fmt.Sprintf("a-token-of-forty-characters-%012d", i/perToken))}, nil) {
				return
			}
		}
	}
}

// A whole bulk into a real Redis, from the sequence to the last acknowledgement.
func BenchmarkEnqueueBatch(b *testing.B) {
	const calls = 50_000
	for _, perToken := range []int{1, 10} {
		b.Run(fmt.Sprintf("calls=%d/token=%d", calls, perToken), func(b *testing.B) {
			s := redistest.Start(b)
			rdb := s.Client()
			p := newTestProducer(b, rdb)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				sum, err := p.EnqueueBatch(b.Context(), "b", rowsOf(calls, perToken), BatchOptions{})
				if err != nil || sum.Enqueued != calls {
					b.Fatalf("%+v, %v", sum, err)
				}
				n++
				b.StopTimer()
				keys, err := rdb.Get(b.Context(), "habilita:naming").Result()
				if err != nil {
					b.Fatal(err)
				}
				if err := rdb.FlushAll(b.Context()).Err(); err != nil {
					b.Fatal(err)
				}
				if err := rdb.Set(b.Context(), "habilita:naming", keys, 0).Err(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n)/calls, "µs/call")
		})
	}
}

// How long naming and sealing take for a token that was not seen lately, and for one that was.
func BenchmarkSealer(b *testing.B) {
	p := newTestProducer(b, redistest.Start(b).Client())
	for name, tokens := range map[string]int{"new": 1 << 20, "remembered": 8} {
		b.Run(name, func(b *testing.B) {
			s := newSealer(p)
			all := make([]string, tokens)
			for i := range all {
				all[i] = fmt.Sprintf("token-%s-%d", strings.Repeat("x", 20), i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				s.prepare(&Call{Server: "0001", Token: Token(all[i%tokens])})
				i++
			}
		})
	}
}
