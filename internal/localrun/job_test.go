package localrun

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/localrun/wal"
	"habilita/internal/quota"
	"habilita/internal/testkit/wolkvoxtest"
)

func noon() *time.Location {
	now := time.Now().UTC()
	return time.FixedZone("noon", int((12*time.Hour - now.Sub(now.Truncate(24*time.Hour))).Seconds()))
}

// config is a job on a simulated vendor. No request of it times out, however busy the machine is: each
// has an outcome that is known.
func config(file string, sim *wolkvoxtest.Server) Config {
	return Config{
		File: file, Batch: "job", Policy: "hold",
		Worker: engine.WorkerOptions{
			Options:    engine.Options{Quota: quota.Settings{Location: noon(), Guard: time.Millisecond, Lease: 2 * time.Minute}},
			WolkvoxURL: sim.URL, CallTimeout: time.Minute, VendorTimeout: time.Minute, SlotMargin: time.Minute,
			RetryMin: 10 * time.Millisecond, RetryMax: 20 * time.Millisecond, Log: zerolog.Nop(),
			TaskCheckInterval: 5 * time.Millisecond,
		},
	}
}

// resultsIn returns the complete rows of the results, each as "id,state".
func resultsIn(t testing.TB, file string) []string {
	t.Helper()
	raw, err := os.ReadFile(ResultsOf(file))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	state := slices.Index(control.Columns(), "state")
	var rows []string
	for line := range strings.Lines(string(raw)) {
		if f := strings.Split(line, ","); len(f) >= len(control.Columns()) && f[0] != "id" {
			rows = append(rows, f[0]+","+f[state])
		}
	}
	return rows
}

// hasty is a job with short leases, for a test that waits for them. A request may time out, and is then made again.
func hasty(c Config) Config {
	w := &c.Worker
	w.CallTimeout, w.VendorTimeout, w.SlotMargin, w.Quota.Lease = 2*time.Second, 2*time.Second, time.Second, 3*time.Second
	return c
}

// unnamed are calls of some tokens in turn.
func unnamed(n, tokens int) iter.Seq2[engine.Call, error] {
	return func(yield func(engine.Call, error) bool) {
		for i := range n {
			if !yield(engine.Call{Server: "1", Token: engine.Token(fmt.Sprint("token-", i%tokens))}, nil) {
				return
			}
		}
	}
}

// rows are calls of some tokens in turn, each with its place as its id.
func rows(n, tokens int) iter.Seq2[engine.Call, error] {
	return func(yield func(engine.Call, error) bool) {
		i := 0
		for c := range unnamed(n, tokens) {
			c.ID = fmt.Sprint("call-", i)
			i++
			if !yield(c, nil) {
				return
			}
		}
	}
}

func newFile(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ops.csv")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func start(t testing.TB, c Config, calls iter.Seq2[engine.Call, error]) *Job {
	t.Helper()
	j, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() }) // closed before where the test did
	if _, err := j.Enqueue(t.Context(), calls, engine.BatchOptions{}); err != nil {
		t.Fatal(err)
	}
	return j
}

// safe keeps what a loss of power would leave after each sync of a journal.
type safe struct {
	mu   sync.Mutex
	path string
	text string
}

func (s *safe) synced(upTo int64) {
	raw, _ := os.ReadFile(s.path)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = string(raw[:min(int64(len(raw)), upTo)])
}

func (s *safe) holds(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text, text)
}

// When a request reaches the vendor, its grant is in the part of the journal that a loss of
// power leaves.
func TestGrantIsOnTheDiskBeforeItsRequest(t *testing.T) {
	disk := &safe{}
	var mu sync.Mutex
	var bad []string
	sim := wolkvoxtest.Start(t, wolkvoxtest.Options{Script: func(r wolkvoxtest.Record) wolkvoxtest.Fault {
		if !disk.holds(fmt.Sprintf(`"k":"=%s"`, r.Call)) {
			mu.Lock()
			bad = append(bad, r.RequestID)
			mu.Unlock()
		}
		return wolkvoxtest.Fault{}
	}})
	file := newFile(t, "x")
	disk.path = JournalOf(file)
	c := config(file, sim)
	c.disk = func(d wal.Disk) wal.Disk { return &watched{Disk: d, synced: disk.synced} }
	j, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	if _, err := j.Enqueue(t.Context(), rows(60, 20), engine.BatchOptions{}); err != nil {
		t.Fatal(err)
	}
	state, err := j.Work(t.Context(), false, func(State) {})
	if err != nil || state.Succeeded != 60 {
		t.Fatalf("%+v, %v", state, err)
	}
	if len(bad) > 0 {
		t.Errorf("sent before their grants were on the disk: %v", bad)
	}
}

