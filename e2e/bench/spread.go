package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"habilita/internal/testkit/redistest"
)

// spreadFigures show how evenly the work is spread, over a cluster's masters by processor time and over workers by
// calls: the busiest over the mean.
func spreadFigures() []figure {
	var all []figure
	for _, masters := range []int{1, 3, 6} {
		all = append(all, figure{
			what: fmt.Sprintf("cluster of %d: CPU of the busiest master over the mean, QUEUES=16", masters), against: "QUEUES=1", unit: "x", less: true, absolute: true,
			floor: 1.2, ours: spread(masters, "16"), theirs: spread(masters, "1"),
		})
	}
	return append(all, figure{
		what: "8 workers on one ledger: calls of the busiest over the mean", unit: "x", less: true, absolute: true, floor: 1.3, ours: share(8, 2000, 10),
	}, figure{
		what: "8 workers on one ledger, `CONCURRENCY=64`: the same", unit: "x", less: true, absolute: true, floor: 1.3, ours: share(8, 2000, 10, "CONCURRENCY=64"),
	})
}

func spread(masters int, queues string) func(*rig) float64 {
	return func(r *rig) float64 {
		url, nodes := redistest.StartCluster(r.tb, masters)
		defer func() {
			r.endAll()
			r.env = nil
			for _, n := range nodes {
				n.Kill()
			}
		}()
		r.env = []string{"REDIS_URL=" + url, "QUEUES=" + queues}
		tokens := r.n(2000)
		vendor := r.vendor()
		r.bulk(r.csv(tokens, 10, together), "spread")
		before := r.nodeCPU(nodes)
		r.worker(vendor, atOnceAsPlain)
		s := r.await(vendor, tokens*10)
		var used []float64
		sum := 0.0
		for i, after := range r.nodeCPU(nodes) {
			d := (after - before[i]).Seconds()
			used, sum = append(used, d), sum+d
		}
		r.logf("    %d calls, each of %.0f µs of Redis; CPU of the masters in s: %.2f", s.Requests, sum*1e6/float64(s.Requests), used)
		return slices.Max(used) * float64(masters) / sum
	}
}

// nodeCPU returns the processor time of servers.
func (r *rig) nodeCPU(nodes []*redistest.Server) []time.Duration {
	var all []time.Duration
	for _, n := range nodes {
		text, err := n.Client().Info(r.ctx, "server").Result()
		r.no(err)
		_, rest, _ := strings.Cut(text, "process_id:")
		pid, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
		r.no(err)
		all = append(all, r.cpu(pid))
	}
	return all
}
