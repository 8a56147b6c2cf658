package simtime

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // the zones do not depend on the machine

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/testkit/wolkvoxtest"
	"habilita/internal/vault"
)

// whole reports whether the whole matrix was asked for.
func whole() bool { return os.Getenv("HABILITA_MATRIX") == "all" }

// World is what a test begins with.
type World struct {
	Start time.Time     // true time, in the vendor's zone
	Off   time.Duration // clocks of Redis and the vendor minus the workers'
	Skew  time.Duration // the vendor's clock minus that of Redis

	Vendor  wolkvoxtest.Options  // Now and Location are filled in
	Dial    time.Duration        // time to connect to the vendor, which each request does unless this is 0
	Workers int                  // 0: 2
	Options engine.WorkerOptions // Log, addresses and keys are filled in
	Idle    time.Duration        // how often idle workers look around; 0: 4 s
}

// world is a World at work, inside its bubble.
type world struct {
	*testing.T
	World
	ctx      context.Context
	redis    *memory
	rdb      *redis.Client
	vendor   *wolkvoxtest.Simulator
	operator *control.Control
	producer *engine.Producer
	names    *vault.TokenIDs
	zone     *time.Location
	batches  []string
	lines    []*line // of the workers that live
	kill     func()  // cuts a worker off for good, and starts another one
}

// line is how a worker reaches Redis and the vendor. A line that is cut off sends and receives
// nothing more, as if the process was killed.
type line struct {
	mu    sync.Mutex
	conns []net.Conn
	dead  bool
	end   context.CancelFunc
}

func (l *line) isCut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

func (l *line) through(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.dead {
			_ = c.Close()
			return nil, net.ErrClosed
		}
		l.conns = append(l.conns, c)
		return c, nil
	}
}

func (l *line) cut() {
	l.mu.Lock()
	l.dead = true
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.end()
}

// run builds the world in a bubble, lets f act, ends it, and judges the account.
func run(t *testing.T, w World, f func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(w.Start.Add(-w.Off)))
		x := &world{T: t, World: w, ctx: context.Background(), redis: newMemory(w.Off), zone: w.Start.Location()}
		defer x.redis.Close()
		dial, down := x.serve()
		defer down()
		defer x.work(dial)() // also where f ends the test: nothing may be left in a bubble
		f(x)
		x.judge()
	})
}

func (w *world) no(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// serve starts the vendor.
func (w *world) serve() (dial func(context.Context, string, string) (net.Conn, error), down func()) {
	o := w.Vendor
	o.Location = w.zone
	o.Now = func() time.Time { return w.redis.now().Add(w.Skew) }
	w.vendor = wolkvoxtest.New(o)
	pipe := wolkvoxtest.NewPipe()
	server := &http.Server{Handler: w.vendor, ErrorLog: log.New(io.Discard, "", 0)}
	server.SetKeepAlivesEnabled(w.Dial == 0)
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = server.Serve(pipe) // ends by Close
	}()
	dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		select {
		case <-time.After(w.Dial):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return pipe.DialContext(ctx, network, addr)
	}
	return dial, func() {
		w.vendor.Close()
		_ = server.Close()
		<-over
	}
}

// work starts the workers and the producer.
func (w *world) work(dial func(context.Context, string, string) (net.Conn, error)) (stop func()) {
	w.Helper()
	keys, err := vault.GenerateKey("sim")
	w.no(err)
	o := w.Options
	o.Keys, o.RedisURL, o.WolkvoxURL = keys, "redis://127.0.0.1:6379/0", "http://127.0.0.1/wv{server}"
	o.RedisDialer, o.VendorDialer = w.redis.dial, dial
	o.Quota.Location = w.zone
	idle := cmp.Or(w.Idle, 4*time.Second)
	o.TaskCheckInterval, o.ReconcileInterval = idle, max(time.Minute, 30*idle)
	o.Concurrency = cmp.Or(o.Concurrency, 8)
	o.Log = zerolog.New(zerolog.NewTestWriter(w.T)).Level(logLevel())
	ctx, cancel := context.WithCancel(w.ctx)
	var running sync.WaitGroup
	start := func() {
		line := &line{}
		o := o
		o.RedisDialer, o.VendorDialer = line.through(w.redis.dial), line.through(dial)
		worker, err := engine.NewWorker(w.ctx, o)
		w.no(err)
		ctx, cancel := context.WithCancel(ctx)
		line.end = cancel
		running.Go(func() {
			if err := worker.Run(ctx); err != nil && !line.isCut() {
				w.Errorf("worker: %v", err)
			}
		})
		w.lines = append(w.lines, line)
	}
	for range cmp.Or(w.Workers, 2) {
		start()
	}
	w.kill = func() {
		w.lines[0].cut()
		w.lines = w.lines[1:]
		start()
	}
	w.rdb = redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379", Dialer: w.redis.dial})
	w.producer, err = engine.NewProducer(w.ctx, w.rdb, o.Options)
	w.no(err)
	opened, err := vault.ParseKeys(keys)
	w.no(err)
	w.names, err = vault.EnsureTokenIDKey(w.ctx, w.rdb, quota.DefaultPrefix+":naming", opened)
	w.no(err)
	w.operator, err = control.Open(w.rdb, "", quota.Settings{Location: w.zone})
	w.no(err)
	return func() {
		cancel()
		running.Wait()
		_ = w.producer.Close()
		_ = w.rdb.Close()
		time.Sleep(time.Minute) // of the bubble: a go-redis that was cut off looks a second later whether it was closed
	}
}

