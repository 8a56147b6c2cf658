package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"habilita/internal/breaker"
	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/internal/wolkvox"
)

// Worker makes the calls. Run it once.
type Worker struct {
	o        WorkerOptions
	log      zerolog.Logger
	stack    *stack
	watch    *redisconn.RestartWatch
	durable  atomic.Bool   // Redis syncs every write
	prove    time.Duration // how long a take-over may take to show that nothing was lost; 0: it can't
	changes  atomic.Int64  // restarts of Redis that were seen
	asynqRDB redis.UniversalClient
	consumes []string // queues of asynq that it takes tasks from
	running  sync.Map // ids of asynq's tasks that this process runs
	vendor   *wolkvox.Client
	member   *membership.Membership
	meter    *meter
	// unregister removes the metrics, so that another worker can use the Registerer.
	unregister func()
	breakers   *breaker.Monitor

	runner     *runner
	dispatcher *dispatcher
	reconciler *reconciler
	scheduler  *scheduler
	spent      atomic.Bool // ran, or was closed
	taking     atomic.Bool // takes calls
	asking     *asking
	places     places
	stopped    chan struct{} // closed when the worker takes no more calls
	hangs      atomic.Bool   // the shutdown was not waited for to its end

	probe  redis.UniversalClient // of writes
	writes *writable
}

// NewWorker connects to Redis, opens or makes the token-ID key, and joins the membership of
// the processes. A *membership.MismatchError says which settings disagree.
func NewWorker(ctx context.Context, o WorkerOptions) (_ *Worker, err error) {
	o = o.WithDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	w := &Worker{o: o, log: o.Log, meter: newMeter(), unregister: func() {}}
	if o.cluster() {
		w.prove = proofWait
	}
	if w.vendor, err = o.vendor(); err != nil {
		return nil, err
	}
	opened, err := w.connect(ctx)
	defer func() {
		for _, c := range opened {
			if err != nil {
				err = errors.Join(err, c.Close())
			}
		}
	}()
	if err != nil {
		return nil, err
	}
	w.learnDurability(ctx)
	if err := w.remember(ctx, true); err != nil {
		if !redisconn.Partly(err) {
			return nil, err
		}
		o.Log.Warn().Err(err).Msg("a part of Redis can't be read: its calls wait until it is back")
	}
	me := membership.Self(membership.Worker, w.stack.keys.IDs()...)
	if w.member, err = w.stack.registry.Join(ctx, me, o.sharedSettings(w.stack)); err != nil {
		return nil, err
	}
	w.assemble(me.ID)
	w.meter.told(func() bool { return w.barred() == nil }, w.stack.acks)
	if o.Metrics == nil {
		return w, nil
	}
	if err := o.Metrics.Register(w.meter.own); err != nil {
		opened = nil
		return nil, errors.Join(err, w.Close())
	}
	// Only once: afterwards, metrics of these names are another worker's.
	w.unregister = sync.OnceFunc(func() { o.Metrics.Unregister(w.meter.own) })
	return w, nil
}

// connect opens the connections and the stack. The caller closes what it opened, after an error too.
func (w *Worker) connect(ctx context.Context) (opened []io.Closer, err error) {
	open := func(ro redisconn.Options) (c redis.UniversalClient) {
		if err == nil {
			ro.Dialer = w.o.RedisDialer
			if c, err = w.o.openRedis(ro); err == nil {
				opened = append(opened, c)
			}
		}
		return c
	}
	// A change that comes before there is a stack is kept for it; remember finds one that comes just as it is there.
	var ready atomic.Bool
	var early atomic.Pointer[redisconn.Change]
	w.watch = redisconn.NewRestartWatch(func(ctx context.Context, cn *redis.Conn, c redisconn.Change) {
		if ready.Load() {
			w.restarted(ctx, cn, c)
		} else {
			early.Store(&c)
		}
	})
	rdb := open(redisconn.Options{PoolSize: min(w.o.Concurrency, connections) + 32, Watch: w.watch})
	w.asynqRDB = open(redisconn.Options{PoolSize: min(w.o.Concurrency, connections) + 16, Detach: true})
	w.probe = open(redisconn.Options{PoolSize: 1, MaxRetries: -1, DialTimeout: writableWait, ReadTimeout: writableWait})
	if err != nil {
		return opened, err
	}
	redisconn.Pipelined(rdb)
	if w.stack, err = openStack(ctx, rdb, w.o.Options, w.o.MaxAttempts); err != nil {
		return opened, err
	}
	w.stopped = make(chan struct{})
	w.asking = newAsking(serversFor(w.o.Concurrency), max(askRarely, w.o.TaskCheckInterval), w.stopped)
	w.asynqRDB.AddHook(w.asking) // before Pipelined: an ask that waits holds no connection
	redisconn.Pipelined(w.asynqRDB)
	ready.Store(true)
	if c := early.Load(); c != nil {
		w.restarted(ctx, nil, *c)
	}
	return opened, nil
}

