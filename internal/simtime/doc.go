// Package simtime tests producers and workers over hours and days that pass in
// seconds: midnight under load, days when the clocks change, clocks that are off,
// a quota that is used up, nightly maintenance.
//
// Everything runs for real, in a testing/synctest bubble: the workers with asynq, a
// miniredis and the simulated vendor, over connections in memory. There are three
// clocks, each with its own error. The bubble's is that of the workers' machines. A test
// says how far those of Redis and of the vendor are ahead of it, or behind:
//
//	machine clock   = true time - World.Off    (the bubble's time.Now)
//	clock of Redis  = true time
//	vendor's clock  = true time + World.Skew
//
// Only the vendor's account decides a test: its day, by its clock and zone.
//
// A few cases always run; HABILITA_MATRIX=all runs the whole matrix, which takes some
// minutes: give it -timeout 30m. HABILITA_SIM_LOG=info shows the workers' log.
package simtime
