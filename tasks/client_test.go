package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/testkit/redistest"
	"habilita/quota"
	"habilita/tasks"
	"habilita/tasks/taskstest"
)

func open(t *testing.T, rdb redis.UniversalClient, o tasks.Options) *tasks.Client {
	t.Helper()
	o.Keys = keys
	c, err := tasks.Open(t.Context(), rdb, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// run runs a worker until the test ends.
func run(t *testing.T, rdb redis.UniversalClient, o tasks.WorkerOptions) *tasks.Worker {
	t.Helper()
	o.Keys = keys
	w, err := tasks.NewWorker(t.Context(), rdb, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return w
}

func sequence(calls ...tasks.Call) iter.Seq2[tasks.Call, error] {
	return func(yield func(tasks.Call, error) bool) {
		for _, c := range calls {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// A day's work: rows, a worker, the results, and the decisions.
func TestFromTheRowsToTheDecisions(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c := open(t, b.Client, tasks.Options{})
		vendor := taskstest.Start(t, taskstest.Options{Tokens: map[tasks.Token]taskstest.Token{"tok-bad": {Bad: true}}})
		call := func(token tasks.Token, id string) tasks.Call { return tasks.Call{Server: "1", Token: token, ID: id} }
		rows := []tasks.Call{call("tok-a", "a1"), call("tok-a", "a2"), call("tok-bad", "bad1"), call("tok-bad", "bad2"), call("tok-a", "a1"), {Server: "1"}}
		var rejected *tasks.CallError
		var left []error
		sum, err := c.EnqueueBatch(ctx, "b", sequence(rows...),
			tasks.OnReject(func(err error) error {
				if !errors.As(err, &rejected) {
					return err
				}
				return nil
			}),
			tasks.OnLeftOut(func(err error) error { left = append(left, err); return nil }))
		if err != nil || sum.Rows != 6 || sum.Enqueued != 4 || sum.Conflicts != 1 || sum.Rejected != 1 || sum.Complete() {
			t.Fatalf("%+v, %v", sum, err)
		}
		var conflict *tasks.ConflictError
		if rejected == nil || rejected.Index != 5 || rejected.Field != "token" || len(left) != 1 || !errors.As(left[0], &conflict) || conflict.ID != "a1" || conflict.First != 1 {
			t.Errorf("rejected %v, left out %v", rejected, left)
		}
		run(t, b.Client, tasks.WorkerOptions{WolkvoxURL: vendor.URL})
		s, err := c.Wait(ctx, "b")
		if err != nil || !s.Settled || s.Total != 4 || s.Succeeded != 2 || s.Failed != 1 || s.Open != 1 || s.HeldChains != 1 || s.Policy != tasks.PolicyHold || s.SettledAt.IsZero() {
			t.Fatalf("%+v, %v", s, err)
		}
		states := map[string]tasks.State{}
		for r, err := range c.Results(ctx, "b") {
			if err != nil {
				t.Fatal(err)
			}
			states[r.ID] = r.State
		}
		if fmt.Sprint(states) != "map[a1:succeeded a2:succeeded bad1:failed bad2:queued]" {
			t.Error(states)
		}
		found, err := c.Find(ctx, "bad1")
		if err != nil || len(found) != 1 || found[0].Batch != "b" || found[0].Reason != tasks.ReasonBadToken || found[0].Attempts != 1 || found[0].TokenID != c.TokenID("tok-bad") || found[0].Row != 3 {
			t.Fatalf("%+v, %v", found, err)
		}
		for _, d := range []struct {
			decide func(context.Context, tasks.Selection) (int, error)
			about  tasks.Selection
			n      int
		}{
			{c.Retry, tasks.Selection{All: true, Reason: tasks.ReasonServerError}, 0},
			{c.Skip, tasks.Selection{Chain: found[0].Chain}, 1},
		} {
			if n, err := d.decide(ctx, d.about); err != nil || n != d.n {
				t.Errorf("%+v: %d, %v", d.about, n, err)
			}
		}
		if s, err = c.Wait(ctx, "b"); err != nil || s.Skipped != 1 || s.Failed != 1 {
			t.Errorf("after skip: %+v, %v", s, err)
		}
		if n, err := c.Cancel(ctx, tasks.Selection{Batch: "b"}); err != nil || n != 1 {
			t.Errorf("cancel: %d, %v", n, err)
		}
		if s, err := c.Status(ctx, "b"); err != nil || s.Cancelled != 1 || s.Failed != 0 || s.Open != 0 {
			t.Errorf("after cancel: %+v, %v", s, err)
		}
		var no *tasks.BatchError
		if _, err := c.EnqueueBatch(ctx, "b", sequence(call("tok-a", "a3"))); !errors.As(err, &no) || no.Problem != tasks.BatchCancelled || no.Batch != "b" {
			t.Errorf("a cancelled batch: %v", err)
		}
		// All of it is in the audit log.
		entriesPage, err := control.NewAuditLog(b.Client, "habilita").Before(ctx, "", 10)
		entries := entriesPage.Items
		var did []string
		for _, e := range entries {
			if e.Via != control.ByGo || e.Who != control.ThisUser() {
				t.Errorf("%+v", e)
			}
			did = append(did, e.Action)
		}
		slices.Reverse(did)
		if err != nil || fmt.Sprint(did) != "[enqueue retry skip cancel enqueue]" {
			t.Error(did, err)
		}
	})
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	b := redistest.Mini(t)
	rdb := redis.NewClient(&redis.Options{Addr: b.Addr()})
	defer func() { _ = rdb.Close() }()
	c := open(t, rdb, tasks.Options{})
	ctx := t.Context()
	results := func(batch string) (err error) {
		for _, err = range c.Results(ctx, batch) {
		}
		return err
	}
	_, status := c.Status(ctx, "none")
	_, wait := c.Wait(ctx, "none")
	_, find := c.Find(ctx, "none")
	_, retry := c.Retry(ctx, tasks.Selection{Chain: c.TokenID("tok")})
	_, cancel := c.Cancel(ctx, tasks.Selection{Batch: "none"})
	for what, err := range map[string]error{"status": status, "wait": wait, "results": results("none"), "find": find, "retry": retry, "cancel": cancel} {
		if e, ok := errors.AsType[*tasks.UnknownError](err); !ok || e.Batch+e.Call+e.Chain == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, s := range []tasks.Selection{{}, {All: true, Batch: "b"}, {Server: "no server"}, {Chain: "no chain"}, {All: true, Reason: "no reason"}} {
		if _, ok := errors.AsType[*tasks.SelectionError](func() error { _, err := c.Skip(ctx, s); return err }()); !ok {
			t.Errorf("%+v is taken", s)
		}
	}
	ended, end := context.WithCancel(ctx)
	end()
	if _, err := c.Enqueue(ctx, tasks.Call{Server: "1", Token: "tok", Batch: "waits"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(ended, "waits"); !errors.Is(err, context.Canceled) {
		t.Errorf("wait: %v", err)
	}
	if _, err := tasks.Open(ctx, rdb, tasks.Options{Keys: "no key"}); err == nil {
		t.Error("no keys")
	}
}

// While a part of Redis is away, Status has the counts of the rest, and AllSucceeded is false.
func TestAPartOfRedisIsAway(t *testing.T) {
	t.Parallel()
	b := redistest.Mini(t)
	rdb := redis.NewClient(&redis.Options{Addr: b.Addr()})
	defer func() { _ = rdb.Close() }()
	c := open(t, rdb, tasks.Options{})
	tag := func(token tasks.Token) string { return c.TokenID(token)[:2] }
	tokens := []tasks.Token{"tok", "other"}
	for tag(tokens[0]) == tag(tokens[1]) { // names differ from run to run
		tokens[1] += "+"
	}
	for _, token := range tokens {
		if _, err := c.Enqueue(t.Context(), tasks.Call{Server: "1", Token: token, Batch: "b"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := redistest.Spoil(b, "habilita:{"+tag("tok")+"}:"); err != nil {
		t.Fatal(err)
	}
	s, err := c.Status(t.Context(), "b")
	if e, ok := errors.AsType[*tasks.PartialError](err); !ok || e.Unread != 1 || s.Total != 1 || s.Unread != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if s.Succeeded = s.Total; s.AllSucceeded() {
		t.Error("a batch of which a part is away is said to have succeeded")
	}
}

// A client's limiter shares slots with the workers, has their limits, and ends with the client.
func TestLimiterOfAClient(t *testing.T) {
	t.Parallel()
	b := redistest.Mini(t)
	rdb := redis.NewClient(&redis.Options{Addr: b.Addr()})
	defer func() { _ = rdb.Close() }()
	vendor := taskstest.Start(t, taskstest.Options{})
	run(t, rdb, tasks.WorkerOptions{WolkvoxURL: vendor.URL, Options: tasks.Options{Quota: quota.Settings{Slots: 1, DefaultLicenses: 3}}})
	ctx := t.Context()
	c := open(t, rdb, tasks.Options{})
	l := c.Limiter()
	g, err := l.Acquire(ctx, c.TokenID("tok"))
	if err != nil || g.Limit != 3000 {
		t.Fatalf("%+v, %v", g, err)
	}
	if d, err := c.Limiter().Try(ctx, c.TokenID("tok")); err != nil || d.Reason != quota.ReasonSlots {
		t.Errorf("beside one grant: %+v, %v", d, err)
	}
	if err := g.Answered(ctx); err != nil {
		t.Error(err)
	}
	other := open(t, rdb, tasks.Options{Quota: quota.Settings{Slots: 2}})
	_, err = other.Limiter().Try(ctx, c.TokenID("tok"))
	if e, ok := errors.AsType[*tasks.MismatchError](err); !ok || e.Differences[0] != (tasks.Difference{Name: "TOKEN_SLOTS", Have: "1", Want: "2"}) || len(e.With) == 0 {
		t.Errorf("other limits: %v", err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	_, try := l.Try(ctx, c.TokenID("tok"))
	_, enqueue := c.Enqueue(ctx, tasks.Call{Server: "1", Token: "tok"})
	_, batch := c.EnqueueBatch(ctx, "b", sequence())
	for _, err := range []error{try, enqueue, batch} {
		if !errors.Is(err, tasks.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
	if _, err := c.Retry(ctx, tasks.Selection{All: true}); err != nil {
		t.Errorf("closed, and decides: %v", err)
	}
}

// A worker makes its own connections like those of the client, but can't copy a client for Sentinel.
func TestWorkerOfAClient(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	sentinels := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{"127.0.0.1:1"}})
	defer func() { _ = sentinels.Close() }()
	if _, err := tasks.NewWorker(ctx, sentinels, tasks.WorkerOptions{Options: tasks.Options{Keys: keys}}); !errors.Is(err, tasks.ErrSentinel) {
		t.Errorf("Sentinels: %v", err)
	}
	b := redistest.Mini(t)
	b.RequireUserAuth("user", "secret")
	rdb := redis.NewClient(&redis.Options{Addr: b.Addr(), Username: "user", Password: "secret"})
	defer func() { _ = rdb.Close() }()
	for _, w := range []struct {
		rdb redis.UniversalClient
		url string
	}{{rdb, ""}, {nil, "redis://user:secret@" + b.Addr()}} {
		worker, err := tasks.NewWorker(ctx, w.rdb, tasks.WorkerOptions{Options: tasks.Options{Keys: keys}, RedisURL: w.url})
		if err != nil {
			t.Fatal(err)
		}
		if err := worker.Ready(ctx); err == nil {
			t.Error("it is ready before it runs")
		}
		if err := worker.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := tasks.NewWorker(ctx, nil, tasks.WorkerOptions{Options: tasks.Options{Keys: keys}}); err == nil {
		t.Error("no Redis")
	}
	c := open(t, rdb, tasks.Options{})
	if _, err := c.Limiter().Usage(ctx, c.TokenID("tok")); err != nil {
		t.Fatal(err)
	}
	_, err := tasks.NewWorker(ctx, rdb, tasks.WorkerOptions{Options: tasks.Options{Keys: keys}, VendorTimeout: 2 * time.Minute})
	if _, ok := errors.AsType[*tasks.MismatchError](err); !ok {
		t.Errorf("other limits than those of the limiter: %v", err)
	}
}

// A worker that ran or was closed can't run again.
func TestWorkerRunsOnce(t *testing.T) {
	t.Parallel()
	ended, stop := context.WithCancel(t.Context())
	stop()
	for what, end := range map[string]func(*tasks.Worker) error{
		"Run":   func(w *tasks.Worker) error { return w.Run(ended) },
		"Close": (*tasks.Worker).Close,
	} {
		w, err := tasks.NewWorker(t.Context(), redistest.Shared(t).Client, tasks.WorkerOptions{Options: tasks.Options{Keys: keys}})
		if err != nil {
			t.Fatal(err)
		}
		if err := end(w); err != nil {
			t.Fatal(err)
		}
		if err := w.Run(ended); err == nil || !strings.Contains(err.Error(), "a worker runs once") {
			t.Errorf("after %s: %v", what, err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("Close after %s: %v", what, err)
		}
	}
}

// Under Strict, the first invalid call stops the batch with its own error if nothing takes it. The summary counts
// nothing as enqueued then.
func TestStrictWithoutOnReject(t *testing.T) {
	t.Parallel()
	c := open(t, redistest.Shared(t).Client, tasks.Options{})
	calls := sequence(tasks.Call{Server: "1", Token: "tok"}, tasks.Call{Server: "1"})
	sum, err := c.EnqueueBatch(t.Context(), "b", calls, tasks.Strict())
	if e, ok := errors.AsType[*tasks.CallError](err); !ok || e.Index != 1 || sum.Enqueued != 0 {
		t.Errorf("%+v, %v", sum, err)
	}
	sum, err = c.EnqueueBatch(t.Context(), "b", calls, tasks.Strict(), tasks.OnReject(func(error) error { return nil }))
	if e, ok := errors.AsType[*tasks.StrictError](err); !ok || e.Rejected != 1 || sum.Enqueued != 0 || sum.Withheld != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// A program that counts what it means to prune, and comes to none, loses no call.
func TestPruneExactlyNone(t *testing.T) {
	t.Parallel()
	c := open(t, redistest.Shared(t).Client, tasks.Options{})
	calls := []tasks.Call{{Server: "1", Token: "tok", ID: "a"}, {Server: "1", Token: "tok", ID: "b"}}
	if _, err := c.EnqueueBatch(t.Context(), "b", sequence(calls...)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, -1} {
		sum, err := c.EnqueueBatch(t.Context(), "b", sequence(calls[0]), tasks.PruneExactly(n))
		no, ok := errors.AsType[*tasks.PruneError](sum.NotPruned)
		if err != nil || !ok || no.Problem != tasks.PruneCount || no.Missing != 1 || sum.Pruned != 0 {
			t.Errorf("%d: %+v, %v", n, sum, err)
		} else if want := "1 call is missing from the file, not 0"; no.Error() != want {
			t.Errorf("%d: %q, want %q", n, no, want)
		}
		if sum, err = c.EnqueueBatch(t.Context(), "b", sequence(calls...), tasks.PruneExactly(n)); err != nil || sum.NotPruned != nil {
			t.Errorf("%d, nothing is missing: %+v, %v", n, sum, err)
		}
	}
}

// Redis stands still, and the context ends. With the option that Open asks for, the program goes on in time.
func TestContextEndsWhileRedisStandsStill(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	rdb := redis.NewClient(&redis.Options{Addr: s.Addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = rdb.Close() })
	c := open(t, rdb, tasks.Options{})
	if _, err := c.EnqueueBatch(t.Context(), "b", sequence(tasks.Call{Server: "1", Token: "tok"})); err != nil {
		t.Fatal(err)
	}
	s.Pause()
	defer s.Resume()
	for what, do := range map[string]func(context.Context) error{
		"Enqueue": func(ctx context.Context) error {
			_, err := c.Enqueue(ctx, tasks.Call{Server: "1", Token: "tok", ID: "a"})
			return err
		},
		"Status":  func(ctx context.Context) error { _, err := c.Status(ctx, "b"); return err },
		"Wait":    func(ctx context.Context) error { _, err := c.Wait(ctx, "b"); return err },
		"Find":    func(ctx context.Context) error { _, err := c.Find(ctx, "a"); return err },
		"Acquire": func(ctx context.Context) error { _, err := c.Limiter().Acquire(ctx, c.TokenID("tok")); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		begun := time.Now()
		err := do(ctx)
		cancel()
		if took := time.Since(begun); err == nil || took > 3*time.Second {
			t.Errorf("%s: %v after %s", what, err, took)
		}
	}
}

// A full Redis refuses new calls, and the error says so.
func TestFullRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory", "1", "--maxmemory-policy", "noeviction")
	admin := s.Client()
	if err := admin.ConfigSet(t.Context(), "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	c := open(t, s.Client(), tasks.Options{})
	if err := admin.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	call := tasks.Call{Server: "1", Token: "tok"}
	_, one := c.Enqueue(t.Context(), call)
	_, many := c.EnqueueBatch(t.Context(), "b", sequence(call))
	for _, err := range []error{one, many} {
		if !errors.Is(err, tasks.ErrRedisFull) {
			t.Errorf("%v", err)
		}
	}
}
