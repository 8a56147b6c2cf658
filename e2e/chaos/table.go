package main

import "time"

// rows are the lines of the table, in the order of docs/faults.md.
func rows(full bool) []row {
	// of picks the dose.
	of := func(whole, ci int) int {
		if full {
			return whole
		}
		return ci
	}
	all := []row{}
	for _, family := range []func(of func(whole, ci int) int) []row{workerRows, stopRows, termRows, crowdRows, producerRows, restartRows, redisRows, nodeRows, refuseRows, lostRows, networkRows, partitionRows, vendorRows, simulatedRows, poisonRows, inputRows, fullRows, diskRows} {
		all = append(all, family(of)...)
	}
	return all
}

const second = time.Second
