// Package inproc is a Redis inside this process, for jobs that have none: the demo and
// `enqueue run`. It is miniredis: the same scripts run on it as on a real one.
//
// It keeps nothing on disk: what must outlive the process is its user's to write down.
// All of it is in memory, with no limit of its own. Its clock is the machine's wall clock.
// Keys whose time to live is over are removed within half a second; scripts that compare
// times themselves see the time of each command.
//
// Where it does not listen it has no port, and nothing outside the process can reach it.
package inproc
