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
	"habilita/internal/redisconn"
)

// servers are asynq's servers of one worker. Each has one goroutine that takes tasks out,
// one in a round trip, so one server alone would start 250 chains a second where a
// round trip takes 4 ms, and a task would wait for all before it.
type servers []*asynq.Server

const (
	maxServers      = 4
	placesPerServer = 16
	// A worker with very many places has more of them: it starts as many runs when a batch comes.
	mostServers   = 16
	placesForMore = 64
	janitorEvery  = 8 * time.Second // asynq's own
)

func serversFor(places int) int {
	return max(1, min(maxServers, places/placesPerServer), min(mostServers, places/placesForMore))
}

// newServers shares the worker's places among servers. What asynq does now and then, they do together as often
// as one server would.
func (w *Worker) newServers(base context.Context) servers {
	n := serversFor(w.o.Concurrency)
	all := make(servers, n)
	queues := map[string]int{}
	for _, name := range w.consumes {
		queues[name] = 1
	}
	// Together all servers ask all queues four times as often as one server would ask one queue.
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

// start starts all; where one can't be, none is left running.
func (s servers) start(h asynq.Handler) error {
	for i, one := range s {
		if err := one.Start(h); err != nil {
			s[:i].shutdown()
			return err
		}
	}
	return nil
}

// stop ends the taking of tasks.
func (s servers) stop() { s.each((*asynq.Server).Stop) }

// shutdown waits for the handlers, for as long as one server would.
func (s servers) shutdown() { s.each((*asynq.Server).Shutdown) }

// each does it to all at the same time: each may hang in Redis.
func (s servers) each(do func(*asynq.Server)) {
	var wg sync.WaitGroup
	for _, one := range s {
		wg.Go(func() { do(one) })
	}
	wg.Wait()
}

// asking decides when asynq's servers ask for tasks. asynq asks an empty queue again and again, for it
// can't be told of a task. Here an ask waits in the client that asynq was given, until somebody tells
// of a task or some time has passed. So an idle worker asks rarely, and at once when there is work.
//
// A word that was lost costs a task that time; nothing else depends on it.
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

// askRarely is how often an idle worker asks: a word may be lost, or a task come from somebody who tells nobody.
const askRarely = 200 * time.Millisecond

// tell lets n asks pass: those that wait, and the next ones, as many as there are servers.
func (a *asking) tell(n int) {
	for range min(n, a.servers) {
		nudge(a.told)
	}
}

// wait waits until it may ask.
func (a *asking) wait() {
	// Servers that began together come apart.
	most := time.Duration(a.servers) * a.every
	select {
	case <-a.told:
	case <-time.After(most/2 + rand.N(most)):
	case <-a.stopped:
	}
}

// ProcessHook lets asks wait.
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

// isAsk knows the script that takes a task out by its keys. If a later asynq has another one, its asks
// do not wait.
func (a *asking) isAsk(cmd redis.Cmder) bool {
	args := cmd.Args()
	return a.decides() && cmd.Name() == "evalsha" && len(args) > 4 && fmt.Sprint(args[2]) == "4" && args[3] == "asynq:{"+a.queue+"}:pending"
}

// decides reports whether asks wait at all.
func (a *asking) decides() bool { return a.queue != "" }

// A queue of asynq lies in one hash slot, so one node of a cluster has all of it. Several queues spread over
// the nodes. A chain's queue follows from its bucket, and a task is only a hint: the ledger dispatches a chain
// again whose task nobody takes. So processes may differ in their number of queues, and it may change at any time.

// MaxQueues is the greatest number of queues.
const MaxQueues = 64

const clusterSlots = 16384

// queueNames are the names of n queues. The first is base, and more of them leave the others' names as they are.
// Their hash slots lie evenly, so that each master of a cluster with slots in order has about as many.
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

// hashSlot is the slot of a cluster that has a key: the CRC16 of XMODEM.
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

// consumed are the queues that a worker takes tasks from: its own, and those of ours that others, or it before,
// made more of.
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

// lessOften is how much less often several queues are asked than one: all together at most four times as often.
func lessOften(d time.Duration, queues int) time.Duration {
	return d * time.Duration(max(1, queues/4))
}

// TypeRun is the type of the asynq tasks that carry a chain's dispatch. Their payload is
// {"v":1,"chain":...,"feed":...}: names and numbers, never a token.
const TypeRun = "habilita:run"

const (
	payloadVersion = 1
	// Attempts are counted by the ledger: asynq's own counter must never run out, since
	// it would archive a chain's task.
	maxRetry = 1_000_000
	// runLimit ends a run that went on in place for long, well before asynq's time-out
	// of the task would cancel it.
	runLimit    = 10 * time.Minute
	taskTimeout = 6 * time.Hour
)

type payload struct {
	Version  int    `json:"v"`
	Chain    string `json:"chain"`
	Dispatch string `json:"feed"`
}

// PoisonError says that a task can't be carried out by this version of the worker.
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

// publisher hands dispatches to asynq.
type publisher struct {
	client *asynq.Client
	queues []string
	traced bool // tasks carry the span of their producer; a worker's chains begin traces of their own
}

// publish enqueues the dispatch's task. A task of the same dispatch that is there already
// is success.
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
