package main

import "time"

// asynqDefault leaves TaskCheckInterval to asynq.
const asynqDefault time.Duration = 0

// figures are the rows, in the order of the table.
func figures(s settings) []figure {
	if s.growth {
		return growth()
	}
	const enqueue = "asynq.Client.Enqueue, 64 goroutines, 206 bytes"
	const handler = "a plain asynq handler that makes the same PUT"
	all := []figure{
		{what: "bulk, 500,000 calls, 10 for each token", against: enqueue, unit: "/s", floor: 3.5,
			ours: bulkOf(500_000, 10, together), theirs: plainBulkOf(500_000)},
		{what: "bulk, 500,000 calls, 10 for each token, far apart in the file", against: enqueue, unit: "/s",
			ours: bulkOf(500_000, 10, apart), theirs: plainBulkOf(500_000)},
		{what: "bulk, 300,000 calls, one for each token", against: enqueue, unit: "/s", floor: 1.5,
			ours: bulkOf(300_000, 1, together), theirs: plainBulkOf(300_000)},
		{what: "Redis memory of a waiting call, one for each token", against: "an asynq task of 206 bytes", unit: "bytes", less: true, floor: 1.25,
			ours: memoryFirst, theirs: memoryTask},
		{what: "Redis memory of each further call of a token", unit: "bytes", less: true, floor: 210, absolute: true, ours: memoryFurther},
		{what: "Redis memory of each further call of a token, with ids of 12 characters", unit: "bytes", less: true, floor: 210, absolute: true, ours: memoryFurtherWithIDs},
		{what: "memory of `enqueue bulk` for each row that it has read, one for each token", unit: "bytes", less: true, floor: 40, absolute: true, ours: memoryProducer},
		{what: "hand-off on an idle worker, answer until the chain's next request", against: "asynq at its default", unit: "ms", less: true, floor: 0.5, absolute: true,
			ours: handOff, theirs: plainHandOff},
		{what: "single call on an idle worker, enqueue until its request", against: "asynq at its default", unit: "ms", less: true, floor: 10, absolute: true,
			ours: single, theirs: plainSingle},
		{what: "`enqueue call --wait` on an idle worker, command to result", unit: "ms", less: true, floor: 80, absolute: true,
			ours: waitedFor},
		{what: "calls through the worker, chains of 25", against: handler, unit: "/s", floor: 1.2,
			ours: through(60_000, 25), theirs: plainThrough(30_000)},
		{what: "calls through the worker, one for each token", against: handler, unit: "/s", floor: 1.05,
			ours: through(30_000, 1), theirs: plainThrough(30_000)},
		{what: "40 chains waiting for one token's slots, script calls for each call", unit: "scripts", less: true, floor: 6, absolute: true, ours: waitingChains},
		{what: "idle, 50,000 chains held or deferred, CPU of Redis and worker", against: "an idle asynq worker, the same TaskCheckInterval", unit: "% of a core", less: true, floor: 1.2,
			ours: idle, theirs: plainIdle},
		{what: "first call of a short chain behind 100 chains of 1,000", against: "the same with round robin: a plain asynq handler that puts the next call at the end of the queue", unit: "ms", less: true, floor: 1.5,
			ours: shortChain, theirs: roundRobin},
		{what: "10,000 chains wake as their day begins, requests in the busiest second", unit: "%", less: true, floor: 40, absolute: true,
			ours: dayBegins(10_000)},
	}
	all = append(append(batchFigures(), all...), append(replicaFigures(), spreadFigures()...)...)
	if s.million {
		all = append(all, figure{what: "a million calls over 100,000 tokens, all the way through", unit: "/s", floor: 5000, absolute: true, ours: million})
	}
	return all
}
