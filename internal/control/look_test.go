package control

import (
	"testing"
	"testing/synctest"
	"time"
)

// What an idle worker does in some milliseconds is seen as soon; what takes long is
// looked at rarely, also while it changes.
func TestLooksSoonThenRarely(t *testing.T) {
	for _, changes := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var at []time.Duration
			look(t.Context(), 0, func() (changed, more bool) {
				at = append(at, time.Since(began))
				return changes, time.Since(began) < time.Minute
			})
			soon := 0
			for _, d := range at {
				if d <= 50*time.Millisecond {
					soon++
				}
			}
			if soon < 6 || len(at) > 280 || !changes && len(at) > 100 {
				t.Errorf("changes %t: %d looks in 50 ms, %d in a minute", changes, soon, len(at))
			}
		})
	}
}
