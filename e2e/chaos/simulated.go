package main

import (
	"regexp"
)

// simulatedRows are the tests in simulated time. .ci/run runs them as a separate step, so
// the small dose leaves them out.
func simulatedRows(of func(whole, ci int) int) []row {
	return []row{{
		name: "clocks off by 10 min and 2 days, midnight and DST under load", dose: "the whole matrix, simulated time", took: 120 * second, alone: true,
		units: optional(of(1, 0) > 0, func(u *unit) {
			out := u.goTool([]string{"HABILITA_MATRIX=all"}, "test", "-count=1", "-v", "-timeout", "30m", "./internal/simtime")
			u.sum.note("%d cases passed", len(passed.FindAllString(out, -1)))
		}),
	}}
}

var passed = regexp.MustCompile(`(?m)^ *--- PASS`)
