// Package wolkvoxtest is a simulated wolkvox: an HTTP server that is strict about every limit the vendor
// documents, fails in the ways that real servers do, and keeps an account of all that it was asked.
// Promises about calls are judged from that account, the vendor's side, not from the caller's.
//
// It shares no code with the client, on purpose: a misreading of the vendor's documents would otherwise be
// made twice and never show.
//
// # A request
//
//	arrival ── checks ──▶ refused at once: 404 405 400 401 403        (end, then answer)
//	   │                  path, method, api, token, slots, quota
//	   ▼
//	script gives a fault, or none
//	   ▼
//	gate (Hold) ──▶ work (Latency) ──▶ end ──▶ answer, mangled or kept back by the fault
//
// A request is in flight from its arrival to its end. The vendor goes on working when its caller has gone:
// nothing but Close shortens the work. The end is recorded before the last byte of an answer is sent, so that
// a caller which acts on an answer is never said to have overlapped with it.
//
// # Guarantees
//
// Arrivals and ends are numbered from one counter under one lock, and all judgements on order use these
// numbers, not times; a clock that stands still or steps does no harm. A token is one token whatever the
// server it is used on. Every request that bears a token counts for its day's quota, refused and failed ones
// too (the vendor does not say; this is the careful reading).
//
// # Clock
//
// Options.Now gives the times and the day; work is timed by real timers (or those of a testing/synctest
// bubble).
//
// # Failure
//
// A log that cannot be written is kept by LogErr and does not stop the simulator: judge a file only
// after LogErr was nil.
//
// Vendor facts come from the vendor's API pages and its "API Response Codes" table; what is not
// documented (the texts of maintenance hours, of a 404 or a 405, the HTTP status of a success) is an assumption, said where it is made.
package wolkvoxtest
