package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"

	"habilita/internal/ledger"
)

// A queue of asynq lies in one hash slot, so one node of a cluster has all of it. Several queues spread over
// the nodes. A chain's queue follows from its bucket, and a task is only a hint: the ledger dispatches a chain
// again whose task nobody takes. So processes may differ in their number of queues, and it may change at any time.

// MaxQueues is the greatest number of queues.
const MaxQueues = 64

const clusterSlots = 16384

// queueNames are the names of n queues. The first is base, and more of them leave the others' names as they are.
// Their hash slots lie evenly, so that each master of a cluster with slots in order has about as many.
func queueNames(base string, n int) []string {
	names := []string{base}
	const golden = 0.6180339887498949 // multiples of it lie evenly on a circle, however many there are
	first := float64(hashSlot(base))
	for i := 1; i < n; i++ {
		want := int(first+float64(i)*golden*clusterSlots) % clusterSlots
		best, least := "", clusterSlots
		for k := range 256 {
			name := fmt.Sprintf("%s-%d-%d", base, i+1, k)
			if d := (hashSlot(name) - want + clusterSlots) % clusterSlots; d < least {
				best, least = name, d
			}
		}
		names = append(names, best)
	}
	return names
}

// hashSlot is the slot of a cluster that has a key: the CRC16 of XMODEM.
func hashSlot(tag string) int {
	crc := uint16(0)
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if carry := crc&0x8000 != 0; carry {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % clusterSlots
}

// queueOf is the queue of a chain.
func queueOf(names []string, chain string) string {
	return names[ledger.TagIndex(ledger.Tag(chain))%len(names)]
}

// consumed are the queues that a worker takes tasks from: its own, and those of ours that others, or it before,
// made more of.
func consumed(inspector *asynq.Inspector, own []string) []string {
	there, err := inspector.Queues()
	if err != nil {
		return own // what is left there is dispatched again
	}
	all := slices.Clone(own)
	for _, name := range queueNames(own[0], MaxQueues)[len(own):] {
		if slices.Contains(there, name) {
			all = append(all, name)
		}
	}
	return all
}

// lessOften is how much less often several queues are asked than one: all together at most four times as often.
func lessOften(d time.Duration, queues int) time.Duration {
	return d * time.Duration(max(1, queues/4))
}
