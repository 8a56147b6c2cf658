package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
)

// token returns the nth token of a load: 40 characters without a meaning.
func token(prefix string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", prefix, n))
	return prefix + hex.EncodeToString(sum[:])[:40-len(prefix)]
}

// order says how the rows of a token are placed in a file.
type order bool

const (
	together order = false // one after the other
	apart    order = true  // as far from each other as possible
)

// csv writes a file of tokens x each calls and returns its path.
func (r *rig) csv(tokens, each int, how order) string { return r.csvOf("t", tokens, each, how) }

func (r *rig) csvOf(prefix string, tokens, each int, how order) string {
	return r.csvAt(prefix, tokens, each, manyServers, how)
}

const manyServers = 100

// csvWithIDs gives each row an id of 12 characters.
func (r *rig) csvWithIDs(tokens, each int, how order) string {
	return r.csvFile("t", tokens, each, manyServers, how, true)
}

// csvAt shares the tokens among so many servers.
func (r *rig) csvAt(prefix string, tokens, each, servers int, how order) string {
	return r.csvFile(prefix, tokens, each, servers, how, false)
}

func (r *rig) csvFile(prefix string, tokens, each, servers int, how order, ids bool) string {
	name := fmt.Sprintf("%s-%d-%d-%d-%v-%v.csv", prefix, tokens, each, servers, how, ids)
	if path := r.made[name]; path != "" {
		return path
	}
	path := filepath.Join(r.dir, name)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	r.no(err)
	w := bufio.NewWriter(f)
	header, format := "server,token,ref", "%04d,%s,order-%[3]d\n"
	if ids {
		header, format = header+",id", "%04d,%s,order-%[3]d,row-%08[3]d\n"
	}
	_, _ = fmt.Fprintln(w, header)
	for i := range tokens * each {
		t := i / each
		if how == apart {
			t = i % tokens
		}
		_, _ = fmt.Fprintf(w, format, 1+t%servers, token(prefix, t), i)
	}
	r.no(w.Flush())
	r.no(f.Close())
	r.made[name] = path
	return path
}

// bulk enqueues a file with the real command and returns how long the process took.
func (r *rig) bulk(file, batch string) time.Duration {
	_, took := r.bulkFrom(file, batch)
	return took
}

// bulkFrom also returns when the process was started.
func (r *rig) bulkFrom(file, batch string) (time.Time, time.Duration) {
	began, took, _ := r.bulkProcess(file, batch)
	return began, took
}

// bulkPeak returns the most memory that the process ever had, in bytes.
func (r *rig) bulkPeak(file, batch string) float64 {
	_, _, ended := r.bulkProcess(file, batch)
	usage, ok := ended.SysUsage().(*syscall.Rusage)
	if !ok || runtime.GOOS != "linux" {
		r.tb.Fatal("the most memory of a process can be told on Linux alone")
	}
	return float64(usage.Maxrss) * 1024
}

func (r *rig) bulkProcess(file, batch string) (time.Time, time.Duration, *os.ProcessState) {
	cmd := exec.Command(r.bin.Enqueue, "bulk", file, "--batch", batch, "--json", "--progress", "none")
	cmd.Env = r.environ()
	began := time.Now()
	out, err := cmd.Output()
	took := time.Since(began)
	r.no(err)
	var sum struct{ Rows, Enqueued int }
	r.no(json.Unmarshal(out, &sum))
	if sum.Rows == 0 || sum.Enqueued != sum.Rows {
		r.tb.Fatalf("enqueue bulk: %+v", sum)
	}
	return began, took, cmd.ProcessState
}

// plainBulk enqueues as many tasks with asynq's client from 64 goroutines.
func (r *rig) plainBulk(calls, left int) time.Duration {
	const goroutines = 64
	client := r.client()
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, goroutines)
	began := time.Now()
	for range goroutines {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= calls; i = int(next.Add(1)) {
				c := plainCall{Server: fmt.Sprintf("%04d", 1+i%manyServers), Token: token("t", i), Ref: fmt.Sprint("order-", i), Left: left}
				if _, err := client.EnqueueContext(r.ctx, plainTask(c), asynq.Queue(plainQueue)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	close(errs)
	for err := range errs {
		r.no(err)
	}
	return took
}