func logLevel() zerolog.Level {
	if l, err := zerolog.ParseLevel(os.Getenv("HABILITA_SIM_LOG")); err == nil && l != zerolog.NoLevel {
		return l
	}
	return zerolog.FatalLevel
}

// load is calls of one token, dealt to its chains in turn.
type load struct {
	token    string
	calls    int
	chains   int // 0: 1
	licenses int // 0: not given
	at       time.Time
}

// enqueue enqueues loads, those of different tokens interleaved, under the batch's name.
func (w *world) enqueue(name string, loads ...load) {
	w.Helper()
	most := 0
	for _, l := range loads {
		most = max(most, l.calls)
	}
	_, err := w.producer.EnqueueBatch(w.ctx, name, func(yield func(engine.Call, error) bool) {
		for i := range most {
			for _, l := range loads {
				c := engine.Call{
					Server: "1", Token: engine.Token(l.token), Licenses: l.licenses, Ref: fmt.Sprintf("%03d %05d", len(w.batches), i),
					Chain: fmt.Sprint("c", i%max(l.chains, 1)), At: l.at,
				}
				if i < l.calls && !yield(c, nil) {
					return
				}
			}
		}
	}, engine.BatchOptions{})
	w.no(err)
	w.batches = append(w.batches, name)
}

// use makes requests of somebody else's with a token. The limiter and the vendor count them:
// today, or on the day that begins at a time.
func (w *world) use(token string, n int, begins time.Time) {
	w.Helper()
	name := w.names.Name(token)
	key := redisconn.Bucket(quota.DefaultPrefix, quota.Tag(name)) + "used:" + name + ":" + begins.In(w.zone).Format("20060102")
	w.no(w.rdb.IncrBy(w.ctx, key, int64(n)).Err())
	// The vendor's own clock has to have come there.
	time.AfterFunc(begins.Add(-w.Skew).Sub(w.now()), func() { w.vendor.AddUsed(token, n) })
}

// now is true time, in the vendor's zone.
func (w *world) now() time.Time { return w.redis.now().In(w.zone) }

// until lets time pass until then.
func (w *world) until(then time.Time) { time.Sleep(then.Sub(w.now())) }

// await lets time pass, in steps, until the batch is as wanted.
func (w *world) await(name, what string, within time.Duration, ok func(control.Status) bool) control.Status {
	w.Helper()
	over := time.Now().Add(within)
	for {
		st, err := w.operator.Status(w.ctx, name)
		w.no(err)
		if ok(st) {
			return st
		}
		if time.Now().After(over) {
			w.Fatalf("%s: %s is not %s: %+v\n%s", w.now(), name, what, st, w.waiting())
		}
		time.Sleep(max(within/500, time.Second))
	}
}

// done waits until all calls of the batches succeeded; none named: of all batches.
func (w *world) done(within time.Duration, batches ...string) {
	w.Helper()
	if len(batches) == 0 {
		batches = w.batches
	}
	for _, name := range batches {
		w.await(name, "all done", within, func(st control.Status) bool { return st.Succeeded == st.Total })
	}
}

func (w *world) report() []control.CallRecord {
	w.Helper()
	var all []control.CallRecord
	for _, name := range w.batches {
		for r, err := range w.operator.Report(w.ctx, name) {
			w.no(err)
			all = append(all, r)
		}
	}
	return all
}

func (w *world) waiting() string {
	var b strings.Builder
	for c, err := range w.operator.Chains(w.ctx, false) {
		if err != nil {
			return err.Error()
		}
		fmt.Fprintf(&b, "%s %s until %s: %s\n", c.ID, c.State, c.Until, c.Why)
	}
	return b.String()
}

// judge fails the test for every promise that was broken by the vendor's account.
func (w *world) judge() {
	w.Helper()
	a := w.vendor.Account()
	ids := map[string][]control.CallRecord{}
	for _, r := range w.report() {
		ids[r.Chain] = append(ids[r.Chain], r)
	}
	var chains [][]string
	for _, calls := range ids {
		slices.SortFunc(calls, func(a, b control.CallRecord) int { return cmp.Compare(a.Ref, b.Ref) })
		var chain []string
		for _, c := range calls {
			chain = append(chain, c.ID)
		}
		chains = append(chains, chain)
	}
	all := slices.Concat(a.OverSlots(), a.OverQuota(), a.OrderViolations(chains), a.OverlapViolations(chains),
		a.RepeatedIDs(), a.Unexplained())
	for i, v := range all {
		if i == 5 {
			w.Errorf("and %d more", len(all)-i)
			break
		}
		w.Error(v)
	}
	w.Logf("%d requests, %d done, by day %v, most in flight %d", a.Totals.Requests, a.Totals.Successes, days(a), a.Totals.MaxInFlight)
}

// days are the requests of each day and token, as the vendor counted them.
func days(a wolkvoxtest.Account) map[string]int {
	n := map[string]int{}
	for _, r := range a.Records {
		n[r.Day+" "+r.Token]++
	}
	return n
}
