package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/ledger"
	"habilita/internal/rows"
	"habilita/internal/schedule"
	"habilita/internal/vault"
)

// A run passes over the calls whose chain is held, says so, and makes the others.
func TestRunPassesOverHeldChains(t *testing.T) {
	w, _ := onMini(t)
	w.add(definition, 8, noon)
	w.look()
	w.wantCalls(noonsBatch, 0, 1, 2, 3)
	w.end(1, ledger.GiveUp)
	for _, token := range []int{0, 0, 2, 2, 3, 3} {
		w.end(token, ledger.Done)
	}
	// The next day, the chain still waits for a person.
	w.mini.SetTime(noon.AddDate(0, 0, 1))
	w.look()
	const second = "nightly@2025-11-25T12:00-05:00"
	w.wantCalls(second, 0, 2, 3)
	w.wantHistory(
		"made "+second+" calls=6 passed=2/1 missed=0",
		"made "+noonsBatch+" calls=8 passed=0/0 missed=0",
	)
	// Who wants them all gets them all.
	d := definition
	d.PileUp, d.Overlap = true, true
	w.add(d, 8, noon.AddDate(0, 0, 2))
	w.mini.SetTime(noon.AddDate(0, 0, 2))
	w.look()
	const third = "nightly@2025-11-26T12:00-05:00"
	w.wantCalls(third, 0, 1, 2, 3)
	if got := w.history(); got[0] != "made "+third+" calls=8 passed=0/0 missed=0" {
		t.Errorf("history: %q", got)
	}
}

