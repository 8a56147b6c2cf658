package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// diary records the calls of the hooks and of the vendor, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
	full  chan struct{} // closed when so many lines are there
	want  int
}

func (d *diary) write(format string, a ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lines = append(d.lines, fmt.Sprintf(format, a...)); len(d.lines) == d.want {
		close(d.full)
	}
}

// BeforeSend gets every request before it is sent, and AfterOutcome its outcome before the
// chain's next request, even if the run went on to that itself.
func TestHooksStandAroundEveryRequest(t *testing.T) {
	t.Parallel()
	m := redistest.Mini(t)
	d := &diary{full: make(chan struct{}), want: 9}
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), func(o *WorkerOptions) {
		o.BeforeSend = func(_ context.Context, a *ledger.Attempt, granted time.Time) error {
			if a.LeaseEnds.Sub(granted) != 65*time.Second || a.Nonce == "" || a.Days == "" || a.TokenID() != a.Chain {
				t.Errorf("%+v", a)
			}
			d.write("granted %s.%d", a.CallID(), a.Number)
			return nil
		}
		o.AfterOutcome = func(r Recorded) { d.write("recorded %s.%d %s %s", r.CallID(), r.Number, r.Kind, r.Slot) }
	})
	for _, id := range []string{"a", "b", "c"} {
		w.append("token-1", id)
	}
	w.vendor.before = func() { d.write("sent") }
	w.begin()
	for range 3 {
		w.made("a call")
	}
	<-d.full
	want := []string{}
	for _, id := range []string{"a", "b", "c"} {
		want = append(want, "granted "+id+".1", "sent", "recorded "+id+".1 done release")
	}
	if fmt.Sprint(d.lines) != fmt.Sprint(want) {
		t.Errorf("got %q", d.lines)
	}
}

// A request that the hook refuses is not sent, and uses no slot, quota or attempt.
func TestHookThatRefuses(t *testing.T) {
	t.Parallel()
	m := redistest.Mini(t)
	refusals := 0
	told := make(chan Recorded, 2)
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), func(o *WorkerOptions) {
		o.BeforeSend = func(context.Context, *ledger.Attempt, time.Time) error {
			if refusals++; refusals == 1 {
				return errors.New("the disk is full")
			}
			return nil
		}
		o.AfterOutcome = func(r Recorded) { told <- r }
	})
	w.append("token-1", "a")
	w.begin()
	first := <-told
	if first.Kind != ledger.Late || first.Slot != ledger.GiveBack || first.Err != "not sent: the disk is full" || !first.RetryAt.After(first.At) {
		t.Errorf("%+v", first)
	}
	if r := w.made("the call that was refused once"); r.ID != "a.1" {
		t.Errorf("made %s", r.ID)
	}
	if second := <-told; second.Kind != ledger.Done || second.Spent != 1 {
		t.Errorf("%+v", second)
	}
	if n := w.vendor.made.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// Two runs of one chain: the ledger has the first outcome, and the hook does not have it yet. The other
// run's request waits for the hook. If that never comes, it waits until the lease ends.
func TestHooksAreToldInTheOrderOfTheChain(t *testing.T) {
	for name, ends := range map[string]func(first *ledger.Attempt, x *hooked){
		"the outcome is told": func(first *ledger.Attempt, x *hooked) { x.ended(first) },
		"the lease ends":      func(*ledger.Attempt, *hooked) { time.Sleep(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				first := &ledger.Attempt{Chain: "c", Nonce: "1", LeaseEnds: now.Add(time.Minute)}
				x := &hooked{}
				x.previous(t.Context(), "c", now)
				x.begun(first)
				var went atomic.Bool
				go func() {
					x.previous(t.Context(), "c", now)
					went.Store(true)
				}()
				x.ended(&ledger.Attempt{Chain: "c", Nonce: "another"})
				if synctest.Wait(); went.Load() {
					t.Error("it did not wait")
				}
				ends(first, x)
				if synctest.Wait(); !went.Load() {
					t.Error("it waits on")
				}
			})
		})
	}
}
