package quota

import (
	"testing"
	"time"
)

func testSlots(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	first := w.granted()
	if w.exact() {
		w.reach(w.now.Add(time.Second)) // the first lease ends first
	}
	second := w.granted()
	if first.Nonce == second.Nonce || first.Token != token || first.Probe {
		t.Fatalf("grants %+v, %+v", first, second)
	}
	if second.Used != 2 || second.Limit != 1000 || second.Days != w.day(w.now) {
		t.Fatalf("second grant %+v", second)
	}
	if lease := first.Ends.Sub(w.now); lease < DefaultLease-time.Millisecond || lease > DefaultLease+10*time.Second {
		t.Fatalf("a lease of %v", lease)
	}
	d := w.refused(ReasonSlots)
	w.at("retry", d.RetryAt, first.Ends)
	if u := w.peek(); u.Held != 2 || u.Used != 2 || u.Waiting != 0 {
		t.Fatalf("usage %+v", u)
	}
	if d, err := w.l.Try(t.Context(), token+"other"); err != nil || !d.Granted {
		t.Fatalf("a token takes the slots of another: %+v, %v", d, err)
	}
	w.release(second, true, "")
	w.granted()
	w.refused(ReasonSlots)
}

func testOneSlot(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{Slots: 1}, 0)
	g := w.granted()
	w.refused(ReasonSlots)
	w.release(g, true, "")
	w.granted()
}

func testLeaseEndFrees(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{Lease: shortLease}, 0)
	first, second := w.granted(), w.granted()
	if w.exact() {
		w.reach(first.Ends.Add(-time.Millisecond))
		w.refused(ReasonSlots)
	}
	w.reach(second.Ends)
	if u := w.peek(); u.Held != 0 {
		t.Fatalf("held %d after the leases", u.Held)
	}
	w.granted()
	w.granted()
}

func testOwnerAlone(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{Lease: shortLease}, 0)
	old := w.granted()
	w.reach(old.Ends)
	long := limiter(t, b.client, Settings{Prefix: w.l.settings.Prefix, Location: w.l.settings.Location})
	w.l = long
	w.granted()
	w.granted()
	w.release(old, false, "")
	w.giveBack(old, false, "")
	forged := old
	forged.Nonce = "forged"
	w.release(forged, false, "")
	w.refused(ReasonSlots)
	if u := w.peek(); u.Held != 2 || u.Used != 3 {
		t.Fatalf("usage %+v", u)
	}
}

// A lease that was granted under longer settings is not cut by a later, shorter one.
func testLongerLeaseSurvives(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{Lease: shortLease}, 0)
	long := limiter(t, b.client, Settings{Prefix: w.l.settings.Prefix, Location: w.l.settings.Location, Lease: time.Hour})
	if d, err := long.Try(t.Context(), token); err != nil || !d.Granted {
		t.Fatal(d, err)
	}
	g := w.granted()
	w.reach(g.Ends.Add(1100 * time.Millisecond))
	if u := w.peek(); u.Held != 1 {
		t.Fatalf("held %d, want the longer lease", u.Held)
	}
	w.granted()
	w.refused(ReasonSlots)
}

// A client sends a command again when its answer got lost.
func testSameNonceOnce(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{Guard: shortGuard}, 2*time.Second)
	w.use(w.day(w.now), 999)
	w.peek() // learns the time
	first, err := w.l.grant(t.Context(), token, "n", "", time.Time{})
	if err != nil || !first.Granted {
		t.Fatal(first, err)
	}
	if w.exact() {
		w.reach(w.now.Add(time.Second))
	}
	again, err := w.l.grant(t.Context(), token, "n", "", time.Time{})
	if err != nil || again.Grant != first.Grant {
		t.Fatalf("%+v, then %+v, %v", first, again, err)
	}
	if n, m := w.used(w.day(w.now)), w.used(w.day(w.midnight)); n != 1000 || m != 1 {
		t.Fatalf("counted %d and %d", n, m)
	}
	w.refused(ReasonQuota)
	// After midnight it is still the grant of the day before.
	w.reach(w.midnight)
	again, err = w.l.grant(t.Context(), token, "n", "", time.Time{})
	if err != nil || again.Grant != first.Grant {
		t.Fatalf("after midnight %+v, %v", again, err)
	}
	w.release(first.Grant, true, "")
	w.refused(ReasonMidnight)
	if w.exact() { // once its lease has ended, a nonce is as good as new
		w.reach(w.midnight.Add(time.Hour))
		g, err := w.l.grant(t.Context(), token, "m", "", time.Time{})
		if err != nil || !g.Granted {
			t.Fatal(g, err)
		}
		w.reach(g.Grant.Ends)
		if g, err = w.l.grant(t.Context(), token, "m", "", time.Time{}); err != nil || g.Grant.Used != 3 {
			t.Fatal(g, err)
		}
	}
}

func testGiveBack(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	day := w.day(w.now)
	g := w.granted()
	w.giveBack(g, true, "")
	w.giveBack(g, false, "")
	w.release(g, false, "")
	if n := w.used(day); n != 0 {
		t.Fatalf("used %d after a request was given back", n)
	}
	g = w.granted()
	w.release(g, true, "")
	w.giveBack(g, false, "")
	if n := w.used(day); n != 1 {
		t.Fatalf("used %d, want the one that was released", n)
	}
	// A counter that is gone does not go below nothing.
	g = w.granted()
	w.client.Del(t.Context(), w.key("used:"+token+":"+day))
	w.giveBack(g, true, "")
	if n := w.used(day); n != 0 {
		t.Fatalf("used %d", n)
	}
}
