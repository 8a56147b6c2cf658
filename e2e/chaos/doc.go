// Command chaos breaks things under load and finds out whether the promises held. It
// runs the real commands against a real redis-server and a simulated vendor (package
// e2e), causes each fault again and again, and prints one table of faults, doses
// and violations. docs/faults.md has what it measured, and docs/reliability.md says how to read it.
//
//	go run -C e2e ./chaos                          the full dose, under an hour
//	go run -C e2e ./chaos -dose ci                 a small one, in minutes
//	go run -C e2e ./chaos -only 'kill|Redis' -seed 7
//
// # Parts
//
//	row   one fault and its dose: a line of the table
//	unit  a part of a row's dose with a lab of its own; units run side by side
//	world what a unit breaks: a lab under load, which gets more work between faults
//
// Every random choice of a unit comes from the seed, its row and its number, so the same seed
// gives the same faults again. How processes interleave is beyond our control.
//
// # Unknown outcomes
//
// A request may be made again if habilita did not know its outcome. The vendor's account
// shows some of these requests (the caller had gone, the answer was cut or spoilt). Others
// were answered in a window in which the answer could not be recorded: each fault notes its
// windows. Any other request that is made again is a violation.
package main
