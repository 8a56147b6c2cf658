package simtime

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/testkit/wolkvoxtest"
)

// TestFileIsGivenAgain gives a file again and again under one name, edited at random. Producers and
// workers die in the middle, and the outcome of some requests is unknown. The vendor's account
// must have every row of the last file exactly once, none that was pruned before it was sent, and
// the rows of a chain in the order in which they joined it.
func TestFileIsGivenAgain(t *testing.T) {
	seeds := uint64(6)
	if whole() {
		seeds = 200
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			faults := rand.New(rand.NewPCG(seed, 2))
			zone := time.FixedZone("Bogota", -5*3600)
			run(t, World{
				Start: time.Date(2026, 11, 24, 9, 0, 0, 0, zone), Workers: 2, Idle: 100 * time.Millisecond,
				Vendor: wolkvoxtest.Options{Latency: 200 * time.Millisecond, Jitter: 600 * time.Millisecond, Seed: seed,
					Script: func(wolkvoxtest.Record) wolkvoxtest.Fault {
						switch faults.IntN(12) {
						case 0:
							return wolkvoxtest.Fault{Kind: wolkvoxtest.Status503}
						case 1:
							return wolkvoxtest.Fault{Kind: wolkvoxtest.ResetBefore}
						}
						return wolkvoxtest.Fault{}
					}},
				Options: engine.WorkerOptions{CallTimeout: 5 * time.Second, VendorTimeout: 5 * time.Second, SlotMargin: time.Second,
					RetryMin: 100 * time.Millisecond, RetryMax: time.Second, MaxAttempts: 1000},
			}, func(w *world) {
				(&rewriting{world: w, random: random, known: map[string]bool{}, cutOff: map[string]int{}, joined: map[string]time.Time{}, order: map[string][]string{}}).test()
			})
		})
	}
}

// row is a row of a file.
type row struct{ server, token, chain, ref, id string }

// rewriting is a file that is given again and again, and the result that it must have.
type rewriting struct {
	*world
	random *rand.Rand
	file   []row
	gone   []row                // was in a file, and may come back
	known  map[string]bool      // calls that are there and were not pruned, by id
	order  map[string][]string  // of these, by chain, as they joined
	unsent map[string]bool      // pruned before they were sent, when last seen
	joined map[string]time.Time // when the giving began that brought it; a call that is new again joins anew
	began  time.Time
	cutOff map[string]int // calls that may have been at the vendor when a worker was killed
}

