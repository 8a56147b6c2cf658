package localrun

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"habilita/internal/engine"
	"habilita/internal/localrun/wal"
	"habilita/internal/testkit/wolkvoxtest"
)

// bounded is a disk of limited size, whose syncs fail from a certain one on.
type bounded struct {
	wal.Disk
	size  int64
	syncs *atomic.Int64 // that succeed
}

func (d bounded) Allocate(from, to int64) error {
	if to > d.size {
		return syscall.ENOSPC
	}
	return nil
}

func (d bounded) WriteAt(p []byte, at int64) (int, error) {
	fit := max(0, min(int64(len(p)), d.size-at))
	n, err := d.Disk.WriteAt(p[:fit], at)
	if err == nil && n < len(p) {
		err = syscall.ENOSPC
	}
	return n, err
}

func (d bounded) Sync() error {
	if d.syncs != nil && d.syncs.Add(-1) < 0 {
		return syscall.EIO
	}
	return d.Disk.Sync()
}

// watched says after each sync how many bytes of the file a loss of power leaves.
type watched struct {
	wal.Disk
	written atomic.Int64
	synced  func(upTo int64)
}

func (d *watched) WriteAt(p []byte, off int64) (int, error) {
	n, err := d.Disk.WriteAt(p, off)
	d.written.Store(off + int64(n))
	return n, err
}

func (d *watched) Sync() error {
	upTo := d.written.Load()
	err := d.Disk.Sync()
	if err == nil {
		d.synced(upTo)
	}
	return err
}

// toldIn returns the calls that the results show as done.
func toldIn(t *testing.T, file string) map[string]bool {
	t.Helper()
	told := map[string]bool{}
	for _, row := range resultsIn(t, file) {
		if id, ok := strings.CutSuffix(row, ",succeeded"); ok {
			told[id] = true
		}
	}
	return told
}

// madeAgain returns the calls of told that were made once more.
func madeAgain(sim *wolkvoxtest.Server, told map[string]bool, before int) []string {
	var again []string
	for i, r := range sim.Account().Records {
		if i >= before && told[r.Call] {
			again = append(again, r.Call)
		}
	}
	return again
}

// goOn finishes a job on a good disk.
func goOn(t *testing.T, c Config, calls, tokens int) {
	t.Helper()
	c.disk = nil
	j := start(t, c, rows(calls, tokens))
	s, err := j.Work(t.Context(), false, func(State) {})
	if err := errors.Join(err, j.Close()); err != nil || s.Succeeded != calls {
		t.Fatalf("%+v, %v", s, err)
	}
}

// At whatever point the disk is full, the next start knows what was sent, so that no call is
// made twice, and the journal has everything that was shown as done.
func TestFullDisk(t *testing.T) {
	const calls, tokens = 40, 10
	for _, size := range []int64{0, 300, 5_000, 20_000, 45_000, 49_000, 60_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			sim := wolkvoxtest.Start(t, wolkvoxtest.Options{})
			c := config(newFile(t, "x"), sim)
			c.disk = func(d wal.Disk) wal.Disk { return bounded{Disk: d, size: size} }
			j, err := Open(t.Context(), c)
			if err == nil {
				var s State
				if _, err = j.Enqueue(t.Context(), rows(calls, tokens), engine.BatchOptions{}); err == nil {
					s, err = j.Work(t.Context(), false, func(State) {})
				}
				if cerr := j.Close(); cerr != nil {
					t.Errorf("%d bytes: %v", size, cerr)
				}
				if n := len(toldIn(t, c.File)); n != s.Succeeded || n != sim.Account().Totals.Requests {
					t.Errorf("%d bytes: %d are told, %d rows, %d requests", size, s.Succeeded, n, sim.Account().Totals.Requests)
				}
			}
			// What is reserved at a time depends on how many requests are in flight, so near the end
			// of the job the disk may be full or not.
			if full := errors.Is(err, syscall.ENOSPC); !full && (err != nil || size <= 20_000) || full && size >= 60_000 {
				t.Errorf("%d bytes: %v", size, err)
			}
			told, before := toldIn(t, c.File), sim.Account().Totals.Requests
			t.Logf("%d bytes: %d requests, %d told", size, before, len(told))
			goOn(t, c, calls, tokens)
			if n := sim.Account().Totals.Requests; n != calls {
				t.Errorf("%d bytes: %d requests for %d calls; told and made again: %v", size, n, calls, madeAgain(sim, told, before))
			}
		})
	}
}

