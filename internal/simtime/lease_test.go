package simtime

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/wolkvoxtest"
)

// The bubble has one clock for all workers. The test does by hand what a worker does whose
// clock is two days ahead. For it, the leases of all asynq tasks have run out, so it gives
// each task to somebody else while its request is in flight. The dispatch number makes that
// do nothing.
func TestLeasesLookExpired(t *testing.T) {
	zone := time.FixedZone("America/Bogota", -5*60*60)
	x := World{Start: time.Date(2026, 11, 24, 9, 0, 0, 0, zone), Vendor: wolkvoxtest.Options{Latency: 20 * time.Second, Jitter: 30 * time.Second}}
	run(t, x, func(w *world) {
		w.enqueue("slow", load{token: "a", calls: 60, chains: 3}, load{token: "b", calls: 24}, load{token: "c", calls: 60, chains: 3})
		expired := 0
		for range 240 {
			time.Sleep(5 * time.Second)
			const key = "asynq:{habilita}:lease"
			for _, task := range w.rdb.ZRange(w.ctx, key, 0, -1).Val() {
				w.no(w.rdb.ZAddXX(w.ctx, key, redis.Z{Score: 1, Member: task}).Err())
				expired++
			}
		}
		w.done(2 * time.Hour)
		w.onlyNeeded()
		recovered, err := w.rdb.Get(w.ctx, "asynq:{habilita}:failed").Int()
		w.no(err) // asynq counts each task that it takes back as a failure
		w.Logf("%d leases ended early, %d tasks were taken back", expired, recovered)
		if a := w.vendor.Account(); recovered == 0 || a.Totals.Requests != 144 || len(a.Extra()) != 0 {
			t.Errorf("%d tasks were taken back, %d requests for 144 calls", recovered, a.Totals.Requests)
		}
	})
}

// Tasks that lose their leases altogether stay in asynq's list of active tasks, which its own
// recoverer does not look at. The worker that reconciles gives them leases that have ended.
func TestLeasesAreLost(t *testing.T) {
	zone := time.FixedZone("America/Bogota", -5*60*60)
	x := World{Start: time.Date(2026, 11, 24, 9, 0, 0, 0, zone)}
	run(t, x, func(w *world) {
		const prefix = "asynq:{habilita}:"
		w.no(w.rdb.LPush(w.ctx, prefix+"active", "of-nobody").Err())
		w.no(w.rdb.HSet(w.ctx, prefix+"t:of-nobody", "state", "active").Err())
		time.Sleep(15 * time.Minute)
		if s, err := w.rdb.ZScore(w.ctx, prefix+"lease", "of-nobody").Result(); err != nil || s != 0 {
			t.Errorf("its lease ends at %v, %v", s, err)
		}
	})
}
