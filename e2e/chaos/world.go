package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"habilita/e2e"
	"habilita/internal/control"
	"habilita/internal/testkit/wolkvoxtest"
)

// The load of a world: calls of chains of tokens.
const (
	loadTokens = 16
	loadChains = 3  // of a token: one more than its slots
	loadEach   = 36 // calls of a token in a batch
)

// longWait is the deadline of waits that the faults make long.
const longWait = 4 * time.Minute

// world is a lab under load.
type world struct {
	*unit
	l       *e2e.Lab
	secret  string // what all tokens begin with: for I7
	licence int    // licences of each token
	chains  int    // of each token
	each    int    // calls of a token in a batch
	plans   []e2e.Plan
	secrets []string // files that hold tokens
	terms   e2e.Terms
}

// newWorld starts a lab with its Redis. The vendor works for 120 to 220 ms on a request; flags
// are further flags of the simulator.
func newWorld(u *unit, redisArgs []string, flags ...string) *world {
	u.Helper()
	return newWorldAt(u, redisArgs, (*e2e.Lab).StartVendor, flags...)
}

// newWorldAt is newWorld with a function that starts the vendor.
func newWorldAt(u *unit, redisArgs []string, start func(*e2e.Lab, ...string) *e2e.Vendor, flags ...string) *world {
	u.Helper()
	w := &world{unit: u, l: e2e.New(u.TB, redisArgs...), licence: 20, chains: loadChains, each: loadEach}
	w.secret = fmt.Sprintf("secret-%08x%08x-", u.rand.Uint32(), u.rand.Uint32())
	// The lease is 3 s. The vendor may work longer than we wait.
	w.l.Set("CALL_TIMEOUT", "1s", "VENDOR_TIMEOUT", "2s", "SLOT_MARGIN", "1s", "CONCURRENCY", "24")
	start(w.l, append([]string{"--latency=120ms", "--jitter=100ms", fmt.Sprint("--seed=", u.rand.Uint32()), fmt.Sprint("--licenses=", w.licence)}, flags...)...)
	return w
}

func (w *world) token(i int) string { return fmt.Sprintf("%s%04d", w.secret, i) }

// plan makes the next batch.
func (w *world) plan(tokens, each int) e2e.Plan {
	rows := e2e.Chained(w.chains, e2e.Many(tokens, each, w.token))
	for i := range rows {
		rows[i].Licenses = w.licence
	}
	return w.planOf(rows)
}

func (w *world) planOf(rows []e2e.Row) e2e.Plan {
	p := e2e.Plan{Batch: fmt.Sprintf("b%d", len(w.plans)+1), Rows: rows}
	w.plans = append(w.plans, p)
	w.secrets = append(w.secrets, filepath.Join(w.l.Dir, p.Batch+".csv"))
	return p
}

// topUp enqueues another batch if little of the last one is left.
func (w *world) topUp() {
	w.Helper()
	if len(w.plans) > 0 {
		st, err := w.l.Operator().Status(w.Context(), w.plans[len(w.plans)-1].Batch)
		if err != nil || st.Open > st.Total/2 {
			return // Redis does not answer, so nothing can be done
		}
	}
	w.l.Bulk(w.plan(loadTokens, w.each))
}

// unrecorded notes a window in which answers could not be recorded.
func (w *world) unrecorded(from, to time.Time) {
	w.terms.Unrecorded = append(w.terms.Unrecorded, e2e.Window{From: from, To: to})
}

// unrecordedOf is unrecorded only for requests that were sent by a given moment.
func (w *world) unrecordedOf(sent, from, to time.Time) {
	w.terms.Unrecorded = append(w.terms.Unrecorded, e2e.Window{From: from, To: to, Sent: sent})
}

// settle waits until nothing more happens without a person.
func (w *world) settle() {
	w.Helper()
	for _, p := range w.plans {
		w.l.AwaitSettled(p.Batch, longWait)
	}
}