func (w *Worker) assemble(me string) {
	w.places = make(places, w.o.Concurrency)
	w.writes = newWritable(w.probe, w.stack.prefix, w.stack.queues)
	// One client: a new one would write the queue's name again, and that may be on a node of a cluster that is away.
	tasks := publisher{client: asynq.NewClientFromRedisClient(w.asynqRDB), queues: w.stack.queues}
	publish := func(ctx context.Context, f ledger.Dispatch) {
		if err := tasks.publish(ctx, f); err != nil {
			w.log.Warn().Err(err).Str("chain", f.Chain).Msg("a chain could not be published to asynq; it is dispatched again in 10 s")
		}
		w.asking.tell(1)
	}
	inspector := asynq.NewInspectorFromRedisClient(w.asynqRDB)
	w.consumes = consumed(inspector, w.stack.queues)
	if len(w.consumes) == 1 {
		w.asking.queue = w.consumes[0]
	}
	d, idle := newTimers(), newIdleRuns()
	// A probe's request ends within the lease of its slot.
	w.breakers = breaker.NewMonitor(breaker.New(w.stack.rdb, w.stack.prefix), w.stack.settings.Lease+5*time.Second, w.stack.clock.Now, w.log)
	recording, room := recordingsOf(w.stack.rdb)
	w.runner = &runner{
		stack: w.stack, o: w.o, vendor: w.vendor, meter: w.meter, log: w.log, budget: budgetOf(w.o.Concurrency),
		recording: recording, room: room, hosts: newHosts(w.o.ServerConcurrency), places: w.places, stopped: w.stopped,
		noteDue: d.note, publish: publish, idle: idle, current: w.member.Current, breakers: w.breakers,
	}
	w.dispatcher = &dispatcher{
		stack: w.stack, log: w.log, meter: w.meter, publish: publish, timers: d, idle: idle, asking: w.asking,
		inspector: inspector, consumes: w.consumes,
		active:   func() int { return int(w.runner.active.Load()) },
		places:   w.o.Concurrency,
		patience: max(signalWait, w.o.TaskCheckInterval),
	}
	if w.o.severalNodes() {
		w.dispatcher.patience = ledger.Briefly
	}
	w.runner.crowded, w.runner.backlog = w.dispatcher.crowded, w.dispatcher.backlog
	w.reconciler = &reconciler{
		stack: w.stack, breakers: w.breakers, log: w.log, meter: w.meter, timers: d, me: me, retention: w.o.Retention, every: w.o.ReconcileInterval,
		leases: &leases{rdb: w.stack.rdb, queues: w.consumes, here: &w.running},
		ids:    rand.IntN(ledger.Buckets),
	}
	w.scheduler = &scheduler{
		stack: w.stack, log: w.log, meter: w.meter, store: schedule.NewStore(w.stack.rdb, w.stack.prefix),
		producer: &Producer{stack: w.stack, publisher: publisher{asynq.NewClientFromRedisClient(w.asynqRDB), w.stack.queues, w.o.Tracer != nil}},
		every:    min(lookEvery, w.o.ReconcileInterval), lease: claimLease,
	}
}

