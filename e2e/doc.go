// Package e2e runs habilita as its users do and judges the result. It uses the real worker and
// enqueue binaries in processes of their own, and a real redis-server with an append-only file.
// A simulated vendor keeps an account of every request.
//
// # Parts
//
//	Lab ── Redis    a redis-server that can be killed, restarted and paused
//	    ├─ Vendor   the simulator: a process of its own that writes its account to a
//	    │           file (StartVendor), or one in this process with a script (ServeVendor)
//	    ├─ Worker   a worker process: Kill (-9), Term (SIGTERM), Pause, its log and address
//	    ├─ Enqueue  one run of the enqueue command: output and exit status
//	    └─ Plan     what was enqueued: batches with their chains, and the tokens
//
// # Verdicts
//
// [Judge] finds out whether the promises were kept, only from the vendor's account and the
// output of `enqueue report`:
//
//	I1  never more than 2 requests of a token in flight
//	I2  a chain's next call starts only after the previous one's success, and never
//	    two requests of a chain at the same time
//	I3  requests of a token in a vendor's day <= quota
//	I4  every call succeeded, is held with a reason, or was cancelled or skipped
//	I5  extra requests <= unknown outcomes, attempts as the vendor counted, no id twice
//	I6  nothing that was acknowledged is lost
//	I7  no byte of a token in logs, Redis' files, outputs, metrics, process arguments
//
// # Time and failure
//
// No test sleeps for a guessed time: a wait ends when a condition holds, or fails the test at its
// deadline and shows the ends of all logs. Every process ends with its test.
package e2e