// A worker that takes over a run passes over what was decided at its beginning, whatever
// happened to the chains since.
func TestTakenOverRunPassesOverTheSame(t *testing.T) {
	w, other := onMini(t)
	w.heldBefore()
	st, c := w.claimed()
	if _, err := w.scheduler.store.Passed(t.Context(), st.ID, c); !errors.Is(err, schedule.ErrLost) {
		t.Fatalf("decided already: %v", err)
	}
	if err := w.scheduler.store.DecidePassed(t.Context(), st.ID, c, w.scheduler.heldChains(t.Context(), "")); err != nil {
		t.Fatal(err)
	}
	if n, err := w.stack.ledger.Decide(t.Context(), []string{w.stack.tokenIDs.Name(tokenOf(1))}, ledger.DecisionRetry, ledger.Meant{}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	other.look()
	other.wantCalls(noonsBatch, 0, 2, 3)
}

// heldBefore holds the chain of token 1 at a call of another batch.
func (w *scheduled) heldBefore() {
	w.t.Helper()
	_, err := w.scheduler.producer.EnqueueBatch(w.t.Context(), "other", func(yield func(Call, error) bool) {
		yield(Call{Server: "0001", Token: Token(tokenOf(1))}, nil)
	}, BatchOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.end(1, ledger.GiveUp)
}

// If the last run has not settled, there is none this time, and the history says so. The
// same holds for a run that a person asked for.
func TestRunsDoNotOverlap(t *testing.T) {
	w, _ := onMini(t)
	w.add(definition, 4, noon)
	w.look()
	w.mini.SetTime(noon.AddDate(0, 0, 1))
	w.look()
	w.look()
	if _, err := w.scheduler.store.Ask(t.Context(), "nightly", false); err != nil {
		t.Fatal(err)
	}
	w.look()
	reason := " calls=0 passed=0/0 missed=0 the last run, " + noonsBatch + ", has not settled"
	w.wantHistory("skipped "+reason, "skipped "+reason, "made "+noonsBatch+" calls=4 passed=0/0 missed=0")
	asked, err := w.scheduler.store.Ask(t.Context(), "nightly", true)
	if err != nil {
		t.Fatal(err)
	}
	w.look()
	if got := w.history(); len(got) != 4 || got[0] != "made "+asked+" calls=4 passed=0/0 missed=0" {
		t.Errorf("history: %q", got)
	}
	if st := w.state(); !st.Next.Equal(noon.AddDate(0, 0, 2)) || st.Asked.Batch != "" {
		t.Errorf("%+v", st)
	}
}

func TestMissedTicks(t *testing.T) {
	const reason = " no worker was there when it was due, or the run before was still being enqueued"
	for _, c := range []struct {
		missed string
		later  time.Duration
		want   []string
	}{
		{schedule.Once, time.Hour, []string{"made nightly@2025-11-27T12:00-05:00 calls=4 passed=0/0 missed=3"}},
		{schedule.Skip, time.Hour, []string{"missed  calls=0 passed=0/0 missed=4" + reason}},
		{schedule.Skip, time.Minute, []string{"made nightly@2025-11-27T12:00-05:00 calls=4 passed=0/0 missed=0", "missed  calls=0 passed=0/0 missed=3" + reason}},
	} {
		t.Run(fmt.Sprint(c.missed, c.later), func(t *testing.T) {
			w, _ := onMini(t)
			d := definition
			d.Missed = c.missed
			w.add(d, 4, noon)
			w.mini.SetTime(noon.AddDate(0, 0, 3).Add(c.later))
			w.look()
			w.look()
			w.wantHistory(c.want...)
			if st := w.state(); !st.Next.Equal(noon.AddDate(0, 0, 4)) {
				t.Errorf("%+v", st)
			}
		})
	}
}

// A run that can't be enqueued is tried again later. One that never can be is reported.
func TestRunThatFails(t *testing.T) {
	w, other := onMini(t)
	failing := &failPipelines{}
	w.stack.rdb.AddHook(failing)
	failing.on.Store(true)
	if err := w.scheduler.attend(t.Context(), w.state(), noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	st := w.state()
	if st.Claim.Tries != 1 || !strings.Contains(st.Claim.Error, "Redis is full") || !st.Claim.Until.After(noon.Add(time.Minute)) {
		t.Fatalf("%+v", st.Claim)
	}
	other.look() // too soon
	w.wantHistory()
	w.mini.SetTime(noon.Add(2 * time.Minute))
	other.look()
	w.wantHistory(fmt.Sprintf("made %s calls=%d passed=0/0 missed=0", noonsBatch, w.rows))

	failing.on.Store(false)
	for _, key := range w.mini.Keys() {
		if strings.Contains(key, ":rows:") {
			w.mini.Del(key)
		}
	}
	if _, err := w.scheduler.store.Ask(t.Context(), "nightly", true); err != nil {
		t.Fatal(err)
	}
	w.look()
	if got := w.history(); len(got) != 2 || !strings.HasPrefix(got[0], "failed nightly@run-") || !strings.HasSuffix(got[0], "the rows of the schedule are gone: add it again with --replace") {
		t.Errorf("history: %q", got)
	}
}

// failPipelines answers commands that make a batch as a full Redis would.
type failPipelines struct{ on atomic.Bool }

func (h *failPipelines) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *failPipelines) ProcessPipelineHook(n redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return n
}
func (h *failPipelines) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		if !h.on.Load() || !strings.HasPrefix(c.Name(), "eval") || !strings.Contains(fmt.Sprint(c.Args()[3:4]), ":batch:") {
			return next(ctx, c)
		}
		full := fullError("OOM command not allowed when used memory > 'maxmemory'")
		c.SetErr(full)
		return full
	}
}

type fullError string

func (e fullError) Error() string { return string(e) }
func (fullError) RedisError()     {}

// On a cluster, a Redis that lost its last writes may have lost the claim and kept the calls.
// The tick is made again, and passes over no chain that waits at a call of the run.
func TestRunIsMadeAgainWhereTheClaimWasLost(t *testing.T) {
	w, other := onMini(t)
	st, c := w.claimed()
	key := w.stack.prefix + ":{s:" + st.ID + "}:"
	if _, err := w.scheduler.fill(t.Context(), st.ID, c); err != nil {
		t.Fatal(err)
	}
	w.end(1, ledger.GiveUp)
	for _, field := range []string{"claim", "claim_first", "claim_until", "claim_decided", "claim_batch", "last"} {
		w.mini.HDel(key+"schedule", field)
	}
	w.due(noon)
	other.look()
	other.wantHistory(fmt.Sprintf("made %s calls=%d passed=0/0 missed=0", noonsBatch, w.rows))
}

