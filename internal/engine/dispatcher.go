package engine

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"habilita/internal/ledger"
	"habilita/internal/nudge"
)

// dispatcher moves ready chains from the ledger into asynq, as many as can run soon. So
// asynq's queue stays short: it costs little memory, and a chain that becomes ready later
// does not wait behind thousands of older tasks.
type dispatcher struct {
	*stack
	log       zerolog.Logger
	meter     *meter
	publish   func(ctx context.Context, f ledger.Dispatch)
	inspector *asynq.Inspector
	consumes  []string      // asynq's queues
	active    func() int    // runs that have a place in this process, or wait for one
	places    int           // runs at work, at most
	patience  time.Duration // longest wait for a signalled bucket in one command

	pending  atomic.Int64 // tasks that wait in asynq: what was counted last, and dispatched since
	starts   atomic.Int64 // tasks that left asynq's queue
	paused   atomic.Bool  // somebody paused asynq's queue
	prefetch prefetch
	timers   *timers
	idle     *idleRuns
	asking   *asking
}

const (
	perDispatch = 64                     // buckets dispatched, and chains dispatched of each, in one round trip
	publishers  = 16                     // chains published to asynq at the same time
	syncEvery   = 200 * time.Millisecond // how old the count of pending tasks may be
	fullWait    = 3 * time.Millisecond   // where nothing can be dispatched
	signalWait  = 2 * time.Second        // in one command
)

// run dispatches until ctx ends.
func (f *dispatcher) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.timers.run(ctx, f.clock.Now, func(tags []string) { f.dispatch(ctx, tags) }) })
	synced := time.Time{}
	for ctx.Err() == nil {
		if time.Since(synced) > lessOften(syncEvery, len(f.consumes)) {
			f.sync()
			synced = time.Now()
		}
		f.prefetch.note(time.Now(), f.starts.Load())
		most := min(ledger.Buckets, f.free())
		if most <= 0 {
			select { // a moment, or until a run has nothing left to do
			case <-ctx.Done():
			case <-f.idle.news:
			case <-time.After(fullWait):
			}
			continue
		}
		// As many buckets as places, and so few chains of each bucket: a run that has ended its
		// chain goes on with the next one of its bucket, if any is left.
		tags, err := f.ledger.NextReady(ctx, f.patience, most)
		if err != nil {
			if ctx.Err() == nil {
				f.log.Warn().Err(err).Msg("Redis did not say which chains are ready; trying again")
				wait(ctx, time.Second)
			}
			continue
		}
		f.idle.more.Store(len(tags) == most)
		if at := slices.Index(tags, ledger.TaskReady); at >= 0 {
			tags = slices.Delete(tags, at, at+1)
			f.pending.Add(1)
			f.asking.tell(1)
		}
		f.dispatch(ctx, tags)
		if !f.idle.more.Load() {
			f.idle.end()
		}
	}
}

// free is how many chains can be dispatched now: to the runs that wait for one, and to asynq for
// the unused places and a few more.
func (f *dispatcher) free() int {
	ahead := minAhead
	if f.unused() > 0 { // else a task begins only where a run yields to it: with more tasks, more runs would yield
		ahead = f.prefetch.ahead(f.places)
	}
	return f.idle.waiting() + max(0, ahead-f.backlog())
}

// unused is how many places have no run, so that asynq can begin a task there. If negative, runs wait for one.
func (f *dispatcher) unused() int { return f.places - f.active() }

// backlog is how many more tasks wait in asynq than this process has unused places.
func (f *dispatcher) backlog() int { return int(f.pending.Load()) - f.unused() }

// crowded reports whether chains wait for a place of this process, or for a run to go on with them.
func (f *dispatcher) crowded(ctx context.Context) bool {
	if f.backlog() > 0 {
		return true
	}
	if f.unused() > 0 || f.idle.waiting() > 0 {
		return false
	}
	n, err := f.ledger.Signalled(ctx)
	return err == nil && n > 0
}

// sync counts the tasks that wait in asynq. If asynq can't be asked, the last count stays: without it,
// this process would dispatch chains that it can't publish.
func (f *dispatcher) sync() {
	there, err := f.inspector.Queues()
	if err != nil {
		return
	}
	pending, paused := 0, false
	for _, queue := range f.consumes {
		if !slices.Contains(there, queue) {
			continue // nobody has used it yet
		}
		info, err := f.inspector.GetQueueInfo(queue)
		if err != nil {
			return
		}
		pending += info.Pending
		paused = paused || info.Paused
	}
	f.pending.Store(int64(pending))
	f.paused.Store(paused)
}

// begun notes that a task left asynq's queue.
func (f *dispatcher) begun() {
	f.starts.Add(1)
	for {
		n := f.pending.Load()
		if n <= 0 || f.pending.CompareAndSwap(n, n-1) {
			return
		}
	}
}

