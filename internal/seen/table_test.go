package seen

import (
	"math/rand/v2"
	"testing"
	"unsafe"
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
		if table.Get(h) != want[h] {
			t.Fatalf("%x: has %d, want %d", h, table.Get(h), want[h])
		}
		*table.At(h)++
		want[h]++
	}
	for h, n := range want {
		if table.Get(h) != n {
			t.Fatalf("%x: %d, want %d", h, table.Get(h), n)
		}
	}
	if table.Get(12345) != 0 || new(Table).Get(1) != 0 {
		t.Error("it has what was never put there")
	}
}

// most returns the most bytes that a table with so many hashes takes at any moment: while a shard
// grows, its old form and its new one are there.
func (t *Table) most() int {
	sum, largest := int(unsafe.Sizeof(*t)), 0
	for i := range t.shards {
		s := &t.shards[i]
		own := cap(s.hashes)*int(unsafe.Sizeof(s.hashes[0])) + cap(s.values)*int(unsafe.Sizeof(s.values[0]))
		sum, largest = sum+own, max(largest, own)
	}
	return sum + largest
}

// A hash takes few bytes at any size, growth included.
func TestTableIsCompact(t *testing.T) {
	const hashes, limit = 1_000_000, 18
	random := rand.New(rand.NewPCG(3, 4))
	var table Table
	for i := 1; i <= hashes; i++ {
		*table.At(random.Uint64()) = uint32(i)
		if i >= 50_000 && i%1000 == 0 {
			if each := float64(table.most()) / float64(i); each > limit {
				t.Fatalf("%.1f bytes for each of %d hashes, the limit is %d", each, i, limit)
			}
		}
	}
}

// The bytes that it counts are those of the heap: the allocator gives it nothing that it does not count.
func TestTableCountsItsBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	var table Table
	for range 20_000 {
		*table.At(random.Uint64()) = 1
	}
	for _, s := range table.shards {
		if h := cap(append([]uint64(nil), s.hashes...)); h != cap(s.hashes) {
			t.Fatalf("%d hashes take the room of %d", cap(s.hashes), h)
		}
		if v := cap(append([]uint32(nil), s.values[:cap(s.values)]...)); v != cap(s.values) {
			t.Fatalf("%d values take the room of %d", cap(s.values), v)
		}
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
