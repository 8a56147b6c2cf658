package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
)

// ofTheStep marks a context whose commands are steps. Commands that a process sends in the background are none.
type ofTheStep struct{}

// between is a client's hook that calls f before one of the client's steps.
type between struct {
	left atomic.Int64 // steps before it; below 0: never
	f    func()
}

func (h *between) step(ctx context.Context) {
	if ctx.Value(ofTheStep{}) != nil && h.left.Add(-1) == -1 {
		h.f()
	}
}

func (*between) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *between) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		h.step(ctx)
		return next(ctx, c)
	}
}
func (h *between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		h.step(ctx)
		return next(ctx, cmds)
	}
}

// A purge meets a producer of the same batch, at whatever step of either. Afterwards the ledger has no
// call whose batch is not known, is not listed, or does not know the call's bucket.
func TestPurgeMeetsAProducer(t *testing.T) {
	t.Parallel()
	call := Call{Server: "1", Token: "token-1", ID: "again"}
	producers := map[string]func(ctx context.Context, p *Producer, name string) error{
		"a single call": func(ctx context.Context, p *Producer, name string) error {
			c := call
			c.Batch = name
			_, err := p.Enqueue(ctx, c)
			return err
		},
		"a batch": func(ctx context.Context, p *Producer, name string) error {
			_, err := p.EnqueueBatch(ctx, name, given([]Call{call}), BatchOptions{})
			return err
		},
	}
	for kind, enqueue := range producers {
		for _, passes := range []bool{false, true} { // more time than a purge waits for whoever stands still
			t.Run(fmt.Sprintf("%s, time passes: %v", kind, passes), func(t *testing.T) {
				redistest.Both(t, func(t *testing.T, b redistest.Backend) {
					if passes && b.Mini == nil {
						t.Skip("the clock of Redis can't be set")
					}
					w := newPurgeWorld(t, b, passes)
					w.purgeWithin(enqueue)
					w.enqueueWithin(enqueue)
				})
			})
		}
	}
}

type purgeWorld struct {
	t      *testing.T
	b      redistest.Backend
	passes bool
	now    time.Time
	p      *Producer
	plain  *Producer // on a client of its own, and so is the reconciler
	s      *reconciler
	inP    *between
	inS    *between
}

func newPurgeWorld(t *testing.T, b redistest.Backend, passes bool) *purgeWorld {
	key := testKey(t)
	open := func() (*Producer, *between) {
		rdb := redis.NewClient(&redis.Options{Addr: b.Addr, DB: b.DB})
		p, err := NewProducer(t.Context(), rdb, Options{Keys: key})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = p.Close(), rdb.Close() })
		h := new(between)
		h.left.Store(-2)
		c := redis.NewClient(&redis.Options{Addr: b.Addr, DB: b.DB})
		t.Cleanup(func() { _ = c.Close() })
		c.AddHook(h)
		p.batches = ledger.NewBatches(c, "")
		p.ledger = ledger.New(c, ledger.Options{Fingerprint: p.tokenIDs.Fingerprint(), Admission: ledger.Admission{Library: quota.Library(), Args: p.grantArgs, Observe: p.clock.Observe}})
		return p, h
	}
	w := &purgeWorld{t: t, b: b, passes: passes, now: time.Now()}
	w.p, w.inP = open()
	w.plain, _ = open()
	var reconciles *Producer
	reconciles, w.inS = open()
	w.s = &reconciler{stack: reconciles.stack, log: zerolog.Nop()}
	return w
}

// pass lets time pass.
func (w *purgeWorld) pass() {
	if w.passes {
		w.now = w.now.Add(5 * time.Minute)
		w.b.SetTime(w.now)
		w.b.Mini.FastForward(5 * time.Minute)
	}
}

