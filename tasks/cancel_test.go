package tasks

import (
	"fmt"
	"iter"
	"testing"

	"github.com/redis/go-redis/v9"

	"habilita/internal/chain"
	"habilita/internal/operator"
	"habilita/internal/redisconn/redistest"
	"habilita/internal/vault"
	"habilita/quota"
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
func TestRowsOfACancelledBatchComeInCancelled(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		p := newTestProducer(t, b.Client)
		ctx := t.Context()
		if _, err := p.EnqueueBatch(ctx, "b", callsOf(3)); err != nil {
			t.Fatal(err)
		}
		o, err := operator.Open(b.Client, "", quota.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		n, err := o.Cancel(ctx, operator.Selection{Batch: "b"})
		if err != nil || n != 3 {
			t.Fatalf("cancelled %d, %v; want 3", n, err)
		}
		sum, err := p.EnqueueBatch(ctx, "b", callsOf(200))
		if err != nil || sum.Enqueued != 197 || sum.Duplicates != 3 {
			t.Fatalf("%+v, %v", sum, err)
		}
		s, err := o.Status(ctx, "b")
		if err != nil || s.Cancelled != 200 || s.Open != 0 {
			t.Errorf("status %+v, %v; want 200 cancelled", s, err)
		}
		buckets, err := p.ledger.Survey(ctx)
		if err != nil || len(buckets) > 0 {
			t.Errorf("buckets with work: %v, %v", buckets, err)
		}
		for c, err := range p.ledger.Calls(ctx, chain.BatchID("b"), []string{chain.TagAt(0)}) {
			if err != nil || c.State != chain.StateCancelled {
				t.Errorf("call %s: %s, %v", c.ID(), c.State, err)
			}
		}
	})
}
