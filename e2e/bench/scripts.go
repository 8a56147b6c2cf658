package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// scripts is how often Redis was asked to run a script.
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
