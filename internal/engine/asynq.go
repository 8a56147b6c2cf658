package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"
	"habilita/internal/nudge"
	"habilita/internal/redisconn"
)

// servers are the asynq servers of one worker. Each has one goroutine that fetches tasks, one
// in a round trip. If a round trip takes 4 ms, one server alone would start only 250 chains a
// second, and a task would wait for all tasks before it.
type servers []*asynq.Server

const (
	maxServers      = 4
	placesPerServer = 16
	// A worker with very many places has more servers: when a batch comes, it starts that many runs.
	mostServers   = 16
	placesForMore = 64
	janitorEvery  = 8 * time.Second // asynq's own
)

func serversFor(places int) int {
	return max(1, min(maxServers, places/placesPerServer), min(mostServers, places/placesForMore))
}

// newServers shares the worker's places among the servers. Together, they do asynq's periodic work as often as
// one server would.
func (w *Worker) newServers(base context.Context) servers {
	n := serversFor(w.o.Concurrency)
	all := make(servers, n)
	queues := map[string]int{}
	for _, name := range w.consumes {
		queues[name] = 1
	}
	// All servers together ask all queues about four times as often as one server would ask one queue.
	often := time.Duration(n) * lessOften(1, len(queues))
	check := often * w.o.TaskCheckInterval
	if w.asking.decides() {
		check = w.o.TaskCheckInterval
	}
	for i := range all {
		all[i] = asynq.NewServerFromRedisClient(w.asynqRDB, asynq.Config{
			Concurrency:              (w.o.Concurrency + i) / n,
			Queues:                   queues,
			BaseContext:              func() context.Context { return base },
			TaskCheckInterval:        check,
			DelayedTaskCheckInterval: often * max(time.Second, w.o.TaskCheckInterval),
			JanitorInterval:          time.Duration(n) * janitorEvery,
			ShutdownTimeout:          w.o.ShutdownTimeout,
			RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return time.Second },
			ErrorHandler:             asynq.ErrorHandlerFunc(w.failed),
			Logger:                   asynqLog{w.log},
			LogLevel:                 asynq.WarnLevel,
		})
	}
	return all
}

// start starts all servers. If one can't start, none is left running.
func (s servers) start(h asynq.Handler) error {
	for i, one := range s {
		if err := one.Start(h); err != nil {
			s[:i].shutdown()
			return err
		}
	}
	return nil
}

// stop makes the servers fetch no more tasks.
func (s servers) stop() { s.each((*asynq.Server).Stop) }

// shutdown waits for the handlers, for as long as one server would.
func (s servers) shutdown() { s.each((*asynq.Server).Shutdown) }

// each calls do for all servers at the same time, since each call may hang in Redis.
func (s servers) each(do func(*asynq.Server)) {
	var wg sync.WaitGroup
	for _, one := range s {
		wg.Go(func() { do(one) })
	}
	wg.Wait()
}

// asking decides when asynq's servers ask for tasks. asynq polls an empty queue, because nothing can
// notify it of a task. Here an ask waits in the client that asynq was given, until tell is called or
// some time has passed. So an idle worker asks rarely, and at once when there is work.
//
// A lost notification delays a task by that time; nothing else depends on it.
type asking struct {
	redisconn.PlainHook
	queue   string        // asynq's; "": asks do not wait. asynq asks several queues one after the other, and must not wait at one for a task of another
	servers int           // of asynq, in this process
	every   time.Duration // an ask of all servers together, if nobody tells of a task
	stopped <-chan struct{}
	told    chan struct{} // asks that need not wait
}

func newAsking(servers int, every time.Duration, stopped <-chan struct{}) *asking {
	return &asking{servers: servers, every: every, stopped: stopped, told: make(chan struct{}, servers)}
}

// askRarely is how often an idle worker asks: a notification may be lost, or nobody may send one.
const askRarely = 200 * time.Millisecond

// tell lets n asks pass, at most one for each server: those that wait, then the next ones.
func (a *asking) tell(n int) {
	for range min(n, a.servers) {
		nudge.Send(a.told)
	}
}

// wait returns when an ask may go to Redis.
func (a *asking) wait() {
	// A random wait spreads servers that began together.
	most := time.Duration(a.servers) * a.every
	select {
	case <-a.told:
	case <-time.After(most/2 + rand.N(most)):
	case <-a.stopped:
	}
}

// ProcessHook makes asks wait.
func (a *asking) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !a.isAsk(cmd) {
			return next(ctx, cmd)
		}
		a.wait()
		err := next(ctx, cmd)
		if err == nil {
			a.tell(2) // there may be more, for this server and for another one
		} else if !errors.Is(err, redis.Nil) {
			a.tell(1)
		}
		return err
	}
}

// isAsk recognises, by its keys, the script that fetches a task. If a later asynq uses another script,
// its asks do not wait.
func (a *asking) isAsk(cmd redis.Cmder) bool {
	args := cmd.Args()
	return a.decides() && cmd.Name() == "evalsha" && len(args) > 4 && fmt.Sprint(args[2]) == "4" && args[3] == "asynq:{"+a.queue+"}:pending"
}

