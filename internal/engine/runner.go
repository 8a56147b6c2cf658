package engine

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"habilita/internal/breaker"
	"habilita/internal/ledger"
)

// runner makes the calls of a chain that was dispatched.
type runner struct {
	*stack
	o        WorkerOptions
	vendor   caller
	meter    *meter
	log      zerolog.Logger
	stopping atomic.Bool
	active   atomic.Int64  // runs that have a place, or wait for one
	budget   time.Duration // of a chain while others wait; see budgetOf
	hosts    *hosts
	places   places
	stopped  chan struct{} // closed when the worker takes no more calls
	hooked   hooked        // what the hooks were told
	// recording has a place for each outcome that is on its way to Redis; room is how long one waits for a place.
	recording chan struct{}
	room      time.Duration
	// last ends when outcomes are no longer recorded, some time after requests are cut off.
	// nil: at the same time.
	last context.Context

	// breakers knows the vendor's servers that are down.
	breakers *breaker.Monitor
	pauses   pauses

	// current reports whether the membership of the processes is known to hold.
	current func() bool
	// idle are the runs that wait for another chain.
	idle *idleRuns
	// backlog is how many more tasks wait in asynq than places are unused. yielded is when a run last
	// gave up its place to such a task (Unix time, ns).
	backlog func() int
	yielded atomic.Int64
	// crowded reports whether other chains wait for a run.
	crowded func(ctx context.Context) bool
	// noteDue notes when a bucket needs a dispatch.
	noteDue func(tag string, at time.Time)
	// publish publishes a dispatch to asynq. A chain that could not be published is dispatched again after a while.
	publish func(ctx context.Context, f ledger.Dispatch)
}

// run makes calls of the chain. When the chain waits, ends or is held, run goes on with others:
// those of its bucket that can run, and those that wait in this worker for the place that it leaves
// at its server. It ends when there is none, or when others are due.
// An error means that Redis did not answer; a worker finds the chain again.
func (r *runner) run(ctx context.Context, f ledger.Dispatch) error { return r.runFrom(ctx, f, "") }

// runFrom runs a chain that has a place at a server already; "" for none.
func (r *runner) runFrom(ctx context.Context, f ledger.Dispatch, server string) error {
	// Fails closed: if Redis was away for long, others may have agreed on other limits.
	for (!r.current() || r.doubt.Load() > 0) && !r.stopping.Load() && ctx.Err() == nil {
		wait(ctx, 50*time.Millisecond)
	}
	now := time.Now()
	t := &runState{began: now, since: now, host: server}
	for {
		if r.stopping.Load() {
			r.giveOn(ctx, t.host)
			return r.putBack(ctx, f)
		}
		if err := r.chain(ctx, f, t); err != nil {
			r.giveOn(ctx, t.host)
			return err
		}
		if t.next == nil && !r.more(t) {
			return nil
		}
		f, t.next = *t.next, nil
		t.yielded = false // even if it was to yield: the place at its server is worth more
	}
}

// more makes a run go on with a chain of another bucket, if one waits and the run does not
// give up its place to a task.
func (r *runner) more(t *runState) bool {
	if t.yielded || r.stopping.Load() || !r.current() || time.Since(t.began) >= runLimit || r.yields() {
		return false
	}
	f, ok := r.idle.take(r.stopped)
	if ok {
		t.next, t.since = &f, time.Now()
	}
	return ok
}

// yields decides whether a run gives up its place to a task that waits in asynq, such as the first call
// of a chain that had nothing to do. At most one run does so each yieldEvery. So such a task waits for a
// few ms, places come free one by one, and most runs go on without asynq.
func (r *runner) yields() bool {
	last, now := r.yielded.Load(), time.Now().UnixNano()
	soon := now >= last && now-last < yieldEvery.Nanoseconds() // a clock that was set back does not keep runs from it
	return !soon && r.backlog() > 0 && r.yielded.CompareAndSwap(last, now)
}

const yieldEvery = time.Millisecond

// runState is what one run did: the calls of one chain, then of others.
type runState struct {
	began time.Time
	since time.Time        // since when it is at its chain and others may have waited
	host  string           // the server at which the run has a place; "" for none
	next  *ledger.Dispatch // the chain that the run goes on with; nil for none

	yielded bool // its place is for a task that waits in asynq
}

// chain makes calls of a chain that was dispatched, and of those that its steps go on with.
func (r *runner) chain(ctx context.Context, f ledger.Dispatch, t *runState) error {
	asked := time.Now()
	step, err := r.begin(ctx, f, t.host)
	if err != nil {
		return fmt.Errorf("begin of chain %s: %w", f.Chain, err)
	}
	for step.Status == ledger.Running {
		sent := &step.Attempt
		outcome, on := &noPlace, ledger.Stop
		moved := r.moveTo(ctx, t, sent.Server)
		if moved {
			outcome = r.attempt(ctx, f.Chain, sent, asked)
			on = r.goOn(ctx, t)
		} else {
			r.unprobed(sent)
		}
		asked = time.Now()
		step, err = r.finish(ctx, sent, outcome, on, t.host)
		if err != nil {
			return fmt.Errorf("outcome of chain %s: %w", f.Chain, err)
		}
		if moved {
			r.recorded(sent, outcome, step.Now)
		}
		r.noteDue(ledger.Tag(f.Chain), step.Due)
		if step.Status == ledger.Running {
			if step.Chain != sent.Chain {
				t.since = asked
			}
			r.meter.handoff.Observe(time.Since(asked).Seconds())
		}
	}
	r.settle(ctx, step)
	r.leave(ctx, t, step)
	return nil
}

