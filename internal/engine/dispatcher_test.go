package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// The places of a worker are shared among all buckets that are ready. So each bucket has chains left
// that the runs of its first ones can go on with.
func TestPlacesAreSharedAmongAllBuckets(t *testing.T) {
	const buckets, each, places = 128, 6, 250
	w := openWorld(t, redistest.Shared(t).URL, testKey(t), func(o *WorkerOptions) { o.Concurrency = places }).closing()
	var tags []string
	for b := range buckets {
		tag := ledger.TagAt(b * ledger.Buckets / buckets)
		tags = append(tags, tag)
		var calls []ledger.NewCall
		for i := range each {
			token := tag + "aaaaaaaaaaaaaaaaaaaaa" + string(rune('a'+i))
			calls = append(calls, ledger.NewCall{Token: token, Key: ledger.GivenKey(fmt.Sprint(i)), Server: "0001", Sealed: "sealed"})
		}
		if _, err := w.stack.ledger.Append(t.Context(), ledger.Append{Batch: "b", Policy: "hold", Calls: calls}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.stack.ledger.Signal(t.Context(), w.stack.clock.Now(), tags...); err != nil {
		t.Fatal(err)
	}
	go w.dispatcher.run(t.Context())
	until(t, "no place is left", func() bool { return w.dispatcher.free() <= 0 })
	all, err := w.stack.ledger.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != buckets {
		t.Errorf("%d buckets have chains, want %d", len(all), buckets)
	}
	for _, b := range all {
		if most := (places + minAhead + buckets - 1) / buckets; b.Ready < each-most {
			t.Errorf("bucket %s: %d of %d chains are left", b.Tag, b.Ready, each)
		}
	}
}

// Buckets that are due all at once do not fill asynq's queue: the first call of another chain would wait behind them.
func TestNoMoreTasksThanCanBegin(t *testing.T) {
	const buckets, places = 32, 4
	w := openWorld(t, redistest.Shared(t).URL, testKey(t), func(o *WorkerOptions) { o.Concurrency = places }).closing()
	var tags []string
	for b := range buckets {
		tag := ledger.TagAt(b)
		tags = append(tags, tag)
		call := ledger.NewCall{Token: tag + strings.Repeat("a", 22), Key: ledger.GivenKey("1"), Server: "0001", Sealed: "sealed"}
		if _, err := w.stack.ledger.Append(t.Context(), ledger.Append{Batch: "b", Policy: "hold", Calls: []ledger.NewCall{call}}); err != nil {
			t.Fatal(err)
		}
	}
	w.dispatcher.dispatch(t.Context(), tags)
	w.dispatcher.dispatch(t.Context(), tags)
	if n := int(w.dispatcher.pending.Load()); n != places+minAhead {
		t.Errorf("%d tasks, want %d for %d places", n, places+minAhead, places)
	}
	signalled, err := w.stack.ledger.NextReady(t.Context(), time.Second, buckets)
	if left := buckets - places - minAhead; err != nil || len(signalled) != left {
		t.Errorf("%d buckets are signalled again (%v), want the %d that got nothing", len(signalled), err, left)
	}
}

// A run that waits for a chain keeps its place, so that no asynq task gets it.
func TestCrowdedWhileRunsWait(t *testing.T) {
	d := openWorld(t, redistest.Shared(t).URL, testKey(t), func(o *WorkerOptions) { o.Concurrency = 4 }).closing().dispatcher
	for _, c := range []struct {
		active, waiting, tasks int64
		backlog                int
		crowded                bool
	}{
		{active: 3, tasks: 1},
		{active: 3, tasks: 2, backlog: 1, crowded: true},
		{active: 4, waiting: 2},
		{active: 4, waiting: 2, tasks: 1, backlog: 1, crowded: true},
		{active: 4},
		{active: 5, backlog: 1, crowded: true}, // a task that was begun waits for a place
	} {
		d.active = func() int { return int(c.active) }
		d.idle.runs.Store(c.waiting)
		d.pending.Store(c.tasks)
		if d.backlog() != c.backlog || d.crowded(t.Context()) != c.crowded {
			t.Errorf("%+v: backlog %d, crowded %t", c, d.backlog(), d.crowded(t.Context()))
		}
	}
}

// A run with nothing left in its bucket gets a chain of another bucket, without an asynq task.
func TestIdleRunGetsTheNextChain(t *testing.T) {
	w := openWorld(t, redistest.Shared(t).URL, testKey(t), nil).closing()
	d := w.dispatcher
	d.idle.wait = time.Hour
	published := 0
	d.publish = func(context.Context, ledger.Dispatch) { published++ }
	if f, ok := d.idle.take(nil); ok {
		t.Errorf("%v, though no chain waits", f)
	}
	d.idle.more.Store(true)
	got := make(chan ledger.Dispatch)
	go func() {
		f, _ := d.idle.take(nil)
		got <- f
	}()
	// Chains of two buckets, until the run waits for one of them.
	for i := 0; ; i++ {
		tail := strings.Repeat("a", 20) + string([]byte{'a' + byte(i/26%26), 'a' + byte(i%26)})
		tags := []string{"aa", "bb"}
		for _, tag := range tags {
			call := ledger.NewCall{Token: tag + tail, Key: ledger.GivenKey("1"), Server: "0001", Sealed: "sealed"}
			if _, err := w.stack.ledger.Append(t.Context(), ledger.Append{Batch: "b", Policy: "hold", Calls: []ledger.NewCall{call}}); err != nil {
				t.Fatal(err)
			}
		}
		published = 0
		d.dispatchEach(t.Context(), tags, 1)
		if published == len(tags) {
			select {
			case f := <-got:
				t.Fatalf("the run got %q, and asynq got it too", f.Chain)
			default:
				continue
			}
		}
		if f := <-got; !strings.HasSuffix(f.Chain, tail) || published != 1 {
			t.Errorf("the run got %q and asynq %d", f.Chain, published)
		}
		break
	}
	stopped := make(chan struct{})
	go func() {
		_, ok := d.idle.take(stopped)
		got <- ledger.Dispatch{Chain: fmt.Sprint(ok)}
	}()
	close(stopped)
	if f := <-got; f.Chain != "false" {
		t.Errorf("the worker stops, and the run got %q", f.Chain)
	}
	go func() {
		_, ok := d.idle.take(nil)
		got <- ledger.Dispatch{Chain: fmt.Sprint(ok)}
	}()
	until(t, "no chain waits, and the run does", func() bool {
		d.idle.end()
		select {
		case f := <-got:
			if f.Chain != "false" {
				t.Errorf("no chain waits, and the run got %q", f.Chain)
			}
			return true
		default:
			return false
		}
	})
}

// While asynq can't be asked, the last count of its tasks stays.
func TestCountOfTasksStaysWhileAsynqIsAway(t *testing.T) {
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr(), MaxRetries: -1})
	defer func() { _ = rdb.Close() }()
	client := asynq.NewClientFromRedisClient(rdb)
	if _, err := client.Enqueue(asynq.NewTask(TypeRun, nil), asynq.Queue("q")); err != nil {
		t.Fatal(err)
	}
	f := &dispatcher{inspector: asynq.NewInspectorFromRedisClient(rdb), consumes: []string{"q", "never used"}}
	for _, away := range []bool{false, true} {
		if away {
			m.Close()
		}
		if f.sync(); f.pending.Load() != 1 {
			t.Errorf("away %t: %d tasks wait, want 1", away, f.pending.Load())
		}
	}
}
