package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
)

// canaryWorld is a producer, and a worker whose part the test plays.
type canaryWorld struct {
	t     *testing.T
	p     *Producer
	op    *control.Control
	nonce int
}

func newCanaryWorld(t *testing.T, b redistest.Backend) *canaryWorld {
	op, err := control.Open(b.Client, "", quota.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	return &canaryWorld{t: t, p: newTestProducer(t, b.Client), op: op}
}

// end ends the world, so that another one, with keys of its own, begins on the same Redis.
func (w *canaryWorld) end(rdb redis.UniversalClient) {
	w.t.Helper()
	if err := w.p.Close(); err != nil { // or it puts its token-ID key back
		w.t.Fatal(err)
	}
	empty(w.t, rdb)
}

// empty empties a Redis. No process may remember anything of it.
func empty(t *testing.T, rdb redis.UniversalClient) {
	t.Helper()
	if err := errors.Join(rdb.FlushAll(t.Context()).Err(), rdb.ScriptFlush(t.Context()).Err()); err != nil {
		t.Fatal(err)
	}
}

// begin begins the head of every chain that is ready.
func (w *canaryWorld) begin() (begun []ledger.Attempt) {
	ctx := w.t.Context()
	buckets, err := w.p.ledger.Inspect(ctx)
	if err != nil {
		w.t.Error(err)
	}
	for _, b := range buckets {
		dispatched, err := w.p.ledger.DispatchAll(ctx, []string{b.Tag}, 100)
		if err != nil {
			w.t.Error(err)
		}
		for _, f := range dispatched[0].Dispatches {
			w.nonce++
			s, err := w.p.ledger.Begin(ctx, f, fmt.Sprint("n", w.nonce), "")
			if err != nil || s.Status != ledger.Running {
				w.t.Errorf("%+v, %v", s, err)
				continue
			}
			begun = append(begun, s.Attempt)
		}
	}
	return begun
}

// attempt ends the head of every chain that is ready with o.
func (w *canaryWorld) attempt(o ledger.Outcome) {
	for _, a := range w.begin() {
		w.nonce++
		if _, err := w.p.ledger.Finish(w.t.Context(), &a, o, ledger.Stop, fmt.Sprint("n", w.nonce), ""); err != nil {
			w.t.Error(err)
		}
	}
}

// canaryRows gives two rows of each of n tokens, and a bad one behind them.
func canaryRows(n int) iter.Seq2[Call, error] {
	return func(yield func(Call, error) bool) {
		for i := range 2 * n {
			if !yield(Call{Server: "1", Token: Token(fmt.Sprintf("token-%d", i%n)), Ref: fmt.Sprint("row ", i)}, nil) {
				return
			}
		}
		yield(Call{Server: "1", Token: "a token"}, nil)
	}
}

var (
	canaryDone   = ledger.Outcome{Kind: ledger.Done, Slot: ledger.Release, Code: "202"}
	canaryGiveUp = ledger.Outcome{Kind: ledger.GiveUp, Slot: ledger.Release, Code: "403", Err: "refused"}
)

// enqueue enqueues canaryRows(10); each look at the canaries makes one attempt with o.
func (w *canaryWorld) enqueue(ctx context.Context, o ledger.Outcome, given BatchOptions) (Summary, []error, error) {
	var rejected []error
	given.OnReject = func(err error) error { rejected = append(rejected, err); return nil }
	given.OnCanary = func(c Canaries) {
		if c.Open > 0 {
			w.attempt(o)
		}
	}
	sum, err := w.p.EnqueueBatch(ctx, "b", canaryRows(10), given)
	return sum, rejected, err
}

func (w *canaryWorld) status() control.Status {
	w.t.Helper()
	s, err := w.op.Status(w.t.Context(), "b")
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func TestCanariesSucceed(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		w := newCanaryWorld(t, b)
		sum, rejected, err := w.enqueue(t.Context(), canaryDone, BatchOptions{Canary: 3})
		if err != nil || sum.Rows != 21 || sum.Enqueued != 20 || sum.Duplicates != 0 || sum.Rejected != 1 || sum.Tokens != 10 {
			t.Fatalf("%+v, %v", sum, err)
		}
		var bad *CallError
		if len(rejected) != 1 || !errors.As(rejected[0], &bad) || bad.Index != 20 {
			t.Errorf("rejected %v", rejected)
		}
		s := w.status()
		if s.Total != 20 || s.Succeeded != 6 || s.Open != 14 || s.Canary.State != control.CanaryReleased {
			t.Errorf("%+v", s)
		}
		// Each call is there once, under the key that it has without canaries.
		refs := map[string]string{}
		for r, err := range w.op.Report(t.Context(), "b") {
			if err != nil {
				t.Fatal(err)
			}
			refs[r.Ref] = r.ID
		}
		for i := range 20 {
			token := w.p.tokenIDs.Name(fmt.Sprintf("token-%d", i%10))
			if want := ledger.CallID(ledger.BatchID("b"), token, ledger.RowKey(w.p.tokenIDs, 1, "0001", token, "", fmt.Sprint("row ", i))); refs[fmt.Sprint("row ", i)] != want {
				t.Errorf("row %d is %q, want %q", i, refs[fmt.Sprint("row ", i)], want)
			}
		}
		// Again: all calls are known, whatever canaries are asked for.
		for _, opts := range []BatchOptions{{Canary: 3}, {Canary: 5}, {Release: true}, {}} {
			if sum, _, err = w.enqueue(t.Context(), canaryDone, opts); err != nil || sum.Enqueued != 0 || sum.Duplicates != 20 {
				t.Errorf("again: %+v, %v", sum, err)
			}
		}
	})
}

