package quota

import (
	"testing"
	"time"
)

// What a write-ahead log has applies as if the process had never ended: leases until they
// end, counts for their days. Restoring again adds nothing.
func testRestore(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{Lease: shortLease, Guard: time.Millisecond}, 0)
	first := w.granted()
	today := w.day(first.Ends)
	ends := first.Ends.Add(time.Minute)
	r := Restored{
		Leases: map[string]time.Time{"old": ends, "over": w.now.Add(-time.Millisecond)},
		Used:   map[string]int{today: 1000, "20200101": 3},
	}
	for range 2 {
		if err := w.l.Restore(t.Context(), map[string]Restored{token: r}); err != nil {
			t.Fatal(err)
		}
		if u := w.peek(); u.Used != 1000 || u.Held != 2 {
			t.Fatalf("%+v", u)
		}
	}
	if n := w.used("20200101"); n != 0 {
		t.Errorf("%d requests are kept of a day that is long over", n)
	}
	w.refused(ReasonQuota)
	if err := w.l.Restore(t.Context(), map[string]Restored{token: {Used: map[string]int{today: 5}}}); err != nil || w.peek().Used != 1000 {
		t.Errorf("a count became smaller: %v", err)
	}
	if err := w.l.SetLicenses(t.Context(), token, 2); err != nil {
		t.Fatal(err)
	}
	w.release(first, true, "")
	second := w.granted()
	if d := w.refused(ReasonSlots); !d.RetryAt.Equal(second.Ends) {
		t.Errorf("a place is free at %v, the next lease ends at %v", d.RetryAt, second.Ends)
	}
	w.reach(second.Ends)
	w.granted() // the restored lease holds one place still
	w.refused(ReasonSlots)
	if err := w.l.Restore(t.Context(), map[string]Restored{token: {Used: map[string]int{"24.11.": 1}}}); err == nil {
		t.Error("a day that is none was taken")
	}
}
