// Command chaos breaks things under load and finds out whether the promises held: it
// runs the real commands against a real redis-server and a simulated vendor (package
// e2e), puts each fault to them again and again, and prints one table of faults, doses
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
//	world what a unit breaks: a lab under load that is topped up between faults
//
// Every random choice of a unit comes from the seed, its row and its number, so that
// the same seed gives the same faults again. How processes interleave is not in our hand.
//
// # Unknown outcomes
//
// A request may be made again where its outcome was unknown to habilita. Those are the
// requests that the vendor's account shows as such (the caller had gone, the answer was
// cut or spoilt), and those that were answered in a window in which the answer could
// not be recorded: see the windows that each fault notes. Whatever else is made again
// is a violation.
package main