// dispatch moves on the chains that are due in buckets, and dispatches those that are ready. The buckets
// share what is free. If that is less than one chain each, the last buckets get nothing and are signalled
// again: an extra task would delay the first calls of other chains. A worker that stops gives back the
// buckets that it has just taken, so that another one can take them at once.
func (f *dispatcher) dispatch(ctx context.Context, tags []string) {
	free := f.free()
	each := max(1, free/max(1, len(tags)))
	some := min(len(tags), free)
	for part := range slices.Chunk(tags[:some], perDispatch) {
		f.dispatchEach(ctx, part, each)
	}
	for part := range slices.Chunk(tags[some:], perDispatch) {
		f.dispatchEach(ctx, part, 0)
	}
}

// dispatchEach dispatches from each bucket at most as many chains as each says.
func (f *dispatcher) dispatchEach(ctx context.Context, tags []string, each int) {
	if ctx.Err() != nil {
		_ = f.ledger.Signal(context.WithoutCancel(ctx), f.clock.Now(), tags...) // else the reconciler finds them
		return
	}
	dispatched, err := f.ledger.DispatchAll(ctx, tags, min(perDispatch, each))
	if err != nil && ctx.Err() == nil {
		f.log.Warn().Err(err).Msg("ready chains of a bucket could not be dispatched; the reconciler dispatches them")
	}
	var again []string
	var g errgroup.Group
	g.SetLimit(publishers)
	for i, p := range dispatched {
		f.meter.lost.Add(float64(p.Lost))
		f.timers.note(tags[i], p.NextDue)
		if p.Ready > 0 {
			again = append(again, tags[i])
		}
		for _, d := range p.Dispatches {
			if f.idle.give(d) {
				continue
			}
			f.pending.Add(1)
			g.Go(func() error {
				// Publishing goes on when ctx ends: the dispatch is in the ledger already.
				f.publish(context.WithoutCancel(ctx), d)
				return nil
			})
		}
	}
	if len(again) > 0 {
		f.idle.more.Store(true)
	}
	if err := f.ledger.Signal(ctx, f.clock.Now(), again...); err != nil && ctx.Err() == nil {
		f.log.Warn().Err(err).Msg("ready buckets could not be signalled; the reconciler finds them")
	}
	_ = g.Wait()
}

// timers knows when each bucket next needs a dispatch, from the chains that this process put off
// or looked at. It takes the same memory however many chains wait.
type timers struct {
	mu   sync.Mutex
	at   [ledger.Buckets]time.Time // by the clock of Redis; zero: not by itself
	news chan struct{}
}

func newTimers() *timers { return &timers{news: make(chan struct{}, 1)} }

// note notes that a bucket needs a dispatch at a time, if not before. It ignores a zero time.
func (d *timers) note(tag string, at time.Time) {
	i := ledger.TagIndex(tag)
	if at.IsZero() || i < 0 {
		return
	}
	d.mu.Lock()
	earlier := d.at[i].IsZero() || at.Before(d.at[i])
	if earlier {
		d.at[i] = at
	}
	d.mu.Unlock()
	if earlier {
		nudge.Send(d.news)
	}
}

// take returns the buckets that are due by now, and when the next one is.
func (d *timers) take(now time.Time) (due []string, next time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, at := range &d.at { // no copy: it would be 24 KB of stack
		switch {
		case at.IsZero():
		case !at.After(now):
			d.at[i] = time.Time{}
			due = append(due, ledger.TagAt(i))
		case next.IsZero() || at.Before(next):
			next = at
		}
	}
	return due, next
}

// run dispatches from buckets when they are due, until ctx ends.
func (d *timers) run(ctx context.Context, now func() time.Time, dispatch func(tags []string)) {
	for {
		due, next := d.take(now())
		for part := range slices.Chunk(due, perDispatch) {
			if ctx.Err() != nil {
				return
			}
			dispatch(part)
		}
		if len(due) > 0 {
			wait(ctx, time.Millisecond) // a bucket that says it is due at once must not spin
			continue
		}
		rest := time.Hour
		if !next.IsZero() {
			// Redis counts whole ms: a moment more makes sure that it is not too early.
			rest = next.Sub(now()) + 2*time.Millisecond
		}
		select {
		case <-ctx.Done():
			return
		case <-d.news:
		case <-time.After(max(rest, time.Millisecond)):
		}
	}
}

// prefetch decides how many tasks wait in asynq: as many as will begin before the dispatcher's next
// pass. With more, a chain that becomes ready would wait behind tasks that nobody needs yet.
type prefetch struct {
	rate  atomic.Int64 // tasks that begin in a second, smoothed
	at    time.Time
	count int64
}

const (
	prefetchEvery = 20 * time.Millisecond
	// aheadOf is for how long the waiting tasks suffice: a few round trips of a busy Redis.
	aheadOf  = 10 * time.Millisecond
	minAhead = 2
)

// note takes how many tasks have begun until now. One goroutine calls it.
func (p *prefetch) note(now time.Time, begun int64) {
	took := now.Sub(p.at)
	if took < prefetchEvery {
		return
	}
	rate := int64(float64(begun-p.count) / took.Seconds())
	p.rate.Store((p.rate.Load() + rate) / 2)
	p.at, p.count = now, begun
}

// ahead is how many tasks should wait, for a worker with that many places.
func (p *prefetch) ahead(places int) int {
	return min(max(minAhead, int(p.rate.Load()*aheadOf.Milliseconds()/1000)), max(minAhead, places/2))
}
