// Package simtime tests producers and workers over hours and days that pass in
// seconds: midnight under load, the days on which clocks change, clocks that are off,
// a quota that is used up, maintenance by night.
//
// Everything runs for real, in a testing/synctest bubble: the workers with asynq, a
// miniredis and the simulated vendor, over connections in memory. There are three
// clocks, each with its own error. The bubble's is that of the workers' machines; those
// of Redis and of the vendor are ahead of it, or behind, by what a test says:
//
//	machine clock   = true time - World.Off    (the bubble's time.Now)
//	clock of Redis  = true time
//	vendor's clock  = true time + World.Skew
//
// A verdict is made of the vendor's account alone: its day, by its clock and zone.
//
// A few cases always run; HABILITA_MATRIX=all runs the whole matrix, which takes some
// minutes: give it -timeout 30m. HABILITA_SIM_LOG=info shows the workers' log.
package simtime
