// Package redistest gives tests a Redis. Take the first of these that serves the test:
//
//   - Mini: a miniredis, whose clock can be set. It ends with the test.
//   - Shared: an empty database of one redis-server that all tests of the process share. It is the quickest real one.
//     It keeps nothing on disk. Take a database's URL from it, not the address alone.
//   - Both: the test on Mini and on Shared.
//   - Start: a redis-server of the test's own, for a test that kills, restarts, pauses or configures it (CONFIG SET,
//     FLUSHALL, SCRIPT FLUSH), that needs its append-only file, or that reads figures of all of it (INFO).
//   - BothOwn: the test on Mini and on Start.
//   - StartCluster, StartSentinel, StartReplica: several of them.
//
// A server of Start listens on a free port of loopback, with an append-only file that is synced every second, in a
// directory of the test. It ends with its test, and on Linux with the test's process, however that ends; the shared one
// does so everywhere. Where there is no redis-server on PATH the test is skipped, or fails if
// HABILITA_REQUIRE_REDIS=1. HABILITA_REDIS_SERVER=valkey-server runs another server.
package redistest
