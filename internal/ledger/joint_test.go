package ledger

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A script that does its work for several chains does it for each as if it had come alone: each has its own bucket and
// fence, and a chain whose state can't be read does not keep the others from being done.
func TestJointBeginIsOfEachChain(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		const chains = 4
		var tags []string
		for i := range chains {
			h.append("b1", "hold", calls(spreadToken(i), "", fmt.Sprint("a", i)))
			tags = append(tags, Tag(spreadToken(i)))
		}
		found, err := h.l.DispatchAll(h.ctx, tags, 1)
		h.no(err)
		h.unchecked = true
		h.no(h.rdb.HSet(h.ctx, h.l.bucket(tags[1])+"calls:b1", spreadToken(1)+"=a1", "garbage").Err())
		var keys []string
		args := jointArgs(h.l.o.Admission.Args())
		for i, d := range found {
			number := d.Dispatches[0].Number
			if i == 2 {
				number = "7"
			}
			keys = append(keys, h.l.keys(tags[i])...)
			args = append(args, d.Dispatches[0].Chain, number, fmt.Sprint("n", i), "")
		}
		all, err := h.l.begin().Eval(h.ctx, h.rdb, keys, args...).Slice()
		h.no(err)
		h.is(len(all), chains)
		for i, want := range []Status{Running, "", Stale, Running} {
			if want == "" {
				h.is(all[i] == nil, true)
				continue
			}
			s := step(h.l.jointReply(all, i, stepFields), spreadToken(i), fmt.Sprint("n", i))
			h.is(fmt.Sprint(s.Status, s.Chain), fmt.Sprint(want, spreadToken(i)))
			if want == Running {
				h.is(fmt.Sprint(s.Attempt.Key, s.Attempt.Sealed), fmt.Sprint("=a", i, "sealed of ", spreadToken(i)))
				h.is(h.finish(s.Attempt, Outcome{Kind: Done}, false).Status, Idle)
			}
		}
		if _, err := h.l.Begin(h.ctx, found[1].Dispatches[0], "n1", ""); err == nil {
			t.Error("a record that can't be read begins a run")
		}
	})
}

// A bucket that can't be read does not keep the others from being dispatched.
func TestDispatchAllIsOfEachBucket(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		var tags []string
		for i := range 40 {
			h.append("b1", "hold", calls(spreadToken(i), "", fmt.Sprint("a", i)))
			tags = append(tags, Tag(spreadToken(i)))
		}
		h.unchecked = true
		h.no(h.rdb.Set(h.ctx, h.l.bucket(tags[5])+"due", "garbage", 0).Err())
		found, err := h.l.DispatchAll(h.ctx, tags, 1)
		if err == nil {
			t.Error("nobody is told of a bucket that can't be read")
		}
		for i, d := range found {
			if i == 5 {
				h.is(d.Now.IsZero(), true)
				continue
			}
			h.is(len(d.Dispatches), 1)
			h.is(d.Dispatches[0].Chain, spreadToken(i))
		}
	})
}

// holdingBack is a go-redis hook that sends no scripts, and keeps their arguments.
type holdingBack struct{ scripts [][]any }

var errHeldBack = errors.New("held back")

func (*holdingBack) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b *holdingBack) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		b.scripts = append(b.scripts, cmd.Args())
		cmd.SetErr(errHeldBack)
		return errHeldBack
	}
}

