package ledger

import (
	"fmt"
	"testing"
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
		args := jointArgs(h.l.admission.Args())
		for i, d := range found {
			number := d.Dispatches[0].Number
			if i == 2 {
				number = "7"
			}
			keys = append(keys, h.l.keys(tags[i])...)
			args = append(args, d.Dispatches[0].Chain, number, fmt.Sprint("n", i), "")
		}
		all, err := h.l.begin.eval(h.ctx, h.rdb, keys, args...).Slice()
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

// What can't be read in one bucket does not keep the others from being dispatched.
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
