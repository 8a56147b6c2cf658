package engine

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"habilita/internal/breaker"
	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/internal/wolkvox"
)

// NewWorker connects to Redis, opens or makes the token-ID key, and joins the membership of
// the processes: a *membership.MismatchError says with what it disagrees.
func NewWorker(ctx context.Context, o WorkerOptions) (_ *Worker, err error) {
	o = o.WithDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	w := &Worker{o: o, log: o.Log, meter: newMeter(), unregister: func() {}}
	if o.cluster() {
		w.prove = proofWait
	}
	// A request that the network holds back must not arrive long after its grant.
	w.vendor, err = wolkvox.New(wolkvox.Config{
		URL: o.WolkvoxURL, Timeout: o.CallTimeout, AckTimeout: o.SlotMargin,
		DialContext: o.VendorDialer,
	})
	if err != nil {
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
	me := membership.Self(membership.Worker)
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
	// Once: what is there under these names afterwards is another worker's.
	w.unregister = sync.OnceFunc(func() { o.Metrics.Unregister(w.meter.own) })
	return w, nil
}

// connect opens the connections and the stack. What it opened is to be closed, also after an error.
func (w *Worker) connect(ctx context.Context) (opened []io.Closer, err error) {
	open := func(ro redisconn.Options) (c redis.UniversalClient, err error) {
		ro.Dialer = w.o.RedisDialer
		if c, err = w.o.openRedis(ro); err == nil {
			opened = append(opened, c)
		}
		return c, err
	}
	// A change that comes before there is a stack is one all the same.
	var ready atomic.Bool
	var early atomic.Pointer[redisconn.Change]
	w.watch = redisconn.NewRestartWatch(func(ctx context.Context, cn *redis.Conn, c redisconn.Change) {
		if ready.Load() {
			w.restarted(ctx, cn, c)
		} else {
			early.Store(&c)
		}
	})
	rdb, err := open(redisconn.Options{PoolSize: min(w.o.Concurrency, connections) + 32, Watch: w.watch})
	if err != nil {
		return opened, err
	}
	w.asynqRDB, err = open(redisconn.Options{PoolSize: min(w.o.Concurrency, connections) + 16, Detach: true})
	if err != nil {
		return opened, err
	}
	w.probe, err = open(redisconn.Options{
		PoolSize: 1, MaxRetries: -1, DialTimeout: writableWait, ReadTimeout: writableWait,
	})
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
	publish := func(ctx context.Context, f ledger.Dispatch) error {
		err := tasks.publish(ctx, f)
		w.asking.tell(1)
		return err
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
		noteDue: d.note, publish: publish, idle: idle,
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
	w.runner.current = w.member.Current
	w.runner.breakers = w.breakers
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

// recordingsOf has the places for outcomes on their way, and how long one waits for its place. One Redis is
// sent scripts in pipelines, so more of them cost it little; what begins a run must not stand behind
// thousands all the same.
func recordingsOf(rdb redis.UniversalClient) (places chan struct{}, room time.Duration) {
	if _, several := rdb.(*redis.ClusterClient); several {
		return make(chan struct{}, recordings), recordRoom
	}
	return make(chan struct{}, 4*recordings), 5 * time.Second
}

// connections are enough for any number of requests in flight: a run needs one for the moment of a
// script alone, and Redis does one script at a time.
const connections = 64

// budgetOf is how long a run stays at its chain while others wait, so that of all runs one
// leaves its chain every ms. It is a share of time and not of calls: a chain whose calls take a
// minute keeps others waiting for one call, not for five.
func budgetOf(places int) time.Duration { return time.Duration(places) * time.Millisecond }

// recordings is how many outcomes are on their way to Redis at once. They keep it busy, and more
// would only stand in its queue, before whatever starts a chain (docs/decisions.md).
const recordings = 16
