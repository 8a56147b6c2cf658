package seen

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

func TestTableIsAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var table Table
	want := map[uint64]uint32{}
	pool := make([]uint64, 5000)
	for i := range pool {
		pool[i] = random.Uint64()
		if i%3 == 0 {
			pool[i] = pool[i]<<56 | uint64(i%7) // many in one slot
		}
	}
	for range 40_000 {
		h := pool[random.IntN(len(pool))]
		h = max(h, 1)
		if table.Has(h) != (want[h] > 0) || table.Get(h) != want[h] {
			t.Fatalf("%x: has %v and %d, want %d", h, table.Has(h), table.Get(h), want[h])
		}
		*table.At(h)++
		want[h]++
	}
	if table.Len() != len(want) {
		t.Errorf("%d entries, want %d", table.Len(), len(want))
	}
	for h, n := range want {
		if table.Get(h) != n {
			t.Fatalf("%x: %d, want %d", h, table.Get(h), n)
		}
	}
	if table.Has(12345) || table.Get(12345) != 0 || new(Table).Has(1) {
		t.Error("it has what was never put there")
	}
}

// What a row takes at any size, growth included: all that the heap ever held, and not what was
// left of it.
func TestTableIsCompact(t *testing.T) {
	const rows, limit = 1_000_000, 20
	random := rand.New(rand.NewPCG(3, 4))
	var table Table
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := 1; i <= rows; i++ {
		*table.At(random.Uint64()) = uint32(i)
		if i >= 100_000 && i%50_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			if each := float64(now.HeapAlloc-before.HeapAlloc) / float64(i); each > limit {
				t.Fatalf("%.1f bytes for each of %d rows, the limit is %d", each, i, limit)
			}
		}
	}
	if table.Len() != rows {
		t.Error(table.Len())
	}
}

func BenchmarkTable(b *testing.B) {
	random := rand.New(rand.NewPCG(5, 6))
	var table Table
	b.ReportAllocs()
	for b.Loop() {
		*table.At(random.Uint64())++
	}
}
