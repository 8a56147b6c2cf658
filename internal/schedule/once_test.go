package schedule

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// twice sends each script again, as a client does if its first reply was lost.
type twice struct{}

func (twice) DialHook(next redis.DialHook) redis.DialHook { return next }
func (twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		if strings.HasPrefix(c.Name(), "eval") {
			_ = next(ctx, c)
		}
		return next(ctx, c)
	}
}

// A script whose reply was lost answers that it is done when it is sent again.
func TestLostReply(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.rdb.AddHook(twice{})
		s := w.mustAdd(nightly, 1)
		for what, do := range map[string]func(context.Context, string) (bool, error){"pause": w.Pause, "resume": w.Resume} {
			if what == "resume" {
				w.must(second(w.Pause(ctx, s.Name)))
			}
			if done, err := do(ctx, s.Name); !done || err != nil {
				t.Errorf("%s: %v, %v", what, done, err)
			}
			w.must(second(w.Resume(ctx, s.Name)))
		}
		w.claimIt(w.get(s.Name), 0)
		c, ok, err := w.TakeClaim(ctx, w.get(s.Name), lease)
		if !ok || err != nil {
			t.Fatalf("taken over: %v, %v", ok, err)
		}
		w.must(w.Finish(ctx, s.ID, c, Run{Result: ResultMade}))
		s = w.get(s.Name)
		if ok, err := w.PassOver(ctx, s, w.due(s)); !ok || err != nil {
			t.Errorf("passed over: %v, %v", ok, err)
		}
		if runs, err := w.Runs(ctx, s.Name); len(runs) != 2 || err != nil {
			t.Errorf("%d runs, %v", len(runs), err)
		}
		w.must(second(w.Remove(ctx, s.Name)))
	})
}

// before does something before the first command of a name is sent.
type before struct {
	twice
	name string
	do   func()
}

func (b *before) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		if c.Name() == b.name {
			b.name = ""
			b.do()
		}
		return next(ctx, c)
	}
}

// A schedule that is added while one of that name is removed is listed: a worker would never make
// its runs otherwise.
func TestAddedWhileItIsRemoved(t *testing.T) {
	for name, c := range map[string]struct {
		hooked string // command of the first before which the other one does all of its own
		adds   bool   // the first adds, and the other one removes
	}{
		"it was removed, and is unlisted": {"zrem", false},
		"it was listed, and is put":       {"evalsha", true},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, w *world) {
				other := redis.NewClient(w.rdb.(*redis.Client).Options())
				t.Cleanup(func() { _ = other.Close() })
				first := &world{t, NewStore(other, ""), w.keys, other}
				add := func(w *world) { w.must(w.add(nightly, 1, true)) }
				remove := func(w *world) { _, _ = w.Remove(t.Context(), nightly.Name) }
				add(w)
				do, others := remove, add
				if c.adds {
					remove(w)
					do, others = add, remove
				}
				other.AddHook(&before{name: c.hooked, do: func() { others(w) }})
				do(first)
				if all, _, err := w.All(t.Context()); len(all) != 1 || err != nil {
					t.Errorf("%d are listed, %v", len(all), err)
				}
			})
		})
	}
}
