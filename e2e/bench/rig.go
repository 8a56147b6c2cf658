package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"habilita/e2e"
	"habilita/internal/testkit/redistest"
	"habilita/internal/vault"
)

// rig is one Redis and the processes of a turn. Its methods end the row if they fail.
type rig struct {
	tb      testing.TB
	ctx     context.Context
	out     io.Writer
	scale   float64
	dir     string
	bin     e2e.Binaries
	redis   *redistest.Server
	url     string        // REDIS_URL of all processes
	rdb     *redis.Client // wide enough for 64 goroutines
	keys    string
	procs   []*proc
	replica *redistest.Server // of rows that have one
	env     []string          // of every process
	made    map[string]string // files that stay for all turns
}

func newRig(ctx context.Context, tb testing.TB, s settings, out io.Writer) *rig {
	r := &rig{tb: tb, ctx: ctx, out: out, scale: s.scale, dir: tb.TempDir(), redis: redistest.Start(tb), made: map[string]string{}}
	var err error
	r.url = r.redis.URL
	r.bin, err = e2e.Build()
	r.no(err)
	r.keys, err = vault.GenerateKey("bench")
	r.no(err)
	r.rdb = redis.NewClient(&redis.Options{Addr: r.redis.Addr, PoolSize: 80, ReadTimeout: time.Minute})
	tb.Cleanup(func() { _ = r.rdb.Close() })
	tb.Cleanup(r.endAll)
	return r
}

func (r *rig) no(err error) {
	if err != nil {
		r.tb.Helper()
		r.tb.Fatal(err)
	}
}

func (r *rig) logf(format string, a ...any) { _, _ = fmt.Fprintf(r.out, format+"\n", a...) }

// n is a size, scaled.
func (r *rig) n(whole int) int { return max(1, int(float64(whole)*r.scale)) }

// reset makes Redis like a new one for the next turn. It removes the scripts, too: a command that finds
// scripts in an empty Redis waits for 2 s, in case a living process puts the token-ID key back.
func (r *rig) reset() {
	r.no(r.rdb.FlushAll(r.ctx).Err())
	r.no(r.rdb.ScriptFlush(r.ctx).Err())
	r.no(r.rdb.ConfigResetStat(r.ctx).Err())
	_ = r.rdb.Do(r.ctx, "MEMORY", "PURGE").Err() // without jemalloc there is nothing to purge
}

// proc is a process of a turn.
type proc struct {
	cmd    *exec.Cmd
	listen string // of a worker: its address
	done   chan struct{}
	out    *bufio.Reader
}

// start starts a program. Its error output goes to a file, as that of a service would.
func (r *rig) start(name, bin string, env []string, args ...string) *proc {
	log, err := os.OpenFile(filepath.Join(r.dir, name+".log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	r.no(err)
	defer log.Close()
	p := &proc{cmd: exec.Command(bin, args...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Dir, p.cmd.Stderr = env, r.dir, log
	out, err := p.cmd.StdoutPipe()
	r.no(err)
	p.out = bufio.NewReader(out)
	r.no(p.cmd.Start())
	go func() {
		defer close(p.done)
		_, _ = p.cmd.Process.Wait()
	}()
	r.procs = append(r.procs, p)
	return p
}

// end asks a process to end and waits for it.
func (p *proc) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func (r *rig) endAll() {
	for i := len(r.procs) - 1; i >= 0; i-- {
		r.procs[i].end()
	}
	r.procs = nil
}

func (r *rig) self() string {
	me, err := os.Executable()
	r.no(err)
	return me
}

func (r *rig) environ(pairs ...string) []string {
	return append([]string{"REDIS_URL=" + r.url, "HABILITA_KEYS=" + r.keys, "PATH=" + os.Getenv("PATH"), "HOME=" + r.dir,
		"DEFAULT_LICENSES=10", "LOG_FORMAT=json"}, append(r.env, pairs...)...)
}

// vendor starts the vendor and returns its URL.
func (r *rig) vendor(args ...string) string {
	p := r.start("vendor", r.self(), os.Environ(), append([]string{vendorCommand}, args...)...)
	url, err := p.out.ReadString('\n')
	r.no(err)
	return strings.TrimSpace(url)
}

// seen asks the vendor what it saw. If it keeps times, it answers once there are n requests.
func (r *rig) seen(url string, n int) seen {
	base, _, _ := strings.Cut(url, "/wv")
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, fmt.Sprintf("%s/seen/%d", base, n), nil)
	r.no(err)
	resp, err := http.DefaultClient.Do(req)
	r.no(err)
	defer resp.Body.Close()
	var s seen
	r.no(json.NewDecoder(resp.Body).Decode(&s))
	if s.Broken > 0 && s.Requests > 0 {
		r.logf("  the vendor saw %d requests above a limit", s.Broken)
	}
	return s
}

// await asks again and again until the vendor has answered n requests.
func (r *rig) await(url string, n int) seen {
	last, since := -1, time.Now()
	for {
		s := r.seen(url, 0)
		if s.Answered >= n {
			return s
		}
		if s.Answered != last {
			last, since = s.Answered, time.Now()
		}
		if time.Since(since) > time.Minute || r.ctx.Err() != nil {
			r.tb.Fatalf("the vendor answered %d of %d requests, and no more for a minute (logs: %s)", s.Answered, n, r.dir)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// worker starts habilita's worker and waits until it takes calls.
func (r *rig) worker(vendorURL string, env ...string) *proc {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	r.no(err)
	listen := ln.Addr().String()
	r.no(ln.Close())
	p := r.start(fmt.Sprint("worker", len(r.procs)), r.bin.Worker, r.environ(append([]string{"WOLKVOX_URL=" + vendorURL, "LISTEN=" + listen}, env...)...))
	p.listen = listen
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if resp, err := http.Get("http://" + listen + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return p
			}
		}
		if time.Since(began) > 20*time.Second {
			b, _ := os.ReadFile(filepath.Join(r.dir, fmt.Sprint("worker", len(r.procs)-1, ".log")))
			r.tb.Fatalf("the worker is not ready\n%s", b)
		}
	}
}

// plain starts the worker of plain asynq.
func (r *rig) plain(vendorURL string, check time.Duration, args ...string) *proc {
	return r.start("plain", r.self(), os.Environ(),
		append([]string{plainCommand, "-redis", r.redis.Addr, "-vendor", vendorURL, "-check", check.String()}, args...)...)
}

func (r *rig) client() *asynq.Client { return asynq.NewClientFromRedisClient(r.rdb) }

// cpu is the processor time that a process has used.
func (r *rig) cpu(pid int) time.Duration {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	r.no(err)
	if len(tasks) == 0 {
		r.tb.Fatal("no /proc/PID/task/*/schedstat: processor time is measured on Linux")
	}
	var sum time.Duration
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		if err != nil {
			continue // a thread that has just ended
		}
		ns, _, _ := strings.Cut(string(b), " ")
		n, _ := strconv.ParseInt(ns, 10, 64)
		sum += time.Duration(n)
	}
	return sum
}

// info reads one field of INFO.
func (r *rig) info(section, field string) string {
	text, err := r.rdb.Info(r.ctx, section).Result()
	r.no(err)
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (r *rig) infoInt(section, field string) int {
	n, _ := strconv.Atoi(r.info(section, field))
	return n
}
