package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/rows"
	"habilita/internal/schedule"
	"habilita/internal/testkit/redistest"
)

// scheduled is a world with a schedule of some rows over four tokens. Its next tick is at
// noon of 2025-11-24 in Bogotá.
type scheduled struct {
	*world
	mini *miniredis.Miniredis // nil: a real Redis
	rows int
}

var (
	noon       = time.Date(2025, 11, 24, 17, 0, 0, 0, time.UTC)
	noonsBatch = "nightly@2025-11-24T12:00-05:00"
	definition = schedule.Definition{Name: "nightly", Cron: "0 12 * * *", Timezone: "America/Bogota"}
)

func tokenOf(i int) string { return fmt.Sprint("token-", i%4) }

func openScheduled(t *testing.T, url, key string, change func(*WorkerOptions)) *scheduled {
	w := &scheduled{world: openWorld(t, url, key, change)}
	w.closing()
	return w
}

// add puts the schedule, and sets its next tick.
func (w *scheduled) add(d schedule.Definition, n int, next time.Time) *scheduled {
	w.t.Helper()
	s := w.scheduler.store
	writer := s.NewWriter(d.Name, w.stack.keys)
	for i := range n {
		if err := writer.Add(w.t.Context(), rows.Row{Server: "0001", Token: tokenOf(i), Ref: fmt.Sprint(i)}); err != nil {
			w.t.Fatal(err)
		}
	}
	err := errors.Join(writer.Close(w.t.Context()), s.Put(w.t.Context(), d, n, writer.Revision(), true))
	if err != nil {
		w.t.Fatal(err)
	}
	w.rows = n
	return w.due(next)
}

// due makes the tick the next one.
func (w *scheduled) due(next time.Time) *scheduled {
	w.t.Helper()
	key := w.stack.prefix + ":{s:" + schedule.ID(definition.Name) + "}:schedule"
	if err := w.stack.rdb.HSet(w.t.Context(), key, "next", next.UnixMilli()).Err(); err != nil {
		w.t.Fatal(err)
	}
	return w
}

