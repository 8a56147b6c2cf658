package quota

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// spy counts the scripts that a client calls, and says when a waiter of Acquire was
// queued.
type spy struct {
	scripts atomic.Int64
	queued  chan struct{}
}

func (s *spy) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (s *spy) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *spy) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if !strings.HasPrefix(cmd.Name(), "eval") || err != nil {
			return err
		}
		s.scripts.Add(1)
		items, _ := cmd.(*redis.Cmd).Slice()
		if waiter := waiterOf(cmd.Args()); len(items) == 9 && items[0] == "slots" && strings.HasPrefix(waiter, "~") {
			select {
			case s.queued <- struct{}{}:
			default:
			}
		}
		return nil
	}
}

// waiterOf returns the third argument of a script, behind its keys: the waiter, if it is a try.
func waiterOf(args []any) string {
	keys, _ := args[2].(int)
	if i := 3 + keys + 2; i < len(args) {
		waiter, _ := args[i].(string)
		return waiter
	}
	return ""
}

// spied gives the world a client and a Limiter of its own, with a spy.
func (w *world) spied() *spy {
	s := &spy{queued: make(chan struct{}, 1000)}
	options := *w.client.Options()
	c := redis.NewClient(&options)
	w.Cleanup(func() { _ = c.Close() })
	c.AddHook(s)
	w.l = limiter(w, c, w.l.settings)
	return s
}

func (w *world) wait(what string, c <-chan struct{}) {
	w.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		w.Fatalf("waited in vain: %s", what)
	}
}

type acquired struct {
	grant Grant
	err   error
	done  chan struct{}
}

// acquire begins an Acquire and returns when it is queued.
func (w *world) acquire(ctx context.Context, s *spy) *acquired {
	w.Helper()
	a := &acquired{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.grant, a.err = w.l.Acquire(ctx, token)
	}()
	w.wait("to be queued", s.queued)
	return a
}