// decides reports whether asks wait at all.
func (a *asking) decides() bool { return a.queue != "" }

// An asynq queue lies in one hash slot, so one node of a cluster has all of it. Several queues spread over
// the nodes. A chain's bucket determines its queue. A task is only a hint: if no worker takes it, the ledger
// dispatches the chain again. So processes may use different numbers of queues, and the number may change at any time.

// MaxQueues is the greatest number of queues.
const MaxQueues = 64

const clusterSlots = 16384

// queueNames are the names of n queues. The first is base, and a larger n only adds names. Their hash slots are
// spread evenly, so the masters of a cluster have about the same number of queues, if their slots are contiguous.
func queueNames(base string, n int) []string {
	names := []string{base}
	const golden = 0.6180339887498949 // multiples of it lie evenly on a circle, however many there are
	first := float64(hashSlot(base))
	for i := 1; i < n; i++ {
		want := int(first+float64(i)*golden*clusterSlots) % clusterSlots
		best, least := "", clusterSlots
		for k := range 256 {
			name := fmt.Sprintf("%s-%d-%d", base, i+1, k)
			if d := (hashSlot(name) - want + clusterSlots) % clusterSlots; d < least {
				best, least = name, d
			}
		}
		names = append(names, best)
	}
	return names
}

// hashSlot is the cluster's hash slot for a hash tag: CRC16 (XMODEM) modulo the number of slots.
func hashSlot(tag string) int {
	crc := uint16(0)
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			if carry := crc&0x8000 != 0; carry {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % clusterSlots
}

// queueOf is the queue of a chain.
func queueOf(names []string, chain string) string {
	return names[ledger.TagIndex(ledger.Tag(chain))%len(names)]
}

// consumed are the queues that a worker takes tasks from: its own, and those that exist because another worker,
// or this one earlier, used more queues.
func consumed(inspector *asynq.Inspector, own []string) []string {
	there, err := inspector.Queues()
	if err != nil {
		return own // what is left there is dispatched again
	}
	all := slices.Clone(own)
	for _, name := range queueNames(own[0], MaxQueues)[len(own):] {
		if slices.Contains(there, name) {
			all = append(all, name)
		}
	}
	return all
}

// lessOften stretches an interval for several queues: together they are asked about four times as often as one.
func lessOften(d time.Duration, queues int) time.Duration {
	return d * time.Duration(max(1, queues/4))
}

// TypeRun is the type of the asynq tasks that carry a chain's dispatch. Their payload is
// {"v":1,"chain":...,"feed":...}: names and numbers, never a token.
const TypeRun = "habilita:run"

const (
	payloadVersion = 1
	// The ledger counts attempts. asynq's own counter must never run out, or asynq would
	// archive the chain's task.
	maxRetry = 1_000_000
	// runLimit is how long a run may go on from call to call. It is well below taskTimeout,
	// at which asynq would cancel the task.
	runLimit    = 10 * time.Minute
	taskTimeout = 6 * time.Hour
)

type payload struct {
	Version  int    `json:"v"`
	Chain    string `json:"chain"`
	Dispatch string `json:"feed"`
}

// PoisonError says that this version of the worker can't carry out a task.
type PoisonError struct{ Problem string }

func (e *PoisonError) Error() string { return "task set aside: " + e.Problem }

func decodeTask(t *asynq.Task) (ledger.Dispatch, error) {
	var p payload
	if t.Type() != TypeRun {
		return ledger.Dispatch{}, &PoisonError{fmt.Sprintf("unknown type %q", t.Type())}
	}
	if err := json.Unmarshal(t.Payload(), &p); err != nil {
		return ledger.Dispatch{}, &PoisonError{"the payload is no JSON object: " + err.Error()}
	}
	if p.Version != payloadVersion {
		return ledger.Dispatch{}, &PoisonError{fmt.Sprintf("payload version %d, this worker knows %d", p.Version, payloadVersion)}
	}
	token, _ := ledger.SplitChainID(p.Chain)
	if !ledger.IsToken(token) || p.Dispatch == "" {
		return ledger.Dispatch{}, &PoisonError{"the payload names no chain"}
	}
	return ledger.Dispatch{Chain: p.Chain, Number: p.Dispatch}, nil
}

// publisher publishes dispatches to asynq.
type publisher struct {
	client *asynq.Client
	queues []string
	traced bool // tasks carry the span of their producer; a worker's chains begin traces of their own
}

// publish enqueues the dispatch's task. If asynq has a task of the same dispatch already,
// that is success.
func (c publisher) publish(ctx context.Context, f ledger.Dispatch) error {
	body, _ := json.Marshal(payload{Version: payloadVersion, Chain: f.Chain, Dispatch: f.Number}) // texts and a number: it can't fail
	task := asynq.NewTask(TypeRun, body)
	if c.traced {
		task = asynq.NewTaskWithHeaders(TypeRun, body, headers(ctx))
	}
	_, err := c.client.EnqueueContext(ctx, task,
		asynq.Queue(queueOf(c.queues, f.Chain)), asynq.TaskID(f.TaskID()), asynq.MaxRetry(maxRetry), asynq.Timeout(taskTimeout))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return err
}
