package quota

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func (w *world) cool(until time.Time, why string, probe time.Duration, want time.Time) {
	w.Helper()
	ends, err := w.l.Cool(w.Context(), token, until, why, probe)
	if err != nil {
		w.Fatal(err)
	}
	w.at("end of the cooling", ends, want)
}

func (w *world) cooling(retry time.Time, why string) {
	w.Helper()
	d := w.refused(ReasonCooling)
	w.at("retry", d.RetryAt, retry)
	if d.Detail != why {
		w.Fatalf("refused for %q, want %q", d.Detail, why)
	}
}

func testCooling(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	hour, two := w.now.Add(time.Hour), w.now.Add(2*time.Hour)
	w.cool(two, "slow down", 0, two)
	w.cool(hour, "sooner", 0, two) // not shortened, and the reason stays
	w.cooling(two, "slow down")
	if u := w.peek(); u.Used != 0 || u.Held != 0 || u.CoolingWhy != "slow down" || !u.Probe.IsZero() {
		t.Fatalf("usage %+v", u)
	}
	w.at("peeked end", w.peek().CoolingUntil, two)
	w.cool(two.Add(time.Hour), "closed", 0, two.Add(time.Hour)) // made longer
	w.cooling(two.Add(time.Hour), "closed")
	for _, cooled := range []bool{true, false} {
		if was, err := w.l.Lift(t.Context(), token); was != cooled || err != nil {
			t.Fatal(was, err)
		}
	}
	w.release(w.granted(), true, "")
	soon := w.now.Add(3 * time.Second)
	w.cool(soon, "a moment", 0, soon)
	w.cooling(soon, "a moment")
	w.reach(soon)
	if u := w.peek(); !u.CoolingUntil.IsZero() || u.CoolingWhy != "" {
		t.Fatalf("usage after the cooling %+v", u)
	}
	if g := w.granted(); g.Probe {
		t.Fatal("a grant after the cooling is no probe")
	}
}

// twice sends each command again, as a client does if its first reply was lost.
type twice struct{}

func (twice) DialHook(next redis.DialHook) redis.DialHook { return next }

func (twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		_ = next(ctx, cmd)
		return next(ctx, cmd)
	}
}

// A lift whose reply was lost, and that was sent again, answers what it did.
func testLostReplyOfALift(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	c := redis.NewClient(b.client.Options())
	t.Cleanup(func() { _ = c.Close() })
	c.AddHook(twice{})
	hour := w.now.Add(time.Hour)
	w.cool(hour, "closed", 0, hour)
	for _, cooled := range []bool{true, false} {
		if was, err := limiter(t, c, w.l.settings).Lift(t.Context(), token); was != cooled || err != nil {
			t.Fatal(was, err)
		}
	}
	w.granted()
}

func testProbe(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	end := w.now.Add(11 * time.Hour)
	const after = 2 * time.Second
	w.cool(end, "used up", after, end)
	probe := w.peek().Probe
	if d := probe.Sub(w.now); d < after-time.Millisecond || d > after+5*time.Second {
		t.Fatalf("the first probe after %v", d)
	}
	w.cooling(probe, "used up")
	w.reach(probe)
	g := w.granted()
	if !g.Probe || g.Used != 1 {
		t.Fatalf("the probe %+v", g)
	}
	// One at a time: the next one comes when its lease has ended and two minutes have passed.
	w.cooling(g.Ends.Add(2*time.Minute), "used up")
	w.release(g, true, "")
	w.cooling(g.Ends.Add(2*time.Minute), "used up")
	w.cool(end, "used up", after, end) // the probe failed: the distance stays
	w.cooling(g.Ends.Add(2*time.Minute), "used up")
	if _, err := w.l.Lift(t.Context(), token); err != nil { // the probe succeeded
		t.Fatal(err)
	}
	if g := w.granted(); g.Probe {
		t.Fatal("a grant after the lift is no probe")
	}
}

func testProbesGrow(t testing.TB, b backend) {
	if b.setTime == nil {
		return // hours
	}
	w := newWorld(t, b, Settings{Location: time.FixedZone("far", -43200)}, 0)
	end := w.now.Add(23 * time.Hour)
	w.cool(end, "used up", 30*time.Minute, end)
	w.reach(w.now.Add(30*time.Minute - time.Millisecond))
	w.cooling(w.now.Add(30*time.Minute), "used up")
	w.reach(w.now.Add(30 * time.Minute))
	for _, step := range []time.Duration{1, 2, 4, 4} {
		g := w.granted()
		w.release(g, true, "")
		next := g.Ends.Add(step * time.Hour)
		w.cool(end, "used up", 30*time.Minute, end) // the probe failed
		w.cooling(next, "used up")
		w.reach(next.Add(-time.Millisecond))
		w.cooling(next, "used up")
		w.reach(next)
	}
	late := w.l.Now().Add(20 * time.Hour)
	w.reach(late)
	w.cool(late.Add(2*time.Hour), "again", time.Hour, late.Add(2*time.Hour))
	// The end comes before the next probe.
	w.reach(late.Add(time.Hour))
	w.granted()
	w.cooling(late.Add(2*time.Hour), "again")
}

// A probe that finds no slot is not used up.
func testProbeNeedsSlot(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	first := w.granted()
	w.granted()
	end := w.now.Add(time.Hour)
	w.cool(end, "used up", time.Second, end)
	w.reach(w.now.Add(3 * time.Second))
	before := w.peek().Probe
	w.refused(ReasonSlots)
	w.at("probe", w.peek().Probe, before)
	w.release(first, true, "")
	if g := w.granted(); !g.Probe {
		t.Fatal("no probe")
	}
}

// A cooling that has ended leaves nothing to the next one of the same reason.
func testCoolingAgain(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	soon := w.now.Add(3 * time.Second)
	w.cool(soon, "used up", time.Second, soon)
	w.reach(soon)
	end := soon.Add(time.Hour)
	w.cool(end, "used up", 30*time.Minute, end)
	if d := w.peek().Probe.Sub(soon); d < 30*time.Minute-time.Millisecond {
		t.Fatalf("the first probe of the second cooling after %v", d)
	}
	w.refused(ReasonCooling)
	// Another reason begins anew too.
	w.cool(end, "closed", 45*time.Minute, end)
	if d := w.peek().Probe.Sub(soon); d < 45*time.Minute-time.Millisecond {
		t.Fatalf("the first probe of another reason after %v", d)
	}
	w.cool(end, "no probes", 0, end)
	w.cooling(end, "no probes")
}