func (*holdingBack) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// Outcomes that one script records have the same effect as when they are recorded one at a time, whatever became of each.
func TestJointFinishIsOfEachChain(t *testing.T) {
	outcomes := []struct {
		o      Outcome
		on     GoOn
		behind bool // the chain has another call
		want   Status
	}{
		{Outcome{Kind: Done, Slot: Release, Code: "202", Msg: "a\x1fb"}, Own, true, Running},
		{Outcome{Kind: GiveUp, Slot: Release, Err: "refused"}, Stop, true, Held},
		{Outcome{Kind: Fail, Slot: Keep, Err: "cut off", Delay: time.Second}, Own, true, Waiting},
		{Outcome{Kind: Fail, Slot: Release}, Own, true, ""}, // its record can't be read
		{Outcome{Kind: PushBack, Slot: Release, Cooling: Cooling{Until: time.Now().Add(time.Hour), Why: "too_many"}}, Own, true, Waiting},
		{Outcome{Kind: Done, Slot: Release}, Any, false, Running}, // it leaves for another chain of its bucket
		{Outcome{Kind: NotSent, Slot: GiveBack, Delay: time.Second}, Own, true, Waiting},
		{Outcome{Kind: Done, Slot: Release}, Own, false, Idle},
	}
	// world is a ledger in which as many attempts are under way, each in a bucket of its own.
	world := func(t *testing.T) (h *harness, attempts []Attempt) {
		mini(t, setup{}, func(made *harness) { h = made })
		h.unchecked = true
		h.at = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
		h.settings.Location = time.UTC
		h.b.SetTime(h.at)
		for i, c := range outcomes {
			ids := []string{"a", "b"}
			if !c.behind {
				ids = ids[:1]
			}
			h.append("b1", "hold", calls(spreadToken(i), "", ids...))
			d, err := h.dispatchBucket(Tag(spreadToken(i)), 1)
			h.no(err)
			h.append("b1", "hold", calls(spreadToken(i), "other", "c"))
			s := h.begin(d.Dispatches[0])
			h.is(s.Status, Running)
			attempts = append(attempts, s.Attempt)
		}
		h.no(h.rdb.HSet(h.ctx, h.l.bucket(Tag(spreadToken(3)))+"calls:b1", spreadToken(3)+"=a", "garbage").Err())
		return h, attempts
	}
	h, attempts := world(t)
	var want []string
	for i, c := range outcomes {
		s, err := h.l.Finish(h.ctx, &attempts[i], c.o, c.on, fmt.Sprint("next", i), "")
		h.is(err == nil, c.want != "")
		h.is(s.Status, c.want)
		want = append(want, fmt.Sprintf("%+v", *s))
	}
	random := regexp.MustCompile(`\n +r: .*`) // the name of the group that was appended last
	left := random.ReplaceAllString(h.b.Mini.Dump(), "")

	h, attempts = world(t)
	held := &holdingBack{}
	back := redis.NewClient(&redis.Options{Addr: h.b.Addr})
	defer back.Close()
	back.AddHook(held)
	rdb := h.l.rdb
	h.l.rdb = back
	for i, c := range outcomes {
		if _, err := h.l.Finish(h.ctx, &attempts[i], c.o, c.on, fmt.Sprint("next", i), ""); !errors.Is(err, errHeldBack) {
			t.Fatal(err)
		}
	}
	h.l.rdb = rdb
	var keys []string
	var same, own []any
	for _, args := range held.scripts { // evalsha, hash, number of keys, keys, number of what is the same, and the arguments
		for _, k := range args[3:5] {
			keys = append(keys, k.(string))
		}
		same, own = args[5:6+args[5].(int)], append(own, args[6+args[5].(int):]...)
	}
	all, err := h.l.finish().Eval(h.ctx, h.rdb, keys, append(same, own...)...).Slice()
	h.no(err)
	h.is(len(all), len(outcomes))
	for i, c := range outcomes {
		r := h.l.jointReply(all, i, stepFields)
		if h.is(r == nil, c.want == ""); r == nil {
			continue
		}
		// Fill in the fields that Finish itself fills in, for the comparison with one that came alone.
		s := step(r, attempts[i].Chain, fmt.Sprint("next", i))
		if s.Attempt.Sealed == "" && s.Chain == attempts[i].Chain {
			s.Attempt.Sealed = attempts[i].Sealed
		}
		h.is(fmt.Sprintf("%+v", *s), want[i])
	}
	if have := random.ReplaceAllString(h.b.Mini.Dump(), ""); have != left {
		t.Errorf("left behind:\n%s\none at a time:\n%s", have, left)
	}
}