// If the journal can't be written any more, nothing more is sent, and the job says why.
func TestNothingIsSentWithoutItsRecord(t *testing.T) {
	sim := wolkvoxtest.Start(t, wolkvoxtest.Options{})
	file := newFile(t, "x")
	j := start(t, config(file, sim), rows(10, 10))
	if err := j.journal.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := j.Work(t.Context(), false, func(State) {})
	if err == nil || !strings.Contains(err.Error(), "journal") {
		t.Errorf("%v", err)
	}
	if n := sim.Account().Totals.Requests; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

// Open refuses a file that another process works on, another policy, and a damaged journal.
func TestOpenRefuses(t *testing.T) {
	sim := wolkvoxtest.Start(t, wolkvoxtest.Options{})
	file := newFile(t, "a\nb\n")
	c := config(file, sim)
	j := start(t, c, rows(4, 2))
	if _, err := Open(t.Context(), c); !errors.Is(err, wal.ErrLocked) {
		t.Errorf("a second process: %v", err)
	}
	if s, err := j.Work(t.Context(), false, func(State) {}); err != nil || s.Succeeded != 4 {
		t.Fatalf("%+v %v", s, err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	skip := c
	skip.Policy = "skip"
	var policy *PolicyError
	if _, err := Open(t.Context(), skip); !errors.As(err, &policy) || policy.Have != "hold" {
		t.Errorf("another policy: %v", err)
	}
	raw, err := os.ReadFile(JournalOf(file))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(JournalOf(file), append([]byte("damage\n"), raw...), 0o600); err != nil {
		t.Fatal(err)
	}
	var damage *wal.DamageError
	if _, err := Open(t.Context(), c); !errors.As(err, &damage) {
		t.Errorf("a damaged journal: %v", err)
	}
}

// A journal that lost its first record, beside results, is a damaged one: a start would make succeeded calls again.
// A process that dies before that record leaves no results, and its job begins.
func TestJournalWithoutItsFirstRecord(t *testing.T) {
	sim := wolkvoxtest.Start(t, wolkvoxtest.Options{})
	c := config(newFile(t, "x"), sim)
	write := func(raw []byte) {
		t.Helper()
		if err := os.WriteFile(JournalOf(c.File), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(nil)
	j := start(t, c, rows(3, 2))
	if s, err := j.Work(t.Context(), false, func(State) {}); err != nil || !s.AllSucceeded() {
		t.Fatalf("%+v, %v", s, err)
	}
	_ = j.Close()
	raw, err := os.ReadFile(JournalOf(c.File))
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []int{0, 10} {
		write(raw[:left])
		_, look := Look(t.Context(), c, rows(3, 2), engine.BatchOptions{})
		_, open := Open(t.Context(), c)
		for _, err := range []error{look, open} {
			if e, ok := errors.AsType[*wal.DamageError](err); !ok || e.Line != 1 {
				t.Errorf("%d bytes are left: %v", left, err)
			}
		}
	}
	if err := os.Remove(JournalOf(c.File)); err != nil {
		t.Fatal(err)
	}
	if j := start(t, c, rows(3, 2)); j.Resumed() {
		t.Error("it goes on without a journal")
	}
}

// If nothing of a file was called yet, the file may be another one at the next start.
func TestFileMayChangeBeforeTheFirstCall(t *testing.T) {
	sim := wolkvoxtest.Start(t, wolkvoxtest.Options{})
	file := newFile(t, "wrong")
	c := config(file, sim)
	_ = start(t, c, rows(1, 1)).Close()
	if err := os.WriteFile(file, []byte("right"), 0o600); err != nil {
		t.Fatal(err)
	}
	if j := start(t, c, rows(2, 1)); j.Resumed() {
		t.Error("it goes on")
	}
}

// What was in flight when the process died holds its slot and its chain, and counts on its
// day. What had succeeded stays so, and so does what the vendor had closed.
func TestCrashIsRemembered(t *testing.T) {
	sim := wolkvoxtest.Start(t, wolkvoxtest.Options{})
	file := newFile(t, "x")
	c := config(file, sim)
	c.Worker.CallTimeout, c.Worker.Quota.Lease = time.Minute, time.Minute+time.Second
	j := start(t, c, rows(6, 2)) // two chains of three calls
	var chains []string
	for ch, err := range j.world.Control.Chains(t.Context(), false) {
		if err != nil {
			t.Fatal(err)
		}
		chains = append(chains, ch.ID+" "+ch.Head.Key)
	}
	now := time.Now()
	for i, ch := range chains {
		id, key, _ := strings.Cut(ch, " ")
		a := &ledger.Attempt{
			Chain: id, Key: key, Nonce: fmt.Sprint("n", i), Number: 1, Spent: 1,
			LeaseEnds: now.Add(time.Minute), Days: now.In(noon()).Format("20060102"),
		}
		if err := j.beforeSend(t.Context(), a, now); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			j.results.written[rowKey{id, key}] = struct{}{} // it has no result here: nothing ran
			end := engine.Recorded{Attempt: a, At: now, Outcome: ledger.Outcome{Kind: ledger.Done, Slot: ledger.Release, Code: "202",
				Cooling: ledger.Cooling{Until: now.Add(time.Hour), Why: "closed"}}}
			if err := j.write(endRecord(end), false); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}

	j = start(t, c, rows(6, 2))
	done, _, _ := strings.Cut(chains[0], " ")
	busy, _, _ := strings.Cut(chains[1], " ")
	for token, want := range map[string]string{done: "1 used, 0 held, cooling true", busy: "1 used, 1 held, cooling false"} {
		limiter, err := quota.New(j.world.Client, j.c.Worker.Quota)
		if err != nil {
			t.Fatal(err)
		}
		u, err := limiter.Peek(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if have := fmt.Sprintf("%d used, %d held, cooling %v", u.Used, u.Held, !u.CoolingUntil.IsZero()); have != want {
			t.Errorf("%s, want %s", have, want)
		}
	}
	st, err := j.Status(t.Context())
	if err != nil || st.Succeeded != 1 || st.Open != 5 {
		t.Errorf("%+v %v", st, err)
	}
	for ch, err := range j.world.Control.Chains(t.Context(), false) {
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]string{done: "ready", busy: "running"}[ch.ID]; ch.State != want {
			t.Errorf("chain %s is %s, want %s", ch.ID, ch.State, want)
		}
	}
	if rows := resultsIn(t, file); len(rows) != 1 || !strings.HasSuffix(rows[0], ",succeeded") {
		t.Errorf("results: %s", rows)
	}
}

// A job in which nothing happens says why.
func TestWhyNothingHappens(t *testing.T) {
	sim := wolkvoxtest.Start(t, wolkvoxtest.Options{Script: func(wolkvoxtest.Record) wolkvoxtest.Fault {
		return wolkvoxtest.Fault{Kind: wolkvoxtest.Status500}
	}})
	c := config(newFile(t, "x"), sim)
	c.Worker.RetryMin, c.Worker.RetryMax = time.Hour, time.Hour
	j := start(t, c, rows(1, 1))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var why State
	_, err := j.Work(ctx, false, func(s State) {
		if len(s.LastErrors) > 0 {
			why = s
			stop()
		}
	})
	if !errors.Is(err, context.Canceled) || len(why.Waiting) != 1 || why.Waiting[0].Reason != "back-off" || !strings.Contains(why.LastErrors[0], "500") {
		t.Errorf("%+v, %v", why.Progress, err)
	}
}