func TestCanariesFail(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		w := newCanaryWorld(t, b)
		sum, rejected, err := w.enqueue(t.Context(), canaryGiveUp, BatchOptions{Canary: 2})
		var held *CanaryError
		if !errors.As(err, &held) || held.Canaries != (Canaries{Tokens: 2, Calls: 4, Failed: 2, Open: 2}) {
			t.Fatalf("%+v, %v", sum, err)
		}
		if sum.Rows != 21 || sum.Enqueued != 4 || sum.Rejected != 1 || len(rejected) != 1 {
			t.Errorf("%+v, %v", sum, rejected)
		}
		if s := w.status(); s.Total != 4 || s.Canary.State != control.CanaryHeld || !s.Settled {
			t.Errorf("%+v", s)
		}
		// Nothing else lets it go on by mistake.
		var other *ledger.BatchError
		for _, opts := range []BatchOptions{{}, {Canary: 3}} {
			if _, _, err := w.enqueue(t.Context(), canaryDone, opts); !errors.As(err, &other) {
				t.Errorf("%v", err)
			}
		}
		if _, _, err := w.enqueue(t.Context(), canaryDone, BatchOptions{Canary: 2}); !errors.As(err, &held) {
			t.Errorf("again: %v", err)
		}
		if s := w.status(); s.Total != 4 {
			t.Errorf("%+v", s)
		}
		// A person retries, and the same command goes on.
		if _, err := w.op.Retry(t.Context(), control.Selection{Batch: "b"}); err != nil {
			t.Fatal(err)
		}
		if sum, _, err := w.enqueue(t.Context(), canaryDone, BatchOptions{Canary: 2}); err != nil || sum.Enqueued != 16 || sum.Duplicates != 4 {
			t.Errorf("%+v, %v", sum, err)
		}
		if s := w.status(); s.Total != 20 || s.Succeeded != 4 {
			t.Errorf("%+v", s)
		}
	})
}

func TestCanariesAreOverruled(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		w := newCanaryWorld(t, b)
		if _, _, err := w.enqueue(t.Context(), canaryGiveUp, BatchOptions{Canary: 1}); err == nil {
			t.Fatal("no error")
		}
		if sum, _, err := w.enqueue(t.Context(), canaryDone, BatchOptions{Release: true}); err != nil || sum.Enqueued != 18 {
			t.Fatalf("%+v, %v", sum, err)
		}
		if s := w.status(); s.Total != 20 || s.Failed != 1 || s.Canary.State != control.CanaryReleased {
			t.Errorf("%+v", s)
		}
	})
}