// recordingsOf makes the places for outcomes on their way, and says how long an outcome waits for one. A single
// Redis gets scripts in pipelines, so more of them cost it little. Still, the script that begins a run must not
// wait behind thousands.
func recordingsOf(rdb redis.UniversalClient) (places chan struct{}, room time.Duration) {
	if _, several := rdb.(*redis.ClusterClient); several {
		return make(chan struct{}, recordings), recordRoom
	}
	return make(chan struct{}, 4*recordings), 5 * time.Second
}

// connections are enough for any number of requests in flight: a run needs one only for the moment of a
// script, and Redis runs one script at a time.
const connections = 64

// budgetOf is the run budget: how long a run stays at its chain while others wait. With it, one of
// all runs leaves its chain every ms. It is in time, not in calls: a chain whose calls take a
// minute keeps others waiting for one call, not for five.
func budgetOf(places int) time.Duration { return time.Duration(places) * time.Millisecond }

// recordings is how many outcomes are on their way to Redis at once. They keep Redis busy. More would
// only wait in its queue, ahead of the scripts that start chains (docs/decisions.md).
const recordings = 16

// Run takes calls until ctx ends. Then it takes no new call, lets those in flight end for
// up to ShutdownTimeout, and returns nil. An error says that it had to stop: its settings
// disagree with those of the others.
//
// It ends in this order. Run stops dispatching, reconciling, making scheduled runs (one that is
// being enqueued is left to another worker) and fetching tasks. Runs end after their current
// call. asynq gives back the tasks that it had fetched. The worker leaves the membership and
// closes its connections. All this takes ShutdownTimeout and 3 s at most, even if Redis hangs.
func (w *Worker) Run(ctx context.Context) error {
	if w.spent.Swap(true) {
		return errors.New("a worker runs once, and this one ran or was closed: make a new one")
	}
	last, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	hard, cutOff := context.WithCancel(last)
	defer cutOff()
	w.runner.last = last
	soft, stop := context.WithCancel(ctx)
	defer stop()

	// A run has the worker's context, not the task's. asynq ends the task's when its lease has
	// run out (Redis was away), and that must not cut off a request in flight.
	handler := asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error { return w.handle(hard, t) })
	servers := w.newServers(hard)
	if err := servers.start(handler); err != nil {
		return errors.Join(err, w.close())
	}
	var wg sync.WaitGroup
	wg.Go(func() { w.dispatcher.run(soft) })
	wg.Go(func() { w.reconciler.run(soft) })
	wg.Go(func() { w.scheduler.run(soft) })
	wg.Go(func() { w.breakers.Run(soft) })
	wg.Go(func() { w.runner.pauses.run(soft, w.log) })
	if w.o.WaitReplicas > 0 {
		wg.Go(func() { w.followReplicas(soft) })
	}
	wg.Go(func() {
		<-soft.Done()
		w.runner.requeueWaiting(hard)
	})
	// A worker that drains uses its settings until its last request has ended: it stays a
	// member until then.
	membership, endMembership := context.WithCancel(context.WithoutCancel(ctx))
	defer endMembership()
	left := make(chan struct{})
	disagreed := make(chan error, 2)
	wg.Go(func() {
		if err := w.follow(soft); err != nil {
			disagreed <- err
		}
	})
	go func() {
		defer close(left)
		if err := w.member.Keep(membership); err != nil {
			disagreed <- err
		}
	}()
	w.taking.Store(true)
	w.log.Info().Int("concurrency", w.o.Concurrency).Int("server_concurrency", w.o.ServerConcurrency).Int("token_slots", w.stack.settings.Slots).
		Dur("lease", w.stack.settings.Lease).Msg("worker takes calls")

	var cause error
	select {
	case <-ctx.Done():
	case cause = <-disagreed:
		w.log.Error().Err(cause).Msg("the worker stops: other processes use other shared settings")
	}
	w.taking.Store(false)
	w.runner.stopping.Store(true)
	close(w.stopped)
	w.log.Info().Int64("in_flight", w.runner.active.Load()-w.runner.idle.runs.Load()).Msg("worker stops: no new call, those in flight end")
	w.drain(func() {
		servers.stop()
		stop()
		wg.Wait()
		servers.shutdown()
	}, cutOff, giveUp)
	endMembership()
	select {
	case <-left:
	case <-time.After(leaveWait): // a beat may hang in Redis
	}
	return errors.Join(cause, w.close())
}

