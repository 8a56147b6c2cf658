package wolkvoxtest

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Script decides the fault of a request. It is called once for each request that passed the checks, in the order of
// arrival and under the simulator's lock: it must return soon and must not call the simulator.
type Script func(Record) Fault

// Always gives every request the fault.
func Always(f Fault) Script { return func(Record) Fault { return f } }

// Until gives the fault to every request that arrives before end, by the vendor's clock: a vendor that is down. For a
// vendor that refuses connections see Server.Down.
func Until(end time.Time, f Fault) Script {
	return func(r Record) Fault {
		if r.Arrived.Before(end) {
			return f
		}
		return Fault{}
	}
}

// EachCall gives the n-th request of every call the n-th fault, and none when they are used up.
func EachCall(faults ...Fault) Script {
	return func(r Record) Fault {
		if n := r.CallNth - 1; n >= 0 && n < len(faults) {
			return faults[n]
		}
		return Fault{}
	}
}

// Random gives a share of the requests, rate from 0 to 1, one of the faults, each as likely as the others. The draws
// depend only on the seed; which request gets which depends on the order of arrival. No faults given means those of
// Passing.
func Random(seed uint64, rate float64, faults ...Fault) Script {
	if len(faults) == 0 {
		faults = Faults(Passing()...)
	}
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	return func(Record) Fault {
		mu.Lock()
		defer mu.Unlock()
		if rng.Float64() >= rate {
			return Fault{}
		}
		return faults[rng.IntN(len(faults))]
	}
}

// First asks scripts in turn until one gives a fault.
func First(scripts ...Script) Script {
	return func(r Record) Fault {
		for _, s := range scripts {
			if f := s(r); f != (Fault{}) {
				return f
			}
		}
		return Fault{}
	}
}