// addRows puts the schedule with these rows.
func (w *scheduled) addRows(rows ...rows.Row) {
	w.t.Helper()
	writer := w.scheduler.store.NewWriter(definition.Name, w.stack.keys)
	for _, r := range rows {
		if err := writer.Add(w.t.Context(), r); err != nil {
			w.t.Fatal(err)
		}
	}
	err := errors.Join(writer.Close(w.t.Context()), w.scheduler.store.Put(w.t.Context(), definition, len(rows), writer.Revision(), true))
	if err != nil {
		w.t.Fatal(err)
	}
	w.due(noon)
}

// A run reports all that it left out, and its calls know their lines.
func TestRunTellsWhatItLeftOut(t *testing.T) {
	w, _ := onMini(t)
	w.addRows(
		rows.Row{Server: "0001", Token: "one", ID: "p", Line: 7},
		rows.Row{Server: "0001", Token: "two", ID: "p"}, // as older versions stored it
		rows.Row{Server: "0001", Token: "one", ID: "p", Line: 9},
		rows.Row{Server: "0001", Token: "one", ID: "q", Line: 10},
	)
	w.look()
	runs, err := w.scheduler.store.Runs(t.Context(), definition.Name)
	if err != nil || len(runs) != 1 {
		t.Fatalf("%+v, %v", runs, err)
	}
	if r := runs[0]; r.Calls != 2 || r.Conflicts != 1 || r.Withheld != 1 || r.Rejected != 0 || r.Passed != 0 {
		t.Errorf("%+v", r)
	}
	id := ledger.BatchID(noonsBatch)
	tags, err := w.stack.batches.Tags(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for c, err := range w.stack.ledger.Calls(t.Context(), id, tags) {
		if err != nil {
			t.Fatal(err)
		}
		got[c.TokenID] = c.Row
	}
	for token, row := range map[string]int{"one": 7, "two": 2} {
		if got[w.stack.tokenIDs.Name(token)] != row {
			t.Errorf("calls have the rows %v, want %d", got, row)
		}
	}
}

// Calls that are passed over are withheld.
func TestPassedOverIsWithheld(t *testing.T) {
	w, _ := onMini(t)
	w.heldBefore()
	w.look()
	runs, err := w.scheduler.store.Runs(t.Context(), definition.Name)
	if err != nil || len(runs) == 0 || runs[0].Passed == 0 || runs[0].Withheld != runs[0].Passed {
		t.Fatalf("%+v, %v", runs, err)
	}
	if m, err := w.scheduler.batches.Get(t.Context(), ledger.BatchID(runs[0].Batch)); err != nil || m.Complete {
		t.Errorf("it is complete: %+v, %v", m, err)
	}
}

// An error that no other try mends is not tried again.
func TestRefusedForGood(t *testing.T) {
	for _, err := range []error{
		schedule.ErrRowsGone, vault.ErrTampered, &ledger.BatchError{Problem: ledger.BatchPolicy}, &ledger.BatchError{Problem: ledger.BatchCancelled}, &ledger.BatchError{Problem: ledger.BatchOld}, &ledger.BatchError{Problem: ledger.BatchPath}, &ledger.BatchError{Problem: ledger.BatchCanary},
	} {
		if !forGood(fmt.Errorf("run: %w", err)) {
			t.Errorf("%T is tried again", err)
		}
	}
	for _, err := range []error{&ledger.BatchError{Problem: ledger.BatchBusy}, fullError("OOM"), context.DeadlineExceeded} {
		if forGood(err) {
			t.Errorf("%T is not tried again", err)
		}
	}
}

// A run whose claim another worker took, or whose schedule was removed, ends in its middle, and the worker says so.
func TestRemovedScheduleEndsItsRun(t *testing.T) {
	w, other := onMini(t)
	st, c := w.claimed()
	var log strings.Builder
	w.scheduler.log = zerolog.New(&log)
	if _, ok, err := other.scheduler.store.TakeClaim(t.Context(), w.state(), time.Hour); !ok || err != nil {
		t.Fatal(ok, err)
	}
	ended := func() {
		t.Helper()
		log.Reset()
		if err := w.scheduler.enqueue(t.Context(), st, c); err != nil || !strings.Contains(log.String(), "goes on elsewhere, or its schedule was removed") {
			t.Errorf("%v; the log says %s", err, log.String())
		}
	}
	ended()
	if stopped, err := w.scheduler.store.Remove(t.Context(), st.Name); stopped != noonsBatch || err != nil {
		t.Fatal(stopped, err)
	}
	ended()
}