// judge judges everything, and adds it to the unit's sum. All calls must have succeeded
// unless lenient.
func (w *world) judge(lenient bool) e2e.Verdict {
	w.Helper()
	w.l.Vendor.Stop()
	v := w.l.Judge(w.terms, w.plans...)
	w.judged(v, w.l.Leaks(w.secret, w.secrets...))
	if bad := v.Calls - v.Succeeded; bad > 0 && !lenient {
		w.violation("I4", "%d calls did not succeed: %d failed, %d cancelled, %d open", bad, v.Failed, v.Cancelled, v.Open)
	}
	return v
}

// finish is settle and judge.
func (w *world) finish() e2e.Verdict {
	w.Helper()
	w.settle()
	return w.judge(false)
}

// violation counts a broken promise that the account does not show.
func (w *world) violation(promise, format string, a ...any) {
	w.Helper()
	w.Logf(promise+": "+format, a...)
	w.sum.breaks(promise, 1)
}

func (w *world) must(ok bool, format string, a ...any) {
	w.Helper()
	if !ok {
		w.Fatalf(format, a...)
	}
}

// looks fetches a worker's pages, for I7.
func (w *world) looks(worker *e2e.Worker) {
	for _, path := range []string{
		"/metrics", "/readyz", "/", "/batches/b1", "/chains", "/tokens", "/servers", "/workers", "/actions",
		"/v1/batches", "/v1/batches/b1/calls", "/v1/batches/b1/calls.csv", "/v1/chains", "/v1/tokens", "/v1/workers", "/v1/actions",
	} {
		if status, body := worker.Get(path); status != http.StatusOK && status != http.StatusServiceUnavailable {
			w.Logf("%s: %d %s", path, status, body)
			w.sum.breaks("I4", 1)
		}
	}
}

// status adds up the ledger's counts of all batches but one that was refused.
func (w *world) status(but e2e.Plan) (sum control.Status) {
	w.Helper()
	for _, p := range w.plans {
		if p.Batch == but.Batch {
			continue
		}
		st, err := w.l.Operator().Status(w.Context(), p.Batch)
		w.must(err == nil, "%v", err)
		sum.Succeeded += st.Succeeded
		sum.Open += st.Open
	}
	return sum
}

// callsBack returns how long after each moment calls were made again, if their request was in
// flight then and affected reports true.
func callsBack(a wolkvoxtest.Account, moments []time.Time, affected func(wolkvoxtest.Record) bool) []time.Duration {
	var times []time.Duration
	last := map[string]wolkvoxtest.Record{}
	for _, r := range a.Records {
		before, ok := last[r.Call]
		last[r.Call] = r
		if !ok || !affected(before) {
			continue
		}
		for _, at := range moments { // in order: the first one at which it was in flight
			if !at.Before(before.Arrived) && r.Arrived.After(at) {
				times = append(times, r.Arrived.Sub(at))
				break
			}
		}
	}
	return times
}

// firstAfter returns, for each moment, the time until the next request arrived.
func firstAfter(a wolkvoxtest.Account, moments []time.Time) []time.Duration {
	var times []time.Duration
	for _, at := range moments {
		i := slices.IndexFunc(a.Records, func(r wolkvoxtest.Record) bool { return r.Arrived.After(at) })
		if i >= 0 {
			times = append(times, a.Records[i].Arrived.Sub(at))
		}
	}
	return times
}

// nextCalls returns the times from the ends of the requests that were in flight at each moment
// until the next request of the same chain. chains has the chain of each call, by its id.
func nextCalls(a wolkvoxtest.Account, chains map[string]string, moments []time.Time) []time.Duration {
	byChain := map[string][]wolkvoxtest.Record{}
	for _, r := range a.Records {
		byChain[chains[r.Call]] = append(byChain[chains[r.Call]], r)
	}
	var times []time.Duration
	for _, records := range byChain {
		for i, r := range records[:len(records)-1] {
			if slices.ContainsFunc(moments, func(at time.Time) bool { return r.Arrived.Before(at) && r.Ended.After(at) }) {
				times = append(times, records[i+1].Arrived.Sub(r.Ended))
			}
		}
	}
	return times
}

// pause waits for d: the time between faults is a part of the fault.
func pause(d time.Duration) { <-time.After(d) }
