package quota

import (
	"testing"
	"time"
)

func (w *world) raise(g Grant, vendor, wantBefore, wantAfter int) {
	w.Helper()
	before, after, err := w.l.Raise(w.Context(), g, vendor)
	if err != nil || before != wantBefore || after != wantAfter {
		w.Fatalf("raised from %d to %d (%v), want %d to %d", before, after, err, wantBefore, wantAfter)
	}
}

// The vendor's count is taken if it is higher, and never if it is lower; requests that it can't
// have seen are added to it.
func testRaise(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	w.use(w.day(w.now), 10)
	g := w.granted() // the 11th, alone
	if g.Used != 11 || g.Others != 0 || !g.OneDay() {
		t.Fatalf("%+v", g)
	}
	w.raise(g, 4, 11, 11)
	w.raise(g, 11, 11, 11)
	w.raise(g, 300, 11, 300)
	w.raise(g, 300, 300, 589) // what came since the grant is not the vendor's
	w.use(w.day(w.now), 20)
	w.release(g, true, "")

	// One is in flight at the grant, and one is granted after it: the vendor may know neither.
	first := w.granted()
	asked := w.granted()
	if first.Used != 21 || asked.Used != 22 || asked.Others != 1 {
		t.Fatalf("%+v, %+v", first, asked)
	}
	w.release(first, true, "")
	w.granted()
	w.raise(asked, 22, 23, 23)
	w.raise(asked, 100, 23, 102)

	// A request that was not sent is taken off, as if it had never been counted.
	w.use(w.day(w.now), 50)
	w.release(asked, true, "")
	again := w.granted()
	w.giveBack(again, true, "")
	last := w.granted()
	w.raise(last, 999, 51, 1000)
	w.release(last, true, "")
	w.refused(ReasonQuota)
}

// A grant that may count tomorrow raises nothing. One whose day is over raises only that
// day. A count that is gone does not come back, as it would have no expiry.
func testRaiseAtMidnight(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{Lease: shortLease, Guard: time.Millisecond}, 2*shortLease)
	today, tomorrow := w.day(w.now), w.day(w.midnight)
	g := w.granted()
	if !g.OneDay() {
		t.Skip("too slow to be before midnight")
	}
	w.reach(w.midnight.Add(2 * time.Millisecond))
	w.raise(g, 70, 1, 70)
	if n := w.used(tomorrow); n != 0 || w.used(today) != 70 {
		t.Fatalf("%d on the day, %d on the next", w.used(today), n)
	}
	if left := w.client.PTTL(t.Context(), w.key("used:"+token+":"+today)).Val(); left <= 0 {
		t.Errorf("the count stays for %v", left)
	}
	if err := w.client.Del(t.Context(), w.key("used:"+token+":"+today)).Err(); err != nil {
		t.Fatal(err)
	}
	w.raise(g, 70, 0, 0)
}
