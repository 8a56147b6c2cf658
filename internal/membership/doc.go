// Package membership lets processes that share a Redis run only while they agree on the
// settings that all of them must use alike: how many slots a token has, how long a lease is,
// where the vendor's day begins, which key gives tokens their names.
//
// # States of a process
//
//	          Join, agreed                   ctx ends          Leave
//	(none) ──────────────────▶ alive ─ Keep ───────────▶ alive ───────▶ (none)
//	   │                         │  ▲
//	   │ Join, differs           │  │ next beat, agreed
//	   ▼                         ▼  │
//	*MismatchError       lapsed, unknown to Redis ── next beat, differs ──▶ *MismatchError
//
// A process is alive for TTL after each beat, which comes every Beat. A crash is a lapse
// that nobody ends. A process also lapses if Redis lost what it knew, or could not be
// reached for TTL.
//
// # Guarantees
//
// All live processes that use a shared setting use the same value of it. Joining is one
// script: if many come at once with different values, those of one value win. A setting
// that no live process uses has no value: the next that joins sets it. A process is compared
// only in the shared settings that it brings, so a producer brings those that it uses.
//
// No process joins that seals under a key that a live worker lacks, and no worker that lacks the key under which
// a live process seals (CheckKeys). Two that join in the same moment may miss each other.
//
// Expiry is by the clock of Redis, in milliseconds; no process's own clock is compared
// with another's.
//
// # Failures
//
// Joining fails if Redis fails. Afterwards a beat that failed is tried again after Retry,
// for as long as it takes; the process counts as lapsed after TTL, and another may join
// with other settings. Its next beat then finds out, and Keep ends with a *MismatchError.
// Until then Current reports false, so code that must not act on stale settings asks it
// first. A record that can't be read is an error, not consent.
//
// # Keys
//
// There are two keys, on one hash tag. They never expire by themselves: a full Redis may
// evict a key that has a time to live.
//
//	PREFIX:{agreement}:alive      sorted set, process id by expiry in Unix ms
//	PREFIX:{agreement}:processes  hash, process id to its record in JSON
//
// No shared setting may be a secret; for a key, processes agree on its fingerprint.
package membership