func pickOne[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func (f *rewriting) row() row {
	r := row{server: pickOne(f.random, "0001", "0002"), token: pickOne(f.random, "t1", "t2", "t3", "t4"),
		chain: pickOne(f.random, "", "", "x"), ref: pickOne(f.random, "", "", "a", "b", "c")}
	if f.random.IntN(4) == 0 { // what an id says does not change
		r = row{server: "0003", token: r.token, id: fmt.Sprint(r.token, "-", f.random.IntN(5))}
	}
	return r
}

// edit corrects, deletes, inserts, doubles, brings back and moves rows.
func (f *rewriting) edit() {
	for range 1 + f.random.IntN(5) {
		n := len(f.file)
		switch i := f.random.IntN(n + 1); f.random.IntN(6) {
		case 0:
			f.file = slices.Insert(f.file, i, f.row())
		case 1:
			if i < n && n > 1 {
				f.gone = append(f.gone, f.file[i])
				f.file = slices.Delete(f.file, i, i+1)
			}
		case 2:
			if i < n {
				f.gone = append(f.gone, f.file[i])
				f.file[i] = f.row()
			}
		case 3:
			if i < n {
				f.file = slices.Insert(f.file, f.random.IntN(n+1), f.file[i])
			}
		case 4:
			if len(f.gone) > 0 {
				f.file = slices.Insert(f.file, i, pickOne(f.random, f.gone...))
			}
		case 5:
			f.random.Shuffle(n, func(a, b int) { f.file[a], f.file[b] = f.file[b], f.file[a] })
		}
	}
	// An id stands once for a token.
	seen := map[string]bool{}
	f.file = slices.DeleteFunc(f.file, func(r row) bool {
		twice := r.id != "" && seen[r.id]
		seen[r.id] = true
		return twice
	})
}

// ids are those of the file's calls, and their chains.
func (f *rewriting) ids() (ids, chains []string) {
	same := map[row]uint64{}
	for _, r := range f.file {
		name := f.names.Name(r.token)
		key := ledger.GivenKey(r.id)
		if r.id == "" {
			same[r]++
			key = ledger.RowKey(f.names, same[r], r.server, name, r.chain, r.ref)
		}
		ids = append(ids, ledger.CallID(ledger.BatchID("file"), name, key))
		chains = append(chains, ledger.ChainID(name, r.chain))
	}
	return ids, chains
}

var errKilled = errors.New("the producer is killed")

// give gives the file, to its end or until the producer dies.
func (f *rewriting) give(upTo int, o engine.BatchOptions) (engine.Summary, error) {
	f.began = time.Now()
	return f.producer.EnqueueBatch(f.ctx, "file", func(yield func(engine.Call, error) bool) {
		for i, r := range f.file {
			if i == upTo {
				yield(engine.Call{}, errKilled)
				return
			}
			c := engine.Call{Server: r.server, Token: engine.Token(r.token), Chain: r.chain, Ref: r.ref, ID: r.id, Row: i + 2}
			if !yield(c, nil) {
				return
			}
		}
	}, o)
}

// see brings the expected result up to date, after the file was given.
func (f *rewriting) see() {
	there := map[string]control.CallRecord{}
	for r, err := range f.operator.Report(f.ctx, "file") {
		f.no(err)
		there[r.ID] = r
	}
	f.unsent = map[string]bool{}
	for id, r := range there {
		if r.State == ledger.StateCancelled {
			f.unsent[id] = r.Attempts == 0
			delete(f.known, id)
		}
	}
	for c, calls := range f.order {
		f.order[c] = slices.DeleteFunc(calls, func(id string) bool { return !f.known[id] })
	}
	ids, chains := f.ids()
	for i, id := range ids {
		if r, ok := there[id]; ok && r.State != ledger.StateCancelled && !f.known[id] {
			f.known[id], f.joined[id] = true, f.began
			f.order[chains[i]] = append(f.order[chains[i]], id)
		}
	}
}

func (f *rewriting) test() {
	f.file = []row{f.row()}
	f.edit()
	for range 6 {
		f.edit()
		if f.random.IntN(3) == 0 {
			_, err := f.give(f.random.IntN(len(f.file)+1), engine.BatchOptions{})
			if err != nil && !errors.Is(err, errKilled) {
				f.Fatal(err)
			}
			if _, err := f.operator.Status(f.ctx, "file"); err == nil {
				f.see()
			}
		}
		s, err := f.give(-1, engine.BatchOptions{PruneExactly: max(1, f.missing())})
		f.no(err)
		if !s.Complete() || s.Rows != s.Enqueued+s.Duplicates {
			f.Fatalf("%+v", s)
		}
		f.see()
		time.Sleep(time.Duration(f.random.IntN(4000)) * time.Millisecond)
		if f.random.IntN(3) == 0 {
			f.kill()
			for r, err := range f.operator.Report(f.ctx, "file") {
				f.no(err)
				if r.State == ledger.StateRunning {
					f.cutOff[r.ID]++
				}
			}
		}
	}
	// A call that was at the vendor when its worker was killed may be made once more.
	f.await("file", "done", 12*time.Hour, func(s control.Status) bool { return s.Open == 0 })
	f.judgeFile()
}

// missing is how many calls are no longer in the file.
func (f *rewriting) missing() int {
	s, err := f.give(-1, engine.BatchOptions{Look: true})
	f.no(err)
	return s.Missing
}

func (f *rewriting) judgeFile() {
	made, first := map[string]int{}, map[string]time.Time{}
	asked := map[string]int{}
	for _, r := range f.vendor.Account().Records {
		asked[r.Call]++
		if r.Success {
			made[r.Call]++
		}
		if first[r.Call].IsZero() && !r.Arrived.Before(f.joined[r.Call]) {
			first[r.Call] = r.Arrived
		}
	}
	ids, _ := f.ids()
	for i, id := range ids {
		if made[id] < 1 || made[id] > 1+f.cutOff[id] {
			f.Errorf("row %d of the last file (%+v) was made %d times", i+2, f.file[i], made[id])
		}
	}
	for id, n := range made {
		if n > 1+f.cutOff[id] {
			f.Errorf("%s was made %d times", id, n)
		}
	}
	for id := range f.unsent {
		if f.unsent[id] && asked[id] > 0 {
			f.Errorf("%s was pruned unsent, and sent %d times", id, asked[id])
		}
	}
	for c, calls := range f.order {
		for i := 1; i < len(calls); i++ {
			if a, b := first[calls[i-1]], first[calls[i]]; !a.IsZero() && !b.IsZero() && b.Before(a) {
				f.Errorf("chain %s: %s began before %s, which joined first", c, calls[i], calls[i-1])
			}
		}
	}
}
