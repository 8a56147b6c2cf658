package ledger

import (
	"testing"
	"testing/synctest"
	"time"
)

// A wait ends at most a tenth later than what it waits for, up to a quarter of a second. Looks that
// take long are no load.
func TestLooksSoonAfterwards(t *testing.T) {
	for _, c := range []struct{ lasts, look, late time.Duration }{
		{5 * time.Millisecond, 0, 3 * time.Millisecond},
		{300 * time.Millisecond, 0, 30 * time.Millisecond},
		{2 * time.Second, 0, 200 * time.Millisecond},
		{time.Minute, 0, time.Second},
		{time.Second, 20 * time.Millisecond, 160 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			looks := 0
			Look(t.Context(), func() (changed, more bool) {
				time.Sleep(c.look)
				looks++
				return false, time.Since(began) < c.lasts
			})
			took := time.Since(began)
			if late := took - c.lasts; late > c.late {
				t.Errorf("what lasts %s was seen %s late", c.lasts, late)
			}
			if busy := time.Duration(looks) * c.look; busy > took/4 {
				t.Errorf("looks of %s took %s of %s", c.look, busy, took)
			}
		})
	}
}

// What an idle worker does in some milliseconds is seen as soon. What takes long is
// looked at rarely, even while it changes.
func TestLooksSoonThenRarely(t *testing.T) {
	for _, changes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var at []time.Duration
			Look(t.Context(), func() (changed, more bool) {
				at = append(at, time.Since(began))
				return changes, time.Since(began) < time.Minute
			})
			soon := 0
			for _, d := range at {
				if d <= 50*time.Millisecond {
					soon++
				}
			}
			if soon < 12 || len(at) > 360 || !changes && len(at) > 180 {
				t.Errorf("changes %t: %d looks in 50 ms, %d in a minute", changes, soon, len(at))
			}
		})
	}
}
