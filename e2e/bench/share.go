package main

import (
	"bufio"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// share measures how many calls the busiest of some workers on one ledger makes, over the mean.
func share(workers, tokens, each int, env ...string) func(*rig) float64 {
	return func(r *rig) float64 {
		vendor := r.vendor("-latency", "50ms")
		var all []*proc
		for range workers {
			all = append(all, r.worker(vendor, env...))
		}
		r.bulk(r.csv(r.n(tokens), each, apart), "share")
		r.await(vendor, r.n(tokens)*each)
		var made []float64
		sum := 0.0
		for _, w := range all {
			n := r.succeeded(w)
			made, sum = append(made, n), sum+n
		}
		r.logf("    calls of each worker: %.0f", made)
		return slices.Max(made) * float64(workers) / sum
	}
}

// succeeded returns how many calls of a worker succeeded, by its metrics.
func (r *rig) succeeded(w *proc) float64 {
	resp, err := http.Get("http://" + w.listen + "/metrics")
	r.no(err)
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), `habilita_calls_total{outcome="succeeded"} `); ok {
			n, err := strconv.ParseFloat(text, 64)
			r.no(err)
			return n
		}
	}
	return 0
}
