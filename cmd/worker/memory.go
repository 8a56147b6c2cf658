package main

import (
	"os"
	"runtime/debug"
)

const (
	// manyPlaces is CONCURRENCY from which on a worker collects garbage more often: what its requests hold
	// is large then, and Go would let as much again pile up.
	manyPlaces  = 2000
	collectMore = 50 // GOGC
)

// saveMemory keeps a worker with very many requests in flight small. A GOGC of the environment holds.
func saveMemory(concurrency int) {
	if concurrency >= manyPlaces && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectMore)
	}
}
