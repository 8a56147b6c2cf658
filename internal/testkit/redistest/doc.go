// Package redistest gives tests a Redis. Use the first of these that is enough for the test:
//
//   - Mini: a miniredis, whose clock can be set. It ends with the test.
//   - Shared: an empty database of one redis-server that all tests of the process share. It is the fastest real one.
//     It keeps nothing on disk. Use its URL, which names the database, not only its address.
//   - Both: the test on Mini and on Shared.
//   - Start: a redis-server of the test's own, for a test that kills, restarts, pauses or configures it (CONFIG SET,
//     FLUSHALL, SCRIPT FLUSH), needs its append-only file, or reads figures of the whole server (INFO).
//   - BothOwn: the test on Mini and on Start.
//   - StartCluster, StartSentinel, StartReplica: several of them.
//
// Start's server listens on a free loopback port. Its append-only file, synced every second, is in a directory of the
// test. It ends with its test; on Linux it also ends with the test's process, however that ends. The shared server
// does so on every system. If there is no redis-server on PATH, the test is skipped, or fails if
// HABILITA_REQUIRE_REDIS=1. HABILITA_REDIS_SERVER=valkey-server runs another server.
package redistest
