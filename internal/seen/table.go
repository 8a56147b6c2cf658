// Package seen remembers what a long list was found to have, by 64-bit hashes, in few bytes.
package seen

import "slices"

const (
	shards = 256
	// A shard grows by an eighth when it is seven eighths full. So an entry of 12 bytes takes
	// 14 to 18 (the allocator has few sizes), and only the few entries of one shard stand twice while it grows.
	fullNum, fullDen = 7, 8
)

// Table keeps a small number for each hash. The zero value is empty. It is for one goroutine.
type Table struct {
	shards [shards]shard
}

type shard struct {
	hashes []uint64 // 0: no entry
	values []uint32
	n      int
}

// Get returns the number of a hash; 0 if it has no entry.
func (t *Table) Get(h uint64) uint32 {
	h, s := t.shard(h)
	if s.n == 0 {
		return 0
	}
	return s.values[s.slot(h)]
}

// At returns where the number of a hash stands; a new hash has the number 0. The pointer is
// valid until the next call of At.
func (t *Table) At(h uint64) *uint32 {
	h, s := t.shard(h)
	if (s.n+1)*fullDen > len(s.hashes)*fullNum {
		s.grow()
	}
	i := s.slot(h)
	if s.hashes[i] == 0 {
		s.hashes[i] = h
		s.n++
	}
	return &s.values[i]
}

func (t *Table) shard(h uint64) (uint64, *shard) {
	return max(h, 1), &t.shards[h>>56]
}

// slot returns where the hash stands, or would stand.
func (s *shard) slot(h uint64) int {
	size := uint64(len(s.hashes))
	i := (h & 0xffffffff) * size >> 32
	for s.hashes[i] != 0 && s.hashes[i] != h {
		if i++; i == size {
			i = 0
		}
	}
	return int(i)
}

func (s *shard) grow() {
	old := *s
	// Grow gives what the allocator would set aside anyway.
	s.hashes = slices.Grow([]uint64(nil), len(old.hashes)*9/8+8)
	s.hashes = s.hashes[:cap(s.hashes)]
	s.values = slices.Grow([]uint32(nil), len(s.hashes))[:len(s.hashes)]
	for i, h := range old.hashes {
		if h != 0 {
			j := s.slot(h)
			s.hashes[j], s.values[j] = h, old.values[i]
		}
	}
}
