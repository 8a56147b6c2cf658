package main

import "habilita/internal/testkit/redistest"

// replicaFigures show the price of WAIT_REPLICAS: they measure the same load with and without waiting for
// the replica.
func replicaFigures() []figure {
	row := func(what, unit string, less bool, of func(*rig) float64) figure {
		return figure{what: "WAIT_REPLICAS=1: " + what, against: "WAIT_REPLICAS=0, with a replica all the same", unit: unit, less: less,
			ours: withReplica("1", of), theirs: withReplica("0", of)}
	}
	return []figure{
		row("calls through the worker, chains of 25", "/s", false, through(60_000, 25)),
		row("hand-off on an idle worker, answer until the chain's next request", "ms", true, handOff),
		row("bulk, 100,000 calls, 10 for each token", "/s", false, bulkOf(100_000, 10, together)),
	}
}

// withReplica measures with a replica; from then on every turn of the rig has it.
func withReplica(wait string, of func(*rig) float64) func(*rig) float64 {
	return func(r *rig) float64 {
		if r.replica == nil {
			r.replica = redistest.Start(r.tb)
			r.replica.Follow(r.redis)
		}
		r.replica.CatchUp(r.redis)
		r.env = []string{"WAIT_REPLICAS=" + wait}
		return of(r)
	}
}
