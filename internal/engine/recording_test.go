package engine

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/breaker"
	"habilita/internal/ledger"
)

// heldBack holds back the commands of a client until they are let go, and counts them. None is sent.
type heldBack struct {
	there atomic.Int64
	letGo chan struct{}
}

func (h *heldBack) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (h *heldBack) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *heldBack) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.there.Add(1)
		<-h.letGo
		cmd.SetErr(context.Canceled)
		return context.Canceled
	}
}

// However many runs have an answer to record, only recordings of them are on their way to Redis at once.
// The begin of a run does not count among them.
func TestFewOutcomesAreOnTheirWayAtOnce(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{}) // nothing is sent
	t.Cleanup(func() { _ = rdb.Close() })
	synctest.Test(t, func(t *testing.T) {
		hook := &heldBack{letGo: make(chan struct{})}
		rdb.AddHook(hook)
		r := &runner{
			meter: newMeter(), stack: &stack{ledger: ledger.New(rdb, ledger.Options{})}, log: zerolog.Nop(), recording: make(chan struct{}, recordings), room: recordRoom, hosts: newHosts(1),
			breakers: breaker.NewMonitor(breaker.New(rdb, ""), 0, time.Now, zerolog.Nop()),
		}
		ctx, cancel := context.WithCancel(t.Context())
		var runs sync.WaitGroup
		a := ledger.Attempt{Chain: "aaaaaaaaaaaaaaaaaaaaaaaa", Batch: "b", Key: "k", Nonce: "n", Days: "20261124"}
		for range 4 * recordings {
			runs.Go(func() { _, _ = r.finish(ctx, &a, &verdict{}, ledger.Stop, "") })
		}
		synctest.Wait()
		if n := hook.there.Load(); n != recordings {
			t.Errorf("%d outcomes are on their way, want %d", n, recordings)
		}
		runs.Go(func() { _, _ = r.begin(ctx, ledger.Dispatch{Chain: a.Chain, Number: "1"}, "") })
		synctest.Wait()
		if n := hook.there.Load(); n != recordings+1 {
			t.Errorf("with the beginning of a run %d commands are on their way, want %d", n, recordings+1)
		}
		cancel()
		close(hook.letGo)
		runs.Wait()
	})
}
