package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

// shape is a load whose cost is measured.
type shape struct {
	nodes, tokens, each int
}

// cost is what a call costs, by the processes' and Redis' own counts. On a shared machine, processor time is a
// better measure than time.
type cost struct {
	shape
	bulkRedis, bulkProducer time.Duration // to enqueue it
	redis, worker           time.Duration // to make it
	busiest                 float64       // the busiest node over the mean, both together
	waiting, done           float64       // bytes of Redis' memory
	wire, file              float64       // bytes that Redis got and sent, and wrote into its append-only file
}

// printCosts measures shapes, each with a rig of its own. It prints what a call costs in each, and how
// buckets spread over nodes.
func printCosts(s settings, out io.Writer, measured func(what string, f func(r *rig)) bool) bool {
	n := func(whole int) int { return max(1, int(float64(whole)*s.scale)) }
	shapes := []shape{
		{1, n(20_000), 1}, {1, n(2_000), 10}, {1, n(10_000), 10}, {3, n(20_000), 1}, {3, n(2_000), 10}, {3, n(10_000), 10}, {6, n(2_000), 10},
	}
	_, _ = fmt.Fprintln(out, "| nodes | calls | tokens | enqueue: Redis, producer | make: Redis, worker | busiest node / mean | waiting, done | wire, AOF |")
	_, _ = fmt.Fprintln(out, "| ---: | ---: | ---: | --- | --- | ---: | --- | --- |")
	for _, sh := range shapes {
		var c cost
		what := fmt.Sprintf("%d nodes, %d calls of %d tokens", sh.nodes, sh.tokens*sh.each, sh.tokens)
		if !s.only.MatchString(what) {
			continue
		}
		if !measured(what, func(r *rig) { c = r.cost(sh) }) {
			return false
		}
		us := func(d time.Duration) string { return fmt.Sprintf("%.1f µs", float64(d)/1e3) }
		_, _ = fmt.Fprintf(out, "| %d | %s | %s | %s, %s | %s, %s | %.2f | %.0f, %.0f bytes | %.0f, %.0f bytes |\n", c.nodes, thousands(fmt.Sprint(c.tokens*c.each)), thousands(fmt.Sprint(c.tokens)),
			us(c.bulkRedis), us(c.bulkProducer), us(c.redis), us(c.worker), c.busiest, c.waiting, c.done, c.wire, c.file)
	}
	return measured("spread", func(r *rig) {
		_, nodes := redistest.StartCluster(r.tb, 1)
		c := nodes[0].Client()
		_, _ = fmt.Fprintln(out, "\n| nodes | buckets of the fullest / mean |\n| ---: | ---: |")
		for _, nodes := range []int{1, 3, 10, 30, 100} {
			_, _ = fmt.Fprintf(out, "| %d | %.2f |\n", nodes, r.spread(c, nodes))
		}
	})
}

// cost enqueues a load, then lets a worker make its calls at a vendor that answers at once.
func (r *rig) cost(sh shape) cost {
	clients := []*redis.Client{r.rdb}
	if sh.nodes > 1 {
		url, nodes := redistest.StartCluster(r.tb, sh.nodes)
		r.url = url
		clients = nil
		for _, s := range nodes {
			clients = append(clients, s.Client())
		}
	}
	calls := sh.tokens * sh.each
	c := cost{shape: sh}
	file := r.csv(sh.tokens, sh.each, together)
	before := r.look(clients)
	c.bulkProducer = r.bulkCPU(file) / time.Duration(calls)
	enqueued := r.look(clients)
	url := r.vendor()
	w := r.worker(url, manyQueues)
	r.await(url, calls)
	made := r.look(clients)
	c.worker = r.cpu(w.cmd.Process.Pid) / time.Duration(calls)
	each := func(f func(look) float64, from, to []look) (sum, most float64) {
		for i := range to {
			d := f(to[i]) - f(from[i])
			sum, most = sum+d, max(most, d)
		}
		return sum / float64(calls), most / float64(calls)
	}
	cpu := func(l look) float64 { return float64(l.cpu) }
	bulk, _ := each(cpu, before, enqueued)
	work, _ := each(cpu, enqueued, made)
	all, most := each(cpu, before, made)
	c.bulkRedis, c.redis = time.Duration(bulk), time.Duration(work)
	c.busiest = most / (all / float64(sh.nodes))
	memory := func(l look) float64 { return l.memory }
	c.waiting, _ = each(memory, before, enqueued)
	c.done, _ = each(memory, before, made)
	c.wire, _ = each(func(l look) float64 { return l.wire }, before, made)
	c.file, _ = each(func(l look) float64 { return l.file }, before, made)
	return c
}

// manyQueues is what docs/high-availability.md recommends for a cluster.
const manyQueues = "QUEUES=16"

// look is what a node has used so far.
type look struct {
	cpu                time.Duration
	memory, wire, file float64
}

func (r *rig) look(clients []*redis.Client) (all []look) {
	for _, c := range clients {
		text, err := c.Info(r.ctx, "everything").Result()
		r.no(err)
		field := func(name string) float64 {
			for line := range strings.Lines(text) {
				if v, ok := strings.CutPrefix(line, name+":"); ok {
					n, _ := strconv.ParseFloat(strings.TrimSpace(v), 64)
					return n
				}
			}
			r.tb.Fatalf("INFO has no %s", name)
			return 0
		}
		all = append(all, look{
			cpu: r.cpu(int(field("process_id"))), memory: field("used_memory_dataset"),
			wire: field("total_net_input_bytes") + field("total_net_output_bytes"), file: field("aof_current_size"),
		})
	}
	return all
}

// bulkCPU enqueues a file and returns the processor time of the command.
func (r *rig) bulkCPU(file string) time.Duration {
	cmd := exec.Command(r.bin.Enqueue, "bulk", file, "--batch", filepath.Base(file), "--json", "--progress", "none")
	cmd.Env = r.environ(manyQueues)
	text, err := cmd.Output()
	r.no(err)
	var sum struct{ Rows, Enqueued int }
	r.no(json.Unmarshal(text, &sum))
	if sum.Rows == 0 || sum.Enqueued != sum.Rows {
		r.tb.Fatalf("enqueue bulk: %+v", sum)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

// spread returns how many of the 1,024 buckets the fullest node has, over the mean. The nodes share the hash slots
// evenly.
func (r *rig) spread(c *redis.Client, nodes int) float64 {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	at := make([]float64, nodes)
	for _, a := range alphabet {
		for _, b := range alphabet {
			slot, err := c.ClusterKeySlot(r.ctx, fmt.Sprintf("{%c%c}", a, b)).Result()
			r.no(err)
			at[int(slot)*nodes/16384]++
		}
	}
	return slices.Max(at) * float64(nodes) / 1024
}
