package main

import "fmt"

// bulkOf measures the rate of enqueue bulk, from the start of the process to its end: it
// reads the file, seals the tokens and looks for duplicates.
func bulkOf(calls, each int, how order) func(*rig) float64 {
	return func(r *rig) float64 {
		tokens := max(1, r.n(calls)/each)
		file := r.csv(tokens, each, how)
		took := r.bulk(file, "bulk")
		return float64(tokens*each) / took.Seconds()
	}
}

func plainBulkOf(calls int) func(*rig) float64 {
	return func(r *rig) float64 {
		n := r.n(calls)
		return float64(n) / r.plainBulk(n, 0).Seconds()
	}
}

const memoryTokens = 50_000

// grown returns by how many bytes Redis' memory grows through f, without the buffers of
// connections and of the append-only file.
func (r *rig) grown(f func()) float64 {
	held := func() int {
		return r.infoInt("memory", "used_memory") - r.infoInt("memory", "mem_clients_normal") - r.infoInt("memory", "mem_aof_buffer")
	}
	before := held()
	f()
	return float64(held() - before)
}

// memoryFirst returns all the memory for a call that is its token's only one: record, chain,
// sealed token, batch, ready list.
func memoryFirst(r *rig) float64 {
	n := r.n(memoryTokens)
	file := r.csv(n, 1, together)
	return r.grown(func() { r.bulk(file, "memory") }) / float64(n)
}

func memoryTask(r *rig) float64 {
	n := r.n(memoryTokens)
	return r.grown(func() { r.plainBulk(n, 0) }) / float64(n)
}

// memoryFurther returns the memory for each of a token's second to tenth calls.
func memoryFurther(r *rig) float64 { return r.further(r.csv) }

func memoryFurtherWithIDs(r *rig) float64 { return r.further(r.csvWithIDs) }

func (r *rig) further(csv func(tokens, each int, how order) string) float64 {
	n := r.n(memoryTokens)
	var sizes []float64
	for _, each := range []int{1, 10} {
		r.reset()
		file := csv(n, each, together)
		sizes = append(sizes, r.grown(func() { r.bulk(file, fmt.Sprint("memory", each)) }))
	}
	return (sizes[1] - sizes[0]) / float64(9*n)
}

// memoryProducer returns by how many bytes the command's peak memory grows for each further row of a file.
func memoryProducer(r *rig) float64 {
	few, many := r.n(200_000), r.n(1_200_000)
	var peaks []float64
	for _, n := range []int{few, many} {
		r.reset()
		peaks = append(peaks, r.bulkPeak(r.csv(n, 1, together), fmt.Sprint("peak", n)))
	}
	return (peaks[1] - peaks[0]) / float64(many-few)
}
