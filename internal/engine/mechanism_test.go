package engine

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// If a process dies before it signals, the reconciler of another one finds what it left behind.
func TestReconcilerFindsWhatNobodyTold(t *testing.T) {
	t.Parallel()
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), func(o *WorkerOptions) { o.ReconcileInterval = 20 * time.Millisecond })
	w.begin()
	// A producer died between its append and its signal. The first reconciliation is over
	// when the first of these calls was made.
	for _, token := range []string{"token-1", "token-2"} {
		w.append(token, "a")
		w.made("a chain that was not signalled")
	}
}

// A worker that died during a call had the chain's due time only in its memory.
func TestReconcilerTakesOverTheTimersOfADeadProcess(t *testing.T) {
	t.Parallel()
	m, key := redistest.Mini(t), testKey(t)
	short := func(o *WorkerOptions) {
		o.CallTimeout, o.VendorTimeout, o.SlotMargin = 100*time.Millisecond, 100*time.Millisecond, 50*time.Millisecond
		o.ReconcileInterval = 20 * time.Millisecond
	}
	dead := openWorld(t, "redis://"+m.Addr(), key, short).closing()
	id := dead.append("token-1", "a")
	step, err := dead.stack.ledger.Begin(t.Context(), dead.dispatch(id), newID(), "")
	if err != nil || step.Status != ledger.Running {
		t.Fatalf("%+v, %v", step, err)
	}
	w := openWorld(t, "redis://"+m.Addr(), key, short)
	w.begin()
	if r := w.made("the call of a dead worker"); r.ID != "a.2" {
		t.Errorf("made %s, want the second attempt", r.ID)
	}
	if now := w.stack.clock.Now(); now.Before(step.Attempt.LeaseEnds) {
		t.Errorf("made at %s, the lease ends at %s", now, step.Attempt.LeaseEnds)
	}
}

// A chain is dispatched even if an older task of it is still in asynq, in whatever state. The same
// dispatch is one task.
func TestEveryDispatchHasATaskOfItsOwn(t *testing.T) {
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), nil).closing()
	for _, number := range []string{"1", "1", "2", "2"} {
		w.runner.publish(t.Context(), ledger.Dispatch{Chain: aToken, Number: number})
	}
	info, err := w.dispatcher.inspector.GetQueueInfo(w.stack.queues[0])
	if err != nil || info.Pending != 2 {
		t.Errorf("%+v, %v; want 2 tasks for 2 dispatches", info, err)
	}
}

// asynq's server repeats a failed command under a context that has ended. The client that
// it was given runs the command all the same. Otherwise a task that succeeded would stay
// active, and run again once asynq's recoverer finds it.
func TestTaskThatSucceededLeavesAsynq(t *testing.T) {
	t.Parallel()
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), nil)
	failing := &failDone{repeated: make(chan error, 1)}
	w.asynqRDB.AddHook(failing)
	w.begin()
	id := w.append("token-1", "a")
	if err := w.stack.ledger.Signal(t.Context(), time.Now(), ledger.Tag(id)); err != nil {
		t.Fatal(err)
	}
	w.made("the call")
	select {
	case err := <-failing.repeated:
		if err != nil {
			t.Errorf("asynq repeats the end of a task, and it fails again: %v", err)
		}
	case <-time.After(soon):
		t.Fatal("asynq did not repeat the end of a task")
	}
}

// failDone makes the first end of a task fail, and passes on the result of the next one. The script
// that ends a task has the day's count of tasks among its keys, and not that of failures.
type failDone struct {
	seen     atomic.Int64
	repeated chan error
}

func (f *failDone) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *failDone) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (f *failDone) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		text := cmd.String()
		if !strings.HasPrefix(cmd.Name(), "eval") || !strings.Contains(text, ":processed:") || strings.Contains(text, ":failed:") {
			return next(ctx, cmd)
		}
		if f.seen.Add(1) == 1 {
			cmd.SetErr(errors.New("the connection was cut"))
			return cmd.Err()
		}
		err := ctx.Err()
		if err == nil {
			err = next(ctx, cmd)
		}
		if !redis.HasErrorPrefix(err, "NOSCRIPT") { // then it comes once more, with its text
			select {
			case f.repeated <- err:
			default:
			}
		}
		return err
	}
}

