package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
	"habilita/internal/vault"
)

// Patience is how long a wait of the lab lasts by default.
const Patience = 60 * time.Second

// Lab is one Redis, one vendor, and the processes that use them. Its methods end the
// test if they fail.
type Lab struct {
	TB    testing.TB
	Dir   string // logs, the account, files to enqueue; deleted with the test
	Redis *redistest.Server
	// Vendor is what workers call; set by StartVendor or ServeVendor.
	Vendor *Vendor
	// Env is what every process gets; change it before a process starts. A value of ""
	// leaves the variable out.
	Env map[string]string
	// Keys is HABILITA_KEYS.
	Keys string

	bin     Binaries
	op      *control.Control
	rdb     *redis.Client
	names   atomic.Int64
	workers []*Worker
	outputs []Result // of every run of enqueue
	pages   []string // bodies that Get fetched
}

// New starts a lab with its Redis; redisArgs follow the server's own. If there is no
// redis-server on PATH, it skips the test, unless HABILITA_REQUIRE_REDIS=1.
func New(tb testing.TB, redisArgs ...string) *Lab {
	tb.Helper()
	l := &Lab{TB: tb, Dir: tb.TempDir(), Redis: redistest.Start(tb, redisArgs...)}
	var err error
	if l.bin, err = Build(); err != nil {
		tb.Fatal(err)
	}
	if l.Keys, err = vault.GenerateKey("lab1"); err != nil {
		tb.Fatal(err)
	}
	l.Env = environment(l.Dir)
	l.Set("REDIS_URL", l.Redis.URL, "HABILITA_KEYS", l.Keys)
	l.rdb = l.Redis.Client()
	if l.op, err = control.Open(l.rdb, "", quota.Settings{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(l.explain)
	return l
}

// NewLocal makes a lab with no Redis, for `enqueue run`: Redis, Client and Operator are nil.
func NewLocal(tb testing.TB) *Lab {
	tb.Helper()
	l := &Lab{TB: tb, Dir: tb.TempDir()}
	var err error
	if l.bin, err = Build(); err != nil {
		tb.Fatal(err)
	}
	l.Env = environment(l.Dir)
	tb.Cleanup(l.explain)
	return l
}

// environment returns what every process gets: short times, and of the machine's environment only PATH.
func environment(home string) map[string]string {
	return map[string]string{
		"LISTEN": "127.0.0.1:0", "LOG_FORMAT": "json",
		"CALL_TIMEOUT": "1s", "VENDOR_TIMEOUT": "1s", "SLOT_MARGIN": "1s", "SHUTDOWN_TIMEOUT": "10s",
		"RETRY_MIN": "20ms", "RETRY_MAX": "200ms", "QUOTA_GUARD": "1ms",
		"PATH": os.Getenv("PATH"), "HOME": home, "GORACE": "halt_on_error=1 atexit_sleep_ms=0",
	}
}

// Set changes Env.
func (l *Lab) Set(pairs ...string) {
	l.TB.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		l.Env[pair[0]] = pair[1]
	}
}

// Lease returns, from Env, how long a slot stays taken if nobody releases it.
func (l *Lab) Lease() time.Duration {
	d := func(name string) time.Duration {
		v, err := time.ParseDuration(l.Env[name])
		if err != nil {
			l.TB.Fatalf("%s: %v", name, err)
		}
		return v
	}
	return max(d("CALL_TIMEOUT"), d("VENDOR_TIMEOUT")) + d("SLOT_MARGIN")
}

// Client returns a client of the lab's Redis, for what a test wants to see or to break.
func (l *Lab) Client() *redis.Client { return l.rdb }

// Operator reads the ledger in this process, so that a wait need not start a process for each
// look. Verdicts come from the enqueue command.
func (l *Lab) Operator() *control.Control { return l.op }

func (l *Lab) environ(extra ...string) []string {
	all := maps.Clone(l.Env)
	if l.Vendor != nil {
		all["WOLKVOX_URL"] = l.Vendor.URL
	}
	for pair := range slices.Chunk(extra, 2) {
		all[pair[0]] = pair[1]
	}
	var env []string
	for k, v := range all {
		if v != "" {
			env = append(env, k+"="+v)
		}
	}
	return env
}

func (l *Lab) name(what string) string { return fmt.Sprintf("%s%d", what, l.names.Add(1)) }

// File writes a file into Dir and returns its path.
func (l *Lab) File(name, text string) string {
	l.TB.Helper()
	path := filepath.Join(l.Dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.TB.Fatal(err)
	}
	return path
}

// Await is the function Await for the lab's test.
func (l *Lab) Await(what string, timeout time.Duration, good func(ctx context.Context) (bool, string)) {
	l.TB.Helper()
	Await(l.TB, what, timeout, good)
}

// Await asks good until it is true. After timeout (0: Patience) it fails the test with what
// good said last. An error that passes before then does no harm.
func Await(tb testing.TB, what string, timeout time.Duration, good func(ctx context.Context) (bool, string)) {
	tb.Helper()
	if timeout == 0 {
		timeout = Patience
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, last := good(ctx)
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			tb.Fatalf("%s: not within %s: %s", what, timeout, last)
		case <-tick.C:
		}
	}
}

// AwaitStatus waits until the counts of a batch are good, and returns them.
func (l *Lab) AwaitStatus(batch, what string, timeout time.Duration, good func(control.Status) bool) control.Status {
	l.TB.Helper()
	var st control.Status
	l.Await(batch+": "+what, timeout, func(ctx context.Context) (bool, string) {
		s, err := l.op.Status(ctx, batch)
		if err != nil {
			return false, err.Error()
		}
		st = s
		return good(s), fmt.Sprintf("%+v", s)
	})
	return st
}

// AwaitSettled waits until nothing more happens to a batch without a person.
func (l *Lab) AwaitSettled(batch string, timeout time.Duration) control.Status {
	l.TB.Helper()
	return l.AwaitStatus(batch, "settled", timeout, func(s control.Status) bool { return s.Settled })
}

// KeepEnv is an environment variable. It names a directory into which a failed test puts
// all logs and the account.
const KeepEnv = "HABILITA_LAB_KEEP"

// explain shows the ends of all logs of a test that failed.
func (l *Lab) explain() {
	if !l.TB.Failed() {
		return
	}
	for _, w := range l.workers {
		l.TB.Logf("--- %s\n%s", w.Name, w.Tail(8))
	}
	if dir := os.Getenv(KeepEnv); dir != "" {
		if err := os.CopyFS(filepath.Join(dir, filepath.Base(filepath.Dir(l.Dir))), os.DirFS(l.Dir)); err != nil {
			l.TB.Logf("logs are not kept: %v", err)
		}
	}
	if l.Vendor != nil {
		var b strings.Builder
		if err := l.Vendor.Account().Summarize(nil).Write(&b); err == nil {
			l.TB.Logf("--- the vendor's account\n%s", b.String())
		}
	}
}

// TakeOver makes everything that starts from now on use another node.
func (l *Lab) TakeOver(s *redistest.Server) {
	l.TB.Helper()
	l.Redis, l.rdb = s, s.Client()
	l.Set("REDIS_URL", s.URL)
	var err error
	if l.op, err = control.Open(l.rdb, "", quota.Settings{}); err != nil {
		l.TB.Fatal(err)
	}
}
