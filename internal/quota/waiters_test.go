package quota

import (
	"testing"
	"time"
)

func (w *world) waits(name string, since time.Time) Decision {
	w.Helper()
	w.listen()
	return w.refused(ReasonSlots, waitAs(name, since))
}

func testWaiters(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	first, second := w.granted(), w.granted()
	w.waits("late", w.now.Add(3*time.Second))
	since := w.waits("z-early", w.now.Add(time.Second)).Now
	w.waits("middle", w.now.Add(2*time.Second))
	w.waits("z-early", w.now.Add(9*time.Second)) // the first arrival counts
	if u := w.peek(); u.Waiting != 3 {
		t.Fatalf("%d wait", u.Waiting)
	}
	w.release(first, true, "z-early")
	third := w.granted() // somebody was faster
	w.waits("z-early", w.now.Add(time.Second))
	w.release(third, true, "z-early")
	g := w.granted(waitAs("z-early", since))
	w.giveBack(second, true, "middle")
	w.granted(waitAs("middle", time.Time{}))
	// A waiter that is granted is out of the queue, woken or not.
	w.waits("self", w.now)
	w.client.ZRem(t.Context(), w.key("slots:"+token), g.Nonce)
	w.granted(waitAs("self", w.now))
	if u := w.peek(); u.Waiting != 1 { // "late"
		t.Fatalf("%d wait", u.Waiting)
	}
}

func testWakeNeedsSlot(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	first, second := w.granted(), w.granted()
	w.waits("a", w.now)
	w.waits("b", w.now.Add(time.Second))
	stranger := first
	stranger.Nonce = "stranger"
	w.release(stranger, false, "") // nothing is free: nobody is woken
	w.release(first, true, "a")
	w.release(first, false, "b") // one is still free
	w.release(second, true, "")  // the queue is empty
	if !w.exact() {
		return
	}
	// A lease that ends now is over.
	w.granted()
	g := w.granted()
	w.waits("c", time.Time{}) // since now,
	w.waits("d", w.now.Add(-time.Second))
	w.reach(g.Ends)
	w.release(stranger, false, "d") // which is after this one
}

func testLeave(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	leave := func(name, want string) {
		t.Helper()
		if woken, err := w.l.leave(t.Context(), token, seatOf(name)); err != nil || nameOf(woken) != want {
			t.Fatalf("%s left: woke %q, %v; want %q", name, woken, err, want)
		}
	}
	first := w.granted()
	w.granted()
	for i, name := range []string{"a", "b", "c", "d"} {
		w.waits(name, w.now.Add(time.Duration(i)*time.Second))
	}
	leave("b", "") // was waiting: nothing to pass on
	w.release(first, true, "a")
	leave("a", "c") // was woken
	w.granted(waitAs("c", time.Time{}))
	leave("c", "") // was woken, but no slot is free
	if u := w.peek(); u.Waiting != 1 {
		t.Fatalf("%d wait", u.Waiting)
	}
}

// No key stays for ever, except the licences that were given.
func testQueuesEnd(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	g := w.granted()
	w.granted()
	w.waits("a", time.Time{})
	end := w.now.Add(time.Hour)
	w.cool(end, "closed", time.Minute, end)
	for kind, want := range map[string]time.Time{
		"slots:" + token:                     g.Ends.Add(time.Second),
		"waiters:" + token:                   g.Ends.Add(24 * time.Hour),
		"used:" + token + ":" + w.day(w.now): w.midnight.Add(48 * time.Hour),
		"cooling:" + token:                   end,
	} {
		left, err := w.client.PTTL(t.Context(), w.key(kind)).Result()
		if off := left - want.Sub(w.now); err != nil || off < -20*time.Second || off > 20*time.Second {
			t.Errorf("%s goes after %v, want %v; %v", kind, left, want.Sub(w.now), err)
		}
	}
}