// Whenever a sync fails, and whatever of the journal is lost with it, no call that was shown as
// done is made again.
func TestFailedSync(t *testing.T) {
	const calls, tokens = 40, 10
	// Each chain's 4 grants are synced one after the other, so there are never less than 6 syncs.
	for _, syncs := range []int64{0, 2, 4, 5} {
		t.Run(fmt.Sprint(syncs), func(t *testing.T) {
			t.Parallel()
			sim := wolkvoxtest.Start(t, wolkvoxtest.Options{})
			c := hasty(config(newFile(t, "x"), sim))
			left := &atomic.Int64{}
			left.Store(syncs)
			safe := &atomic.Int64{}
			c.disk = func(d wal.Disk) wal.Disk { return &watched{Disk: bounded{d, 1 << 30, left}, synced: safe.Store} }
			j, err := Open(t.Context(), c)
			if err == nil {
				if _, err := j.Enqueue(t.Context(), rows(calls, tokens), engine.BatchOptions{}); err != nil {
					t.Fatal(err)
				}
				var s State
				if s, err = j.Work(t.Context(), false, func(State) {}); !errors.Is(err, syscall.EIO) {
					t.Fatalf("%d syncs: %+v, %v", syncs, s, err)
				}
				_ = j.Close()
				if n := len(toldIn(t, c.File)); n != s.Succeeded {
					t.Errorf("%d syncs: %d are told, %d rows", syncs, s.Succeeded, n)
				}
				if n := safe.Load(); n > 0 {
					if err := os.Truncate(JournalOf(c.File), n); err != nil {
						t.Fatal(err)
					}
				}
			}
			told, before := toldIn(t, c.File), sim.Account().Totals.Requests
			t.Logf("%d syncs: %d requests, %d told", syncs, before, len(told))
			goOn(t, c, calls, tokens)
			if again := madeAgain(sim, told, before); len(again) > 0 {
				t.Errorf("%d syncs: told as done and made again: %v", syncs, again)
			}
		})
	}
}

// Calls that the policy cancelled, and that were shown as cancelled, are not made, whatever is
// asked for afterwards.
func TestCancelledStaysCancelled(t *testing.T) {
	for _, again := range []GivenUp{Leave, Skip, Retry} {
		t.Run(string(again), func(t *testing.T) {
			t.Parallel()
			refused := &atomic.Bool{}
			refused.Store(true)
			sim := wolkvoxtest.Start(t, wolkvoxtest.Options{Script: func(r wolkvoxtest.Record) wolkvoxtest.Fault {
				if r.Call == "call-0" && refused.Load() {
					return wolkvoxtest.Fault{Kind: wolkvoxtest.BadToken}
				}
				return wolkvoxtest.Fault{}
			}})
			c := config(newFile(t, "x"), sim)
			c.Policy = "cancel"
			for n := range 3 {
				j := start(t, c, rows(4, 2)) // call-2 stands behind call-0
				s, err := j.Work(t.Context(), false, func(State) {})
				if err := errors.Join(err, j.Close()); err != nil {
					t.Fatal(err)
				}
				if rows := resultsIn(t, c.File); s.Cancelled != 1 || !slices.Contains(rows, "call-2,cancelled") {
					t.Errorf("%q, start %d: %+v\n%s", again, n, s.Status, rows)
				}
				refused.Store(false)
				c.GivenUp = again
			}
			want := 3
			if again == Retry {
				want++
			}
			for _, r := range sim.Account().Records {
				if r.Call == "call-2" {
					t.Errorf("%q: a call that was told as cancelled was made", again)
				}
			}
			if n := sim.Account().Totals.Requests; n != want {
				t.Errorf("%q: %d requests", again, n)
			}
		})
	}
}
