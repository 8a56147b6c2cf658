package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// million makes 1,000,000 calls of 100,000 tokens, from the file to the last answer. It
// returns the calls a second from the start of enqueue bulk; the worker runs meanwhile.
func million(r *rig) float64 {
	tokens := r.n(100_000)
	calls := 10 * tokens
	file := r.csv(tokens, 10, together)
	url := r.vendor()
	w := r.worker(url)
	began := time.Now()
	r.logf("    enqueued in %s", r.bulk(file, "million").Round(100*time.Millisecond))
	for _, quarter := range []int{1, 2, 3, 4} {
		r.await(url, calls*quarter/4)
		r.logf("    %3d %% after %s, worker %.0f MB, Redis %s", 25*quarter, time.Since(began).Round(100*time.Millisecond),
			r.memory(w, "VmRSS")/1e6, r.info("memory", "used_memory_human"))
	}
	return float64(calls) / time.Since(began).Seconds()
}

// memory reads a field of /proc/PID/status, in bytes: VmRSS is what a process has, VmHWM the most that it ever had.
func (r *rig) memory(p *proc, field string) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			kB, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 64)
			return kB * 1024
		}
	}
	r.tb.Fatalf("no %s in /proc/PID/status: the memory of a process is measured on Linux", field)
	return 0
}

// growth are the rates at 10,000, 100,000 and 1,000,000 calls.
func growth() []figure {
	var all []figure
	for _, calls := range []int{10_000, 100_000, 1_000_000} {
		all = append(all,
			figure{what: fmt.Sprintf("bulk, %s calls, 10 for each token", thousands(fmt.Sprint(calls))), against: "asynq.Client.Enqueue", unit: "/s",
				ours: bulkOf(calls, 10, together), theirs: plainBulkOf(calls)},
			figure{what: fmt.Sprintf("bulk, %s calls, one for each token", thousands(fmt.Sprint(calls))), against: "asynq.Client.Enqueue", unit: "/s",
				ours: bulkOf(calls, 1, together), theirs: plainBulkOf(calls)},
			figure{what: fmt.Sprintf("through the worker, %s calls, 10 for each token", thousands(fmt.Sprint(calls))), against: "a plain asynq handler", unit: "/s",
				ours: through(calls, 10), theirs: plainThrough(calls)},
		)
	}
	return all
}
