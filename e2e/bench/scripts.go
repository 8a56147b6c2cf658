package main

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// scripts returns how often Redis was asked to run a script.
func (r *rig) scripts() int {
	sum := 0
	for _, command := range []string{"eval", "evalsha"} {
		_, rest, _ := strings.Cut(r.info("commandstats", "cmdstat_"+command), "calls=")
		calls, _, _ := strings.Cut(rest, ",")
		n, _ := strconv.Atoi(calls)
		sum += n
	}
	return sum
}

// chainsOfOne writes a file of chains of one token, each of so many calls.
func (r *rig) chainsOfOne(chains, each int) string {
	path := filepath.Join(r.dir, "chains.csv")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	r.no(err)
	w := bufio.NewWriter(f)
	_, _ = w.WriteString("server,token,chain\n")
	for i := range chains * each {
		_, _ = fmt.Fprintf(w, "0001,%s,c%d\n", token("one", 0), i%chains)
	}
	r.no(w.Flush())
	r.no(f.Close())
	return path
}

// tellCommands logs what Redis did for each call, by its own count: scripts and commands, even
// those within scripts.
func (r *rig) tellCommands(s seen) {
	text, err := r.rdb.Info(r.ctx, "commandstats").Result()
	r.no(err)
	type stat struct {
		name        string
		calls, usec float64
	}
	var all []stat
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		calls, rest, _ := strings.Cut(rest, ",usec=")
		usec, _, _ := strings.Cut(rest, ",")
		n, _ := strconv.ParseFloat(calls, 64)
		u, _ := strconv.ParseFloat(usec, 64)
		all = append(all, stat{name, n / float64(s.Requests), u / float64(s.Requests)})
	}
	slices.SortFunc(all, func(a, b stat) int { return cmp.Compare(b.usec, a.usec) })
	var b strings.Builder
	for _, c := range all[:min(len(all), 12)] {
		fmt.Fprintf(&b, " %s %.2f (%.1f µs)", c.name, c.calls, c.usec)
	}
	r.logf("    commands for each call:%s", b.String())
}
