// Package redistest gives tests a Redis: a real redis-server that can be killed,
// restarted and paused (Start), a miniredis (Mini), or each in turn (Both).
//
// A real server listens on a free port of loopback, with an append-only file that
// is synced every second, in a directory of the test. It ends with its test, and
// on Linux with the test's process, however that ends. Where there is no
// redis-server on PATH the test is skipped, or fails if HABILITA_REQUIRE_REDIS=1.
// HABILITA_REDIS_SERVER=valkey-server runs another server.
package redistest
