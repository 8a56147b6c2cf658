// Command bench measures habilita against what one would write with plain asynq: both
// sides in one run, in turns, on one real redis-server (AOF everysec) that it starts
// itself, and prints a table in Markdown.
//
//	go run -C e2e ./bench                    the table (about 15 minutes)
//	go run -C e2e ./bench -only 'hand-off'   rows whose name matches
//	go run -C e2e ./bench -n 1 -scale 0.1    a quick look
//	go run -C e2e ./bench -million           and a million calls all the way through
//	go run -C e2e ./bench -cost              what a call takes of each process: docs/scaling.md
//	go run -C e2e ./bench -growth            how the cost grows: 10,000, 100,000, 1,000,000 calls
//
// habilita is the built commands, worker and enqueue, as users run them, with default
// settings. The other side is asynq's client in this process, where something is
// enqueued, and a worker of a handler and nothing else, in a process of its own, where
// something is worked off. Both call the same vendor: the simulator, in a process of its
// own, whose account also tells when each request arrived and whether a limit was broken.
package main
