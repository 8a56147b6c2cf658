package engine

import (
	"fmt"
	"testing"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// The chains that wait for a day do not all begin in its first moment: Redis and the vendor see a ramp.
func TestDayBeginsWithARamp(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		// It is some minutes after midnight, and the guard lasts for longer.
		now := time.Now().UTC()
		zone := time.FixedZone("night", int((24*time.Hour + 10*time.Minute - now.Sub(now.Truncate(24*time.Hour))).Seconds()))
		w := openWorld(t, b.URL, testKey(t), func(o *WorkerOptions) {
			o.Quota.Location, o.Quota.Guard = zone, 30*time.Minute
		}).closing()
		y, m, d := w.stack.clock.Now().In(zone).Date()
		opens := time.Date(y, m, d, 0, 30, 0, 0, zone)
		seconds := map[int]int{}
		const chains = 200
		for i := range chains {
			id := w.append(fmt.Sprint("token-", i), "a")
			p, err := w.stack.ledger.DispatchAll(t.Context(), []string{ledger.Tag(id)}, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range p[0].Dispatches {
				step, err := w.stack.ledger.Begin(t.Context(), f, newID(), "")
				if err != nil || step.Reason != "midnight" {
					t.Fatalf("%+v, %v", step, err)
				}
				late := step.Until.Sub(opens)
				if late < 0 || late >= 5*time.Second {
					t.Fatalf("%s after the day opens", late)
				}
				seconds[int(late/time.Second)]++
			}
		}
		for s := range 5 {
			if n := seconds[s]; n < chains/20 || n > chains/2 {
				t.Errorf("of %d chains %d begin in second %d: %v", chains, n, s, seconds)
			}
		}
	})
}
