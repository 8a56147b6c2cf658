// Package localrun does a whole job in one process: it reads a file of operations, makes the
// calls, and writes each result as it comes, with no Redis server and no worker. It is the
// same producer, ledger, quota and worker, on a Redis inside the process; what that Redis
// would have kept on disk is kept in a journal beside the file.
//
// # Files
//
//	FILE              the operations; read at every start, never written. It may be corrected
//	                  between two starts
//	FILE.journal      every grant and every outcome; mode 0600. It has no token, but the
//	                  key that names tokens, so that they and the rows have the same names again
//	FILE.results.csv  a row for each call that has ended. Written anew at every start from
//	                  FILE and the journal, and then appended
//
// # A request
//
//	grant (slot, quota) ─▶ journal, synced ─▶ request ─▶ ledger: outcome ─▶ journal ─▶ synced ─▶ results
//	                         │ fails                          before the chain's next grant
//	                         └▶ not sent, given back; the job ends
//
// The journal takes a grant only if there is room for its outcome too. So a full disk ends the
// job before a request, and the outcomes of requests in flight are still written. A result
// appears in FILE.results.csv and in the last counts only when its outcome is on the disk:
// what was shown as done is never made again, whatever the disk does. A call that the
// policy cancelled is written down before it is shown, and stays cancelled.
//
// # Going on
//
// At a start the rows that the journal knows are enqueued and put into the state that it gives.
// Then the whole file is given, and what is new joins its chains. Rows that are no longer in the
// file are not made; those that were tried stay in the results. A journal of version 1 knows
// rows by their places, so its job goes on only with the same file.
//
// Calls that succeeded are never made again. Calls that were given up hold their chain, or do
// what the policy says. A call that was granted and has no outcome is one whose worker was
// lost: its outcome is unknown, its slot and chain stay taken until its lease has ended, and
// the attempt counts. The days' counts, cool-downs, attempts and waits go on where they were.
// So a crash of this job is like the death of a worker elsewhere, and the same code deals with it.
//
// # Crashes
//
//	after                        left                       then
//	the grant, before its sync   perhaps a record           perhaps an unknown outcome, at worst one lease lost; nothing was sent
//	its sync                     the grant                  unknown outcome: once more after the lease
//	the answer, before its       the grant                  the same: this is the "at least once"
//	outcome is written
//	the outcome's record         the outcome                not made again
//	a result's row, or half      the outcome                the results are written anew
//	a disk that is full          all outcomes               room, and the same command
//	a sync that failed           perhaps the last outcomes  as unknown outcomes; none of them was told
//
// A loss of power (not of the process) can also lose outcomes that were written within
// the last 0.1 s, unless a later grant was synced: they are then unknown.
//
// # Clock
//
// Leases and days go by the wall clock of this machine, also over a restart. If the clock is
// set forward while a lease runs, the lease ends early by as much.
//
// # Limits
//
// Everything is in memory. Only one process at a time can have a file.
package localrun