// An outcome is recorded before anything else is done with the chain, however often
// Redis refuses.
func TestOutcomeIsRecordedAsSoonAsRedisTakesIt(t *testing.T) {
	m := redistest.Mini(t)
	tried := lines{"outcome not recorded yet", make(chan struct{}, 1)}
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), func(o *WorkerOptions) { o.Log = zerolog.New(tried) }).closing()
	id := w.append("token-1", "a")
	f := w.dispatch(id)
	w.vendor.before = func() { m.SetError("LOADING away") }
	done := make(chan error, 1)
	go func() { done <- w.runner.run(t.Context(), f) }()
	w.made("the call")
	select {
	case <-tried.seen:
	case err := <-done:
		t.Errorf("the run ended before its outcome was recorded: %v", err)
	case <-time.After(soon):
		t.Error("the outcome was not tried")
	}
	m.SetError("")
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(soon):
		t.Fatal("the run does not end")
	}
	if c := w.call(id); c.State != ledger.StateSucceeded || c.Attempts != 1 {
		t.Errorf("%s after %d attempts", c.State, c.Attempts)
	}
}

// A worker that stops gives back what it has not begun, without an attempt and at once.
func TestStoppingWorkerPutsBackWhatItHasNotBegun(t *testing.T) {
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), nil).closing()
	id := w.append("token-1", "a")
	f := w.dispatch(id)
	w.runner.stopping.Store(true)
	if err := w.runner.run(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if got := w.stateOf(id); got != "ready" || w.vendor.made.Load() != 0 || w.call(id).Attempts != 0 {
		t.Errorf("chain %s, %d requests", got, w.vendor.made.Load())
	}
	if n, err := w.stack.ledger.Signalled(t.Context()); err != nil || n != 1 {
		t.Errorf("%d buckets signalled, %v", n, err)
	}
}

// A worker that takes a signalled bucket while it stops gives it back, so that another
// worker need not wait for the reconciler.
func TestStoppingWorkerGivesBackTheBucketsItTook(t *testing.T) {
	w := openWorld(t, "redis://"+redistest.Mini(t).Addr(), testKey(t), nil).closing()
	id := w.append("token", "a")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	w.dispatcher.dispatch(stopped, []string{ledger.Tag(id)})
	tags, err := w.stack.ledger.NextReady(t.Context(), soon, 1)
	if err != nil || len(tags) != 1 || tags[0] != ledger.Tag(id) {
		t.Errorf("%v, %v", tags, err)
	}
	if got := w.stateOf(id); got != "ready" {
		t.Errorf("the chain is %s", got)
	}
}

// No run begins while it is not known that all processes agree.
func TestRunWaitsForTheMembership(t *testing.T) {
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), nil).closing()
	f := w.dispatch(w.append("token-1", "a"))
	var asked, early int
	w.vendor.before = func() {
		if asked <= 3 {
			early++
		}
	}
	w.runner.current = func() bool { asked++; return asked > 3 }
	if err := w.runner.run(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if asked <= 3 || early > 0 || w.vendor.made.Load() != 1 {
		t.Errorf("asked %d times, %d requests before they agreed, %d in all", asked, early, w.vendor.made.Load())
	}
}

// The request must be written within SLOT_MARGIN of the moment when its grant was asked
// for: the lease covers no more.
func TestRequestIsWrittenWithinTheMargin(t *testing.T) {
	m := redistest.Mini(t)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), nil).closing()
	f := w.dispatch(w.append("token-1", "a"))
	before := time.Now()
	if err := w.runner.run(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	by := w.made("the call").WriteBy
	if by.Before(before.Add(5*time.Second)) || by.After(time.Now().Add(5*time.Second)) {
		t.Errorf("to be written %s after the start, want 5s", by.Sub(before))
	}
}

// The lease lasts as long as the vendor may work on a request, whatever our own patience.
func TestLeaseCoversTheVendorsTime(t *testing.T) {
	for _, o := range []WorkerOptions{
		{CallTimeout: time.Second, VendorTimeout: time.Minute, SlotMargin: 5 * time.Second},
		{CallTimeout: time.Minute, VendorTimeout: time.Second, SlotMargin: 5 * time.Second},
	} {
		if got := o.WithDefaults().Quota.Lease; got != 65*time.Second {
			t.Errorf("%s and %s: lease %s, want 1m5s", o.CallTimeout, o.VendorTimeout, got)
		}
	}
}
