package engine

import (
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
	"habilita/internal/vault"
)

// callsOf gives one call for each of n tokens.
func callsOf(n int) iter.Seq2[Call, error] {
	return func(yield func(Call, error) bool) {
		for i := range n {
			if !yield(Call{Server: "1", Token: Token(fmt.Sprintf("token-%d", i))}, nil) {
				return
			}
		}
	}
}

func newTestProducer(t testing.TB, rdb redis.UniversalClient) *Producer {
	t.Helper()
	key, err := vault.GenerateKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewProducer(t.Context(), rdb, Options{Keys: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // the server may be gone by then
	return p
}

// A batch that is cancelled while its file is still going in takes no more calls to the
// vendor, whichever buckets the later rows are in.
func TestCancelledBatchTakesNoRowsUntilItIsReopened(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		p := newTestProducer(t, b.Client)
		ctx := t.Context()
		if _, err := p.EnqueueBatch(ctx, "b", callsOf(3), BatchOptions{}); err != nil {
			t.Fatal(err)
		}
		o, err := control.Open(b.Client, "", quota.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		n, err := o.Cancel(ctx, control.Selection{Batch: "b"})
		if err != nil || n != 3 {
			t.Fatalf("cancelled %d, %v; want 3", n, err)
		}
		if sum, err := p.EnqueueBatch(ctx, "b", callsOf(200), BatchOptions{}); !errors.Is(err, ledger.BatchCancelled) || sum.Enqueued != 0 {
			t.Fatalf("%+v, %v", sum, err)
		}
		if _, err := p.Enqueue(ctx, Call{Server: "1", Token: "token-1", Batch: "b"}); !errors.Is(err, ledger.BatchCancelled) {
			t.Errorf("a single call: %v", err)
		}
		if s, err := o.Status(ctx, "b"); err != nil || s.Total != 3 || s.Cancelled != 3 {
			t.Errorf("%+v, %v", s, err)
		}
		// Opened again, it takes them: what was cancelled unsent is new.
		if n, err := o.Reopen(ctx, control.Selection{Batch: "b"}); err != nil || n != 3 {
			t.Fatalf("reopened with %d cancelled, %v", n, err)
		}
		sum, err := p.EnqueueBatch(ctx, "b", callsOf(200), BatchOptions{})
		if err != nil || sum.Enqueued != 200 || sum.Duplicates != 0 {
			t.Fatalf("%+v, %v", sum, err)
		}
		if s, err := o.Status(ctx, "b"); err != nil || s.Total != 200 || s.Cancelled != 0 || s.Open != 200 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}
