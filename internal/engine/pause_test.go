package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/breaker"
	"habilita/internal/ledger"
)

// Time-outs that a pause of this process caused do not count against a server. The same
// time-outs without a pause do.
func TestPauseOfThisProcessIsNoFaultOfTheServer(t *testing.T) {
	for _, paused := range []bool{true, false} {
		m := miniredis.RunT(t)
		rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
		defer func() { _ = rdb.Close() }()
		store := breaker.New(rdb, "habilita")
		r := &runner{log: zerolog.Nop(), breakers: breaker.NewMonitor(store, 0, time.Now, zerolog.Nop())}
		asked := time.Now()
		r.pauses.look(asked)
		if paused {
			r.pauses.look(asked.Add(time.Minute))
		}
		for i := range 50 {
			a := ledger.Attempt{Server: "0042", Chain: fmt.Sprintf("chain%d", i)}
			r.observe(t.Context(), &a, asked, context.DeadlineExceeded)
		}
		if err := r.breakers.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, err := store.Servers(t.Context(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		down := len(all) > 0 && all[0].State != breaker.Closed
		if down == paused {
			t.Errorf("paused %t: %+v", paused, all)
		}
	}
}