func testAcquire(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	s := w.spied()
	first, err := w.l.Acquire(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	second := w.granted()
	a := w.acquire(t.Context(), s)
	z := w.acquire(t.Context(), s)
	if u := w.peek(); u.Waiting != 2 {
		t.Fatalf("%d wait", u.Waiting)
	}
	if woken, held, err := w.l.free(t.Context(), first, ""); err != nil || !held || !strings.HasPrefix(woken, "~") {
		t.Fatal(woken, held, err)
	}
	w.wait("the first", a.done)
	if a.err != nil || a.grant.Nonce == "" {
		t.Fatal(a.err)
	}
	// A release by another process is heard too.
	other := limiter(t, b.client, w.l.settings)
	if err := other.GiveBack(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	w.wait("the second", z.done)
	if z.err != nil || z.grant.Nonce == a.grant.Nonce {
		t.Fatal(z.err)
	}
	if u := w.peek(); u.Held != 2 || u.Waiting != 0 {
		t.Fatalf("usage %+v", u)
	}
	if n := w.l.hub.sub; n != nil {
		t.Fatal("it listens with nobody waiting")
	}
}

func testAcquireNotNow(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	until := w.now.Add(time.Hour)
	w.cool(until, "closed", 0, until)
	_, err := w.l.Acquire(t.Context(), token)
	var no *NotNowError
	if !errors.As(err, &no) || no.Decision.Reason != ReasonCooling || !strings.Contains(err.Error(), "cooling (closed); try again at 2") {
		t.Fatal(err)
	}
	if strings.Contains(err.Error(), token) {
		t.Fatalf("the name is shown: %v", err)
	}
}

// A waiter that is refused for good passes its wake on, so all waiters learn it at once.
func testAcquireAllLearn(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	s := w.spied()
	g := w.granted()
	w.granted()
	all := []*acquired{w.acquire(t.Context(), s), w.acquire(t.Context(), s), w.acquire(t.Context(), s)}
	w.use(w.day(w.now), 1000)
	if err := w.l.Release(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		w.wait("a waiter", a.done)
		var no *NotNowError
		if !errors.As(a.err, &no) || no.Decision.Reason != ReasonQuota {
			t.Fatal(a.err)
		}
	}
	if u := w.peek(); u.Waiting != 0 || u.Held != 1 {
		t.Fatalf("usage %+v", u)
	}
}

func testAcquireCancelled(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	s := w.spied()
	w.granted()
	w.granted()
	ctx, cancel := context.WithCancel(t.Context())
	a := w.acquire(ctx, s)
	cancel()
	w.wait("the cancelled one", a.done)
	if a.err != context.Canceled || a.grant != (Grant{}) {
		t.Fatal(a.grant, a.err)
	}
	if u := w.peek(); u.Waiting != 0 || u.Held != 2 {
		t.Fatalf("usage %+v", u)
	}
	if _, err := w.l.Acquire(ctx, token); err != context.Canceled {
		t.Fatal(err)
	}
}

// A waiter that died at the head of the queue is passed over.
func testAcquirePassesOverTheDead(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	s := w.spied()
	g := w.granted()
	w.granted()
	if d, err := w.l.try(t.Context(), token, "~gone.1", w.now.Add(-time.Hour)); err != nil || d.Granted {
		t.Fatal(d, err)
	}
	<-s.queued
	a := w.acquire(t.Context(), s)
	if woken, held, err := w.l.free(t.Context(), g, ""); err != nil || !held || woken == "" || woken == "~gone.1" {
		t.Fatal(woken, held, err)
	}
	w.wait("the next one", a.done)
	if a.err != nil {
		t.Fatal(a.err)
	}
}

// A wake that was for a waiter who leaves goes to the next one.
func testAcquirePassesOn(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	s := w.spied()
	g := w.granted()
	w.granted()
	const gone = "leaves"
	w.waits(gone, w.now.Add(-time.Hour))
	<-s.queued
	a := w.acquire(t.Context(), s)
	w.release(g, true, gone)
	if woken, err := w.l.leave(t.Context(), token, seatOf(gone)); err != nil || woken == "" {
		t.Fatal(woken, err)
	}
	w.wait("the next one", a.done)
	if a.err != nil {
		t.Fatal(a.err)
	}
}

// Nobody releases: the waiter comes by itself when the first lease ends.
func testAcquireDeadHolder(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{Lease: shortLease}, 0)
	s := w.spied()
	w.granted()
	last := w.granted()
	a := w.acquire(t.Context(), s)
	w.reach(last.Ends)
	w.wait("the end of the lease", a.done)
	if a.err != nil || a.grant.Used != 3 {
		t.Fatal(a.grant, a.err)
	}
}

// A wake that was published while the subscription was down is made up for.
func TestReconnect(t *testing.T) {
	w := newWorld(t, startReal(t), Settings{}, 0)
	s := w.spied()
	g := w.granted()
	w.granted()
	a := w.acquire(t.Context(), s)
	w.client.ZRem(t.Context(), w.key("slots:"+token), g.Nonce)
	if err := w.client.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	w.wait("the new subscription", a.done)
	if a.err != nil {
		t.Fatal(a.err)
	}
}

func eachBackend(t *testing.T, f func(*testing.T, backend)) {
	t.Run("miniredis", func(t *testing.T) { f(t, startMini(t)) })
	t.Run("redis", func(t *testing.T) { f(t, startReal(t)) })
}

func TestTryContention(t *testing.T) {
	eachBackend(t, func(t *testing.T, b backend) {
		w := newWorld(t, b, Settings{}, 0)
		var wg sync.WaitGroup
		var won atomic.Int64
		start := make(chan struct{})
		for range 50 {
			wg.Go(func() {
				<-start
				d, err := w.l.Try(t.Context(), token)
				if err != nil {
					t.Error(err)
				}
				if d.Granted {
					won.Add(1)
				}
			})
		}
		close(start)
		wg.Wait()
		if n := won.Load(); n != 2 {
			t.Fatalf("%d of 50 won", n)
		}
		if u := w.peek(); u.Used != 2 || u.Held != 2 {
			t.Fatalf("usage %+v", u)
		}
	})
}

func TestAcquireContention(t *testing.T) {
	eachBackend(t, func(t *testing.T, b backend) {
		w := newWorld(t, b, Settings{}, 0)
		s := w.spied()
		const callers, rounds = 30, 4
		var wg sync.WaitGroup
		var holders, most atomic.Int64
		start := make(chan struct{})
		for range callers {
			wg.Go(func() {
				<-start
				for range rounds {
					g, err := w.l.Acquire(t.Context(), token)
					if err != nil {
						t.Error(err)
						return
					}
					n := holders.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); {
						m = most.Load()
					}
					holders.Add(-1)
					if _, held, err := w.l.free(t.Context(), g, ""); err != nil || !held {
						t.Error(held, err)
					}
				}
			})
		}
		close(start)
		wg.Wait()
		if n := most.Load(); n > 2 {
			t.Fatalf("%d held a slot at the same time", n)
		}
		if u := w.peek(); u.Used != callers*rounds || u.Held != 0 || u.Waiting != 0 {
			t.Fatalf("usage %+v", u)
		}
		each := float64(s.scripts.Load()) / (callers * rounds)
		t.Logf("%.2f script calls for each", each)
		if each > 6 {
			t.Fatalf("%.2f script calls for each", each)
		}
	})
}