// noPlace is the outcome of a grant that can't be used: since it was asked for, another run has
// taken the last place at its server.
var noPlace = verdict{ledger.Outcome{Kind: ledger.Busy, Slot: ledger.GiveBack}, outcomeNotSent}

// moveTo takes a place at the server of the run's next call, and passes on the one that the run
// has elsewhere. It returns false if no place is free.
func (r *runner) moveTo(ctx context.Context, t *runState, server string) bool {
	if t.host == server {
		return true
	}
	if !r.hosts.take(server) {
		return false
	}
	r.giveOn(ctx, t.host)
	t.host = server
	return true
}

// leave ends a run's work for a chain. If the chain waits for a place at its server, it is
// parked. The run's own place goes to a chain that waits for it.
func (r *runner) leave(ctx context.Context, t *runState, step *ledger.Step) {
	if step.Status == ledger.Deferred && step.Reason == ledger.ServerBusy {
		f := ledger.Dispatch{Chain: step.Chain, Number: step.Number}
		placed, parked := r.hosts.park(step.Detail, f, step.Since)
		if placed {
			r.giveOn(ctx, t.host)
			t.host, t.next = step.Detail, &f
			return
		}
		if !parked {
			r.requeue(ctx, f)
		}
	}
	if t.host == "" {
		return
	}
	if r.stopping.Load() || time.Since(t.began) >= runLimit || r.hosts.waits(t.host) && r.crowded(ctx) {
		r.giveOn(ctx, t.host)
		t.host = ""
		return
	}
	if f, waited := r.hosts.leave(t.host); waited {
		t.next = &f
		r.hosts.handed.Done()
		return
	}
	t.host = ""
}

// giveOn gives up a run's place at a server, and begins a new run for the chain that has waited
// longest for it.
func (r *runner) giveOn(ctx context.Context, server string) {
	if server == "" {
		return
	}
	f, waited := r.hosts.leave(server)
	if !waited {
		return
	}
	r.active.Add(1)
	go func() {
		defer r.active.Add(-1)
		defer r.hosts.handed.Done()
		if !r.places.enter(r.stopped) {
			r.giveOn(ctx, server)
			r.requeue(ctx, f)
			return
		}
		defer r.places.leave()
		if err := r.runFrom(ctx, f, server); err != nil {
			r.log.Warn().Err(err).Str("chain", f.Chain).Msg("run failed; the chain comes back by itself")
		}
	}()
}

// requeueWaiting requeues the chains that wait for a place at their server, for other workers. It
// waits for the runs of those that had just got one.
func (r *runner) requeueWaiting(ctx context.Context) {
	var g errgroup.Group
	g.SetLimit(publishers)
	for _, f := range r.hosts.end() {
		g.Go(func() error {
			r.requeue(ctx, f)
			return nil
		})
	}
	_ = g.Wait()
	r.hosts.handed.Wait()
}

func (r *runner) requeue(ctx context.Context, f ledger.Dispatch) {
	if err := r.putBack(ctx, f); err != nil {
		r.log.Warn().Err(err).Str("chain", f.Chain).Msg("could not give a chain back; it comes back by itself")
	}
}

// goOn says what a run may go on with after the call that it has made.
func (r *runner) goOn(ctx context.Context, t *runState) ledger.GoOn {
	switch {
	case r.stopping.Load() || !r.current() || r.doubt.Load() > 0 || time.Since(t.began) >= runLimit:
		return ledger.Stop
	case time.Since(t.since) >= r.budget && r.hosts.waits(t.host):
		return ledger.Stop
	case time.Since(t.began) >= r.budget && r.yields(): // whatever chain it is at
		t.yielded = true
		return ledger.Stop
	case time.Since(t.since) >= r.budget:
		if r.crowded(ctx) {
			return ledger.Others
		}
		t.since = time.Now()
	}
	if r.hosts.waits(t.host) {
		return ledger.Own // the next chain is one that waits for this server
	}
	return ledger.Any
}

// settle does what is left to do after a step that ended a run. All of it is a hint: the
// reconciler finds what is lost here.
func (r *runner) settle(ctx context.Context, step *ledger.Step) {
	id, tag := step.Chain, ledger.Tag(step.Chain)
	switch step.Status {
	case ledger.Deferred:
		r.meter.deferrals.WithLabelValues(step.Reason).Inc()
		r.noteDue(tag, step.Until)
		r.log.Debug().Str("chain", id).Str("reason", step.Reason).Time("until", step.Until).Msg("chain put off")
	case ledger.Waiting:
		r.noteDue(tag, step.Until)
	case ledger.Ready, ledger.Again:
		if err := r.ledger.Signal(ctx, step.Now, tag); err != nil {
			r.log.Warn().Err(err).Str("chain", id).Msg("a ready chain could not be signalled; the reconciler finds it")
			return
		}
		r.idle.more.Store(true)
	}
}

// putBack returns a chain that was not begun, so that another worker takes it at once.
func (r *runner) putBack(ctx context.Context, f ledger.Dispatch) error {
	put, err := r.ledger.Requeue(ctx, f)
	if err != nil {
		return err
	}
	if put {
		return r.ledger.Signal(ctx, r.clock.Now(), ledger.Tag(f.Chain))
	}
	return nil
}

// handOver publishes the chain that a step dispatched, if the step was carried out.
func (r *runner) handOver(ctx context.Context, step *ledger.Step, failed error) {
	if failed == nil && step.Woken != nil {
		r.publish(ctx, *step.Woken)
	}
}
