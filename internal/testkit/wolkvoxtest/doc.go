// Package wolkvoxtest is a simulated wolkvox: an HTTP server that is strict about every limit the vendor
// documents, fails in the ways that real servers do, and keeps an account of all requests. Tests judge the
// promises about calls from that account, which is the vendor's side, and not from the caller's.
//
// It shares no code with the client, on purpose: otherwise both would misread the vendor's documents in the
// same way, and no test would show it.
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
// only Close shortens the work. The end is recorded before the last byte of an answer is sent. So a caller
// that acts on an answer never appears to overlap with it.
//
// # Guarantees
//
// Arrivals and ends are numbered from one counter under one lock. All judgements on order use these
// numbers, not times, so a clock that stands still or jumps does no harm. A token is the same token on every
// server. Every request with a token counts for its day's quota, refused and failed ones too (the vendor does
// not say; this is the careful reading).
//
// # Clock
//
// Options.Now gives the times and the day. Real timers, or those of a testing/synctest bubble, time the work.
//
// # Failure
//
// If the log can't be written, LogErr has the error, and the simulator goes on: judge a file only after
// LogErr was nil.
//
// Vendor facts come from the vendor's API pages and its "API Response Codes" table. What is not documented is
// an assumption, and the comment beside it says so: the texts of maintenance hours, of a 404 or a 405, the HTTP
// status of a success.
package wolkvoxtest
