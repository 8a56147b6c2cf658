// Command bench compares habilita with what one would write with plain asynq, and prints a table
// in Markdown. It measures both sides in one run, in turns, on one real redis-server (AOF
// everysec) that it starts itself.
//
//	go run -C e2e ./bench                    the table (about 15 minutes)
//	go run -C e2e ./bench -only 'hand-off'   rows whose name matches
//	go run -C e2e ./bench -n 1 -scale 0.1    a quick look
//	go run -C e2e ./bench -million           and a million calls from the file to the last answer
//	go run -C e2e ./bench -cost              what a call costs each process: docs/scaling.md
//	go run -C e2e ./bench -growth            how the cost grows: 10,000, 100,000, 1,000,000 calls
//
// habilita's side is the built commands, worker and enqueue, as users run them, with default
// settings. The other side enqueues with asynq's client in this process, and works off with a
// worker in a process of its own that has a handler and nothing else. Both call the same vendor:
// the simulator, in a process of its own. Its account also tells when each request arrived and
// whether a limit was broken.
package main
