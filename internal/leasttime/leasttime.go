// Package leasttime computes the least time that calls can take: what the vendor's limits and
// the settings of the workers allow, if nothing fails and nothing else is at work. A plan of
// bulk, the forecast of a batch and the benchmarks all use it.
package leasttime

import (
	"math"
	"time"
)

// Load is the work to be done, as far as it bounds the time. All are numbers of calls.
type Load struct {
	Calls        int
	LongestChain int // calls of a chain are made one after the other
	BusiestToken int // calls of one token share its slots
	BusiestHost  int // calls of one server of the vendor share the workers' SERVER_CONCURRENCY
}

// Limits are the settings that bound the time.
type Limits struct {
	Workers           int // processes
	Concurrency       int // CONCURRENCY of each worker
	ServerConcurrency int // SERVER_CONCURRENCY of each worker
	TokenSlots        int // TOKEN_SLOTS
}

// Bound names what takes the time.
type Bound string

// The bounds.
const (
	Nothing     Bound = "" // there are no calls
	Chain       Bound = "chain"
	Slots       Bound = "slots"
	Server      Bound = "server"
	Concurrency Bound = "concurrency"
)

// Of returns the least time for a load if each call takes latency, and what bounds it. It is the
// greatest of the bounds, each in whole rounds of calls.
func Of(l Load, s Limits, latency time.Duration) (time.Duration, Bound) {
	rounds, bound := 0, Nothing
	for _, b := range []struct {
		calls, atOnce int
		what          Bound
	}{
		{l.LongestChain, 1, Chain},
		{l.BusiestToken, s.TokenSlots, Slots},
		{l.BusiestHost, s.ServerConcurrency * s.Workers, Server},
		{l.Calls, s.Concurrency * s.Workers, Concurrency},
	} {
		if n := (b.calls + b.atOnce - 1) / b.atOnce; n > rounds {
			rounds, bound = n, b.what
		}
	}
	return time.Duration(rounds) * latency, bound
}

// AtRate returns how long calls take at a rate per second, to the nearest second and at least one. It is for the rest of
// a batch, whose bounds show in its rate. 0 if there are no calls, or no rate.
func AtRate(calls int, rate float64) time.Duration {
	if calls <= 0 || rate <= 0 {
		return 0
	}
	return max(time.Second, time.Duration(math.Round(float64(calls)/rate))*time.Second)
}