// Close closes a worker that was not run. Otherwise it does nothing: Run closes it.
func (w *Worker) Close() error {
	if w.spent.Swap(true) {
		return nil
	}
	return w.close()
}

// close leaves the membership and closes the connections of a worker that was not run, or
// whose runs have ended. If runs have not ended, it does not leave: its membership lapses.
func (w *Worker) close() error {
	leave := func() error {
		said := make(chan error, 1)
		go func() { said <- w.member.Leave(context.Background()) }()
		select {
		case err := <-said:
			return err
		case <-time.After(leaveWait): // the client reads until its own time-out
			return context.DeadlineExceeded
		}
	}
	if n := w.runner.active.Load(); n > 0 {
		w.log.Warn().Int64("in_flight", n).Msg("runs have not ended in time: this worker stays a member until its membership lapses")
	} else if err := leave(); err != nil {
		w.log.Warn().Err(err).Msg("the worker could not end its membership; it lapses by itself within 20 s")
	}
	w.vendor.CloseIdle()
	w.unregister()
	err := errors.Join(w.stack.rdb.Close(), w.probe.Close())
	if w.hangs.Load() {
		return err // asynq's server panics if its client is closed before it has ended
	}
	if closed := w.asynqRDB.Close(); !errors.Is(closed, redis.ErrClosed) { // asynq's server may have done it
		err = errors.Join(err, closed)
	}
	return err
}

// handle runs a task. It returns an error only if the task can't be read, or if Redis did
// not answer.
func (w *Worker) handle(ctx context.Context, t *asynq.Task) error {
	w.dispatcher.begun()
	if rw := t.ResultWriter(); rw != nil {
		w.running.Store(rw.TaskID(), nil)
		defer w.running.Delete(rw.TaskID())
	}
	f, err := decodeTask(t)
	if err != nil {
		w.meter.poison.Inc()
		return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
	}
	w.runner.active.Add(1)
	defer w.runner.active.Add(-1)
	// When a task's lease has ended without Redis, asynq gives its place away although its run
	// goes on. And chains that had waited for their server have places without a task.
	if !w.places.enter(w.stopped) {
		return w.runner.putBack(ctx, f)
	}
	defer w.places.leave()
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier(t.Headers()))
	ctx, span := w.stack.tracer.Start(ctx, "run", trace.WithSpanKind(trace.SpanKindConsumer))
	defer span.End()
	span.SetAttributes(attribute.String("habilita.chain", f.Chain), attribute.String("habilita.dispatch", f.Number))
	return w.runner.run(ctx, f)
}

// failed logs a handler's error that asynq reports.
func (w *Worker) failed(_ context.Context, t *asynq.Task, err error) {
	e, what := w.log.Warn(), "an asynq task failed; its chain is dispatched again"
	if redisconn.Is[*PoisonError](err) {
		e, what = w.log.Error(), "an asynq task can't be carried out; it stays in asynq's archive"
	}
	id := ""
	if rw := t.ResultWriter(); rw != nil {
		id = rw.TaskID()
	}
	e.Err(err).Str("task", id).Str("type", t.Type()).Msg(what)
}

// asynqLog passes asynq's log lines on.
type asynqLog struct{ log zerolog.Logger }

func (l asynqLog) Debug(a ...any) { l.log.Debug().Msg(fmt.Sprint(a...)) }
func (l asynqLog) Info(a ...any)  { l.log.Info().Msg(fmt.Sprint(a...)) }
func (l asynqLog) Warn(a ...any)  { l.log.Warn().Msg(fmt.Sprint(a...)) }
func (l asynqLog) Error(a ...any) { l.log.Error().Msg(fmt.Sprint(a...)) }
func (l asynqLog) Fatal(a ...any) { l.log.Error().Msg(fmt.Sprint(a...)) }