func (w *scheduled) look() {
	w.t.Helper()
	if _, err := w.scheduler.look(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *scheduled) state() schedule.State {
	w.t.Helper()
	st, err := w.scheduler.store.Get(w.t.Context(), definition.Name)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// history is the runs that are over, the newest first, in short form.
func (w *scheduled) history() []string {
	w.t.Helper()
	runs, err := w.scheduler.store.Runs(w.t.Context(), definition.Name)
	if err != nil {
		w.t.Fatal(err)
	}
	out := make([]string, len(runs))
	for i, r := range runs {
		out[i] = fmt.Sprintf("%s %s calls=%d passed=%d/%d missed=%d %s", r.Result, r.Batch, r.Calls, r.Passed, r.Chains, r.Missed, r.Reason)
		out[i] = strings.TrimSpace(out[i])
	}
	return out
}

func (w *scheduled) wantHistory(want ...string) {
	w.t.Helper()
	if got := w.history(); !slices.Equal(got, want) {
		w.t.Errorf("history:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// wantCalls checks that a batch has the rows of these tokens, each once and in order.
func (w *scheduled) wantCalls(batch string, tokens ...int) {
	w.t.Helper()
	id := ledger.BatchID(batch)
	tags, err := w.stack.batches.Tags(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	got, want := map[string]string{}, map[string]string{}
	for i := range w.rows {
		if slices.Contains(tokens, i%4) {
			name := w.stack.tokenIDs.Name(tokenOf(i))
			want[name+ledger.RowKey(w.stack.tokenIDs, 1, "0001", name, "", fmt.Sprint(i))] = fmt.Sprint(i)
		}
	}
	n := 0
	for c, err := range w.stack.ledger.Calls(w.t.Context(), id, tags) {
		if err != nil {
			w.t.Fatal(err)
		}
		got[c.TokenID+c.Key] = c.Ref
		n++
	}
	if n != len(want) {
		w.t.Errorf("%s has %d calls, want %d", batch, n, len(want))
	}
	for key, ref := range want {
		if got[key] != ref {
			w.t.Errorf("%s: call %s has ref %q, want %q", batch, key, got[key], ref)
		}
	}
	// The chains have them in order.
	for _, i := range tokens {
		name := w.stack.tokenIDs.Name(tokenOf(i))
		refs, err := w.stack.rdb.LRange(w.t.Context(), w.stack.prefix+":{"+ledger.Tag(name)+"}:queue:"+name, 0, -1).Result()
		if err != nil {
			w.t.Fatal(err)
		}
		last := -1
		for _, ref := range refs {
			if of, key, _ := strings.Cut(ref, " "); of == id {
				n, err := strconv.Atoi(want[name+key])
				if err != nil || n <= last {
					w.t.Fatalf("row %d stands behind row %d", n, last)
				}
				last = n
			}
		}
	}
}

// end makes the head of a token's chain end: with success, or given up.
func (w *scheduled) end(token int, kind ledger.Kind) {
	w.t.Helper()
	d := w.dispatch(w.stack.tokenIDs.Name(tokenOf(token)))
	step, err := w.stack.ledger.Begin(w.t.Context(), d, newID(), "")
	if err != nil || step.Status != ledger.Running {
		w.t.Fatalf("%+v, %v", step, err)
	}
	if _, err := w.stack.ledger.Finish(w.t.Context(), &step.Attempt, ledger.Outcome{Kind: kind, Slot: ledger.Release}, ledger.Stop, newID(), ""); err != nil {
		w.t.Fatal(err)
	}
}

// However many workers there are, one makes the tick.
func TestTickIsMadeOnce(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		k := testKey(t)
		w := openScheduled(t, b.URL, k, nil)
		w.add(definition, 100, noon)
		workers := []*scheduled{w}
		for range 4 {
			other := openScheduled(t, b.URL, k, nil)
			workers = append(workers, other)
		}
		for range 3 { // also those who look later find nothing left to do
			var wg sync.WaitGroup
			for _, one := range workers {
				wg.Go(func() { one.look() })
			}
			wg.Wait()
		}
		if got := w.history(); len(got) != 1 || !strings.HasPrefix(got[0], "made nightly@") || !strings.Contains(got[0], "calls=100 ") {
			t.Errorf("history: %q", got)
		}
		st := w.state()
		if st.Claim.Number != 0 || !st.Next.After(w.stack.clock.Now()) {
			t.Errorf("%+v", st)
		}
		w.wantCalls(st.Last, 0, 1, 2, 3)
	})
}

// onMini is a world whose Redis has its clock at a minute after noon's tick.
func onMini(t *testing.T) (w, other *scheduled) {
	m, k := redistest.Mini(t), testKey(t)
	m.SetTime(noon.Add(-time.Hour))
	w, other = openScheduled(t, "redis://"+m.Addr(), k, nil), openScheduled(t, "redis://"+m.Addr(), k, nil)
	w.mini, other.mini = m, m
	w.rows = 4*300 + 2
	other.rows = w.rows
	w.add(definition, w.rows, noon)
	m.SetTime(noon.Add(time.Minute))
	return w, other
}

// claimed claims noon's tick with a lease that has ended, like a worker that died after it.
func (w *scheduled) claimed() (schedule.State, schedule.Claim) {
	w.t.Helper()
	st := w.state()
	table, err := schedule.NewTimetable(st.Cron, st.Timezone)
	if err != nil {
		w.t.Fatal(err)
	}
	d, err := schedule.Decide(table, st, noon.Add(time.Minute), func() (string, error) { return "", nil })
	if err != nil || d.Action != schedule.Make {
		w.t.Fatalf("%+v, %v", d, err)
	}
	c, ok, err := w.scheduler.store.MakeClaim(w.t.Context(), st, d, 0)
	if err != nil || !ok {
		w.t.Fatal(ok, err)
	}
	return st, c
}

// A schedule that can't be read does not stop the others.
func TestScheduleThatCantBeRead(t *testing.T) {
	m := redistest.Mini(t)
	m.SetTime(noon.Add(time.Second))
	w := openScheduled(t, "redis://"+m.Addr(), testKey(t), nil)
	other := definition
	other.Name = "away"
	w.add(other, 1, noon)
	w.add(definition, 8, noon)
	if err := redistest.Spoil(m, "habilita:{s:"+schedule.ID("away")+"}:"); err != nil {
		t.Fatal(err)
	}
	var unread *redisconn.UnreadError
	if _, err := w.scheduler.look(t.Context()); !errors.As(err, &unread) || len(unread.Names) != 1 {
		t.Error(err)
	}
	w.wantHistory("made " + noonsBatch + " calls=8 passed=0/0 missed=0")
}

// A worker dies between any two steps of a run. Another one completes it. The first, if it
// was only stopped, changes nothing when it wakes up.
func TestRunIsTakenOver(t *testing.T) {
	t.Parallel()
	half := func(w *scheduled, c schedule.Claim, n int) {
		w.t.Helper()
		_, err := w.scheduler.producer.EnqueueBatch(w.t.Context(), c.Batch, func(yield func(Call, error) bool) {
			for i := range n {
				if !yield(Call{Server: "0001", Token: Token(tokenOf(i)), Ref: fmt.Sprint(i)}, nil) {
					return
				}
			}
		}, BatchOptions{})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	none := func(func(string, error) bool) {}
	for what, before := range map[string]func(w *scheduled, st schedule.State, c schedule.Claim){
		"after the claim": func(*scheduled, schedule.State, schedule.Claim) {},
		"after it was decided what is passed over": func(w *scheduled, st schedule.State, c schedule.Claim) {
			if err := w.scheduler.store.DecidePassed(w.t.Context(), st.ID, c, none); err != nil {
				w.t.Fatal(err)
			}
		},
		"in the middle of the rows": func(w *scheduled, st schedule.State, c schedule.Claim) {
			if err := w.scheduler.store.DecidePassed(w.t.Context(), st.ID, c, none); err != nil {
				w.t.Fatal(err)
			}
			half(w, c, 701)
		},
		"in the middle, and a call of the run was given up": func(w *scheduled, st schedule.State, c schedule.Claim) {
			if err := w.scheduler.store.DecidePassed(w.t.Context(), st.ID, c, none); err != nil {
				w.t.Fatal(err)
			}
			half(w, c, 701)
			w.end(1, ledger.GiveUp)
		},
		"before the end is written": func(w *scheduled, st schedule.State, c schedule.Claim) {
			if _, err := w.scheduler.fill(w.t.Context(), st.ID, c); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			w, other := onMini(t)
			st, c := w.claimed()
			before(w, st, c)
			other.look()
			want := fmt.Sprintf("made %s calls=%d passed=0/0 missed=0", noonsBatch, w.rows)
			w.wantHistory(want)
			w.wantCalls(noonsBatch, 0, 1, 2, 3)
			if err := w.scheduler.enqueue(t.Context(), st, c); err != nil {
				t.Error(err)
			}
			other.look()
			w.wantHistory(want)
			w.wantCalls(noonsBatch, 0, 1, 2, 3)
			if st := w.state(); st.Claim.Number != 0 || !st.Next.Equal(noon.AddDate(0, 0, 1)) {
				t.Errorf("%+v", st)
			}
		})
	}
}

// A worker that stops in the middle of a run gives it back, and another goes on at once.
func TestStoppingWorkerGivesItsRunBack(t *testing.T) {
	w, other := onMini(t)
	ctx, stop := context.WithCancel(t.Context())
	w.stack.rdb.AddHook(onCommand{"hget", func() { stop() }}) // it reads the first rows
	if _, err := w.scheduler.look(ctx); err != nil {
		t.Fatal(err)
	}
	st := w.state()
	if st.Claim.Number == 0 || st.Claim.Tries != 0 || st.Claim.Until.After(noon.Add(time.Minute)) {
		t.Fatalf("%+v", st.Claim)
	}
	other.look()
	w.wantHistory(fmt.Sprintf("made %s calls=%d passed=0/0 missed=0", noonsBatch, w.rows))
	w.wantCalls(noonsBatch, 0, 1, 2, 3)
}

// onCommand calls do before a command of that name is sent.
type onCommand struct {
	name string // or an argument
	do   func()
}

func (h onCommand) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h onCommand) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == h.name || slices.Contains(cmd.Args(), any(h.name)) {
			h.do()
		}
		return next(ctx, cmd)
	}
}
func (h onCommand) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// If another worker has taken a claim, the work of the one that held it ends.
func TestLostClaimEndsTheWork(t *testing.T) {
	w, other := onMini(t)
	st, c := w.claimed()
	if _, ok, err := other.scheduler.store.TakeClaim(t.Context(), w.state(), time.Hour); !ok || err != nil {
		t.Fatal(ok, err)
	}
	w.scheduler.lease = 3 * time.Millisecond
	ctx, end := context.WithCancelCause(t.Context())
	stop := w.scheduler.keep(ctx, end, st.ID, c)
	<-ctx.Done()
	stop()
	if !errors.Is(context.Cause(ctx), schedule.ErrLost) {
		t.Errorf("ended by %v", context.Cause(ctx))
	}
}

// A worker that runs makes what is due, and its calls.
func TestWorkerMakesSchedules(t *testing.T) {
	t.Parallel()
	m := redistest.Mini(t)
	w := &scheduled{world: openWorld(t, "redis://"+m.Addr(), testKey(t), func(o *WorkerOptions) { o.ReconcileInterval = 10 * time.Millisecond })}
	w.begin()
	w.add(definition, 3, noon)
	for range 3 {
		w.made("a call of the schedule")
	}
	deadline := time.Now().Add(soon)
	for w.state().Claim.Number != 0 && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if got := w.history(); len(got) != 1 || !strings.Contains(got[0], "calls=3 ") {
		t.Errorf("history: %q", got)
	}
}