// The producer dies while it waits: what is enqueued stays, and giving it again goes on.
func TestProducerDiesWhileCanariesRun(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		w := newCanaryWorld(t, b)
		ctx, die := context.WithCancel(t.Context())
		_, err := w.p.EnqueueBatch(ctx, "b", callsOf(10), BatchOptions{Canary: 2, OnCanary: func(Canaries) { die() }})
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		w.attempt(canaryDone)
		// All calls that are there have succeeded, but the batch is not done.
		if s := w.status(); s.Total != 2 || s.Succeeded != 2 || s.Settled || s.Canary.State != control.CanaryWaiting {
			t.Errorf("%+v", s)
		}
		sum, err := w.p.EnqueueBatch(t.Context(), "b", callsOf(10), BatchOptions{Canary: 2})
		if err != nil || sum.Enqueued != 8 || sum.Duplicates != 2 {
			t.Errorf("%+v, %v", sum, err)
		}
	})
}

func TestCanariesOfABatchThatExists(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		w := newCanaryWorld(t, b)
		if _, err := w.p.EnqueueBatch(t.Context(), "b", callsOf(1), BatchOptions{}); err != nil {
			t.Fatal(err)
		}
		var other *ledger.BatchError
		if _, err := w.p.EnqueueBatch(t.Context(), "b", callsOf(10), BatchOptions{Canary: 2}); !errors.As(err, &other) || other.Have != "0" {
			t.Errorf("%v", err)
		}
		if _, err := w.p.EnqueueBatch(t.Context(), "b", callsOf(10), BatchOptions{}); err != nil {
			t.Errorf("without: %v", err)
		}
		if _, err := w.p.EnqueueBatch(t.Context(), "c", callsOf(10), BatchOptions{Canary: -1}); err == nil {
			t.Error("canaries of -1 tokens")
		}
	})
}

// A single call that somebody adds to the batch while its canaries run is no canary.
func TestCallThatJoinsIsNoCanary(t *testing.T) {
	t.Parallel()
	redistest.BothOwn(t, func(t *testing.T, b redistest.Backend) {
		// It joins behind the call of a canary, and is open, or given up, or put off.
		enqueue := func(w *canaryWorld, joins Call, outcomes ...ledger.Outcome) (c Canaries, err error) {
			joins.Server, joins.Batch = "1", "b"
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			defer cancel()
			_, err = w.p.EnqueueBatch(ctx, "b", callsOf(10), BatchOptions{Canary: 2, OnCanary: func(now Canaries) {
				if c = now; len(outcomes) == 0 {
					return
				}
				if _, err := w.p.Enqueue(ctx, joins); err != nil {
					t.Error(err)
				}
				for _, o := range outcomes {
					w.attempt(o)
				}
				outcomes = nil
			}})
			w.end(b.Client)
			return c, err
		}
		behind, later := Call{Token: "token-0"}, Call{Token: "token-0", At: time.Now().Add(time.Hour)}
		succeeded, failed := Canaries{Tokens: 2, Calls: 2, Succeeded: 2}, Canaries{Tokens: 2, Calls: 2, Failed: 2}
		for what, c := range map[string]struct {
			joins    Call
			outcomes []ledger.Outcome
			want     Canaries
		}{
			"it is open":     {behind, []ledger.Outcome{canaryDone}, succeeded},
			"it is given up": {behind, []ledger.Outcome{canaryDone, canaryGiveUp}, succeeded},
			"it is put off":  {later, []ledger.Outcome{canaryDone}, succeeded},
			"they fail":      {later, []ledger.Outcome{canaryGiveUp}, failed},
		} {
			got, err := enqueue(newCanaryWorld(t, b), c.joins, c.outcomes...)
			var held *CanaryError
			if got != c.want || (c.want == failed) != errors.As(err, &held) || err != nil && held == nil {
				t.Errorf("%s: %+v, %v", what, got, err)
			}
		}
	})
}