// old makes a batch of a call that has ended long ago.
func (w *purgeWorld) old(name string) ledger.Batch {
	w.t.Helper()
	ctx, id := w.t.Context(), ledger.BatchID(name)
	if _, _, err := w.plain.batches.Ensure(ctx, ledger.Batch{ID: id, Name: name, Created: w.now.Add(-time.Hour)}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.plain.Enqueue(ctx, Call{Server: "1", Token: "token-1", ID: "again", Batch: name}); err != nil {
		w.t.Fatal(err)
	}
	field := w.p.tokenIDs.Name("token-1") + ledger.GivenKey("again")
	if n, err := w.plain.ledger.Prune(ctx, id, ledger.NeverSent, []string{field}); n != 1 || err != nil {
		w.t.Fatal(n, err)
	}
	if err := w.b.Client.HSet(ctx, "habilita:batch:"+id, "until", 1).Err(); err != nil {
		w.t.Fatal(err)
	}
	m, err := w.plain.batches.Get(ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *purgeWorld) purge(m ledger.Batch) {
	before := w.now.Add(1000 * time.Hour)
	ctx := context.WithValue(w.t.Context(), ofTheStep{}, true)
	if _, _, err := w.s.purgeBatch(ctx, m, before); err != nil {
		w.t.Error(err)
	}
	if err := w.s.batches.Tidy(ctx, before); err != nil {
		w.t.Error(err)
	}
}

func (w *purgeWorld) check(at, name string) {
	w.t.Helper()
	ctx, id := w.t.Context(), ledger.BatchID(name)
	tag := ledger.Tag(w.p.tokenIDs.Name("token-1"))
	if w.b.Client.Exists(ctx, "habilita:{"+tag+"}:calls:"+id).Val() == 0 {
		w.t.Errorf("%s: the call is not there", at)
	}
	if _, err := w.plain.batches.Get(ctx, id); err != nil {
		w.t.Errorf("%s: %v", at, err)
	}
	tags, err := w.plain.batches.Tags(ctx, id)
	if err != nil || strings.Join(tags, " ") != tag {
		w.t.Errorf("%s: its buckets are %q, %v", at, tags, err)
	}
	if w.b.Client.ZScore(ctx, "habilita:batches", id).Err() != nil {
		w.t.Errorf("%s: it is not listed", at)
	}
	w.b.Client.ZRem(ctx, "habilita:batches", id) // so that Tidy has as many steps the next time
}

// enqueued checks a batch that was enqueued. A run that stood still may say that its batch is
// gone; then enqueued enqueues it again.
func (w *purgeWorld) enqueued(at, name string, enqueue func(context.Context, *Producer, string) error, err error) {
	w.t.Helper()
	if w.passes && (errors.Is(err, ledger.ErrNoBatch) || errors.Is(err, ledger.ErrLate)) {
		tag := ledger.Tag(w.p.tokenIDs.Name("token-1"))
		if w.b.Client.Exists(w.t.Context(), "habilita:{"+tag+"}:calls:"+ledger.BatchID(name)).Val() == 1 {
			w.check(at+", refused", name)
		}
		err = enqueue(w.t.Context(), w.plain, name)
	}
	if err != nil {
		w.t.Fatalf("%s: %v", at, err)
	}
	w.check(at, name)
}

// purgeWithin purges before each step of the producer.
func (w *purgeWorld) purgeWithin(enqueue func(context.Context, *Producer, string) error) {
	for step := 0; ; step++ {
		name := fmt.Sprint("purge-", step)
		m := w.old(name)
		w.inP.f = func() { w.pass(); w.purge(m) }
		w.inP.left.Store(int64(step))
		err := enqueue(context.WithValue(w.t.Context(), ofTheStep{}, true), w.p, name)
		if step > 100 {
			w.t.Fatal("there is no end of steps")
		}
		if w.inP.left.Load() >= 0 {
			w.inP.left.Store(-2)
			if step < 3 {
				w.t.Errorf("the producer has %d steps", step)
			}
			return
		}
		w.inP.left.Store(-2)
		w.enqueued(fmt.Sprint("purged before step ", step, " of the producer"), name, enqueue, err)
	}
}

// enqueueWithin enqueues before each step of the purge.
func (w *purgeWorld) enqueueWithin(enqueue func(context.Context, *Producer, string) error) {
	for step := 0; ; step++ {
		name := fmt.Sprint("enqueue-", step)
		m := w.old(name)
		var err error
		w.inS.f = func() { err = enqueue(w.t.Context(), w.plain, name); w.pass() }
		w.inS.left.Store(int64(step))
		w.purge(m)
		if step > 100 {
			w.t.Fatal("there is no end of steps")
		}
		if w.inS.left.Load() >= 0 {
			w.inS.left.Store(-2)
			if step < 6 {
				w.t.Errorf("the purge has %d steps", step)
			}
			return
		}
		w.inS.left.Store(-2)
		w.enqueued(fmt.Sprint("enqueued before step ", step, " of the purge"), name, enqueue, err)
	}
}
