package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// breaking is a client's hook that lets a number of pipelines of groups through. The next one
// is not sent, or its reply is lost.
type breaking struct {
	left   atomic.Int64
	before bool
}

var errBroken = errors.New("broken pipe")

func (*breaking) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*breaking) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (h *breaking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() != "evalsha" || h.left.Add(-1) >= 0 {
			return next(ctx, cmds)
		}
		if !h.before {
			_ = next(ctx, cmds)
		}
		for _, c := range cmds {
			c.SetErr(errBroken)
		}
		return errBroken
	}
}

// A batch that can't be put into the list takes no rows: nobody would find it.
func TestBatchThatCantBeListed(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: redistest.Mini(t).Addr()})
	defer func() { _ = rdb.Close() }()
	p := openProducer(t, rdb, Options{Keys: testKey(t)})
	calls := mixed(9)
	if _, err := p.EnqueueBatch(t.Context(), "b", given(calls[:8]), BatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(rdb.Rename(t.Context(), "habilita:batches", "away").Err(), rdb.Set(t.Context(), "habilita:batches", "", 0).Err()); err != nil {
		t.Fatal(err)
	}
	if s, err := p.EnqueueBatch(t.Context(), "b", given(calls), BatchOptions{}); !redis.HasErrorPrefix(err, "WRONGTYPE") || s.Enqueued != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// mixed gives interleaved rows of some tokens, without ids and with.
func mixed(n int) []Call {
	random := rand.New(rand.NewPCG(1, 2))
	out := make([]Call, n)
	for i := range out {
		t := random.IntN(9)
		out[i] = Call{Server: "1", Token: Token(fmt.Sprintf("token-%d", t)), Ref: fmt.Sprint(i)}
		if t == 3 {
			out[i].Chain = []string{"", "x"}[random.IntN(2)]
		}
		if t > 6 {
			out[i].ID = fmt.Sprintf("id-%d", i)
		}
	}
	return out
}

func given(rows []Call) iter.Seq2[Call, error] {
	return func(yield func(Call, error) bool) {
		for _, c := range rows {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// refs are the refs of the batch's calls as they stand in their chains.
func (p *Producer) refs(t *testing.T, batch string) map[string][]string {
	t.Helper()
	ctx, out := t.Context(), map[string][]string{}
	var ids []string
	tags, err := p.batches.Tags(ctx, batch)
	if err != nil {
		t.Fatal(err)
	}
	for c, err := range p.ledger.Chains(ctx, tags, false) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID)
		out[c.ID] = []string{c.Head.Ref}
	}
	for _, id := range ids {
		token, _ := ledger.SplitChainID(id)
		queue, err := p.rdb.LRange(ctx, p.prefix+":{"+ledger.Tag(id)+"}:queue:"+id, 0, -1).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range queue {
			of, key, _ := strings.Cut(ref, " ")
			c, err := p.ledger.Call(ctx, of, token, key)
			if err != nil {
				t.Fatal(err)
			}
			out[id] = append(out[id], c.Ref)
		}
	}
	return out
}

// A bulk dies between any two groups, or its last replies are lost. Enqueued again, the batch
// has every row once, and the rows of a chain in the order of the file.
func TestBulkThatDiesGoesOn(t *testing.T) {
	t.Parallel()
	rows := mixed(2500)
	redistest.BothOwn(t, func(t *testing.T, b redistest.Backend) {
		var want map[string][]string
		for _, before := range []bool{true, false} {
			for sent := 0; ; sent++ {
				if b.Mini != nil && sent > 0 {
					break // the real Redis has all of them
				}
				empty(t, b.Client)
				hook := &breaking{before: before}
				hook.left.Store(1 << 30)
				rdb := redis.NewClient(&redis.Options{Addr: b.Addr, DB: b.DB})
				rdb.AddHook(hook)
				defer func() { _ = rdb.Close() }()
				p := newTestProducer(t, rdb)
				hook.left.Store(int64(sent))
				first, err := p.EnqueueBatch(t.Context(), "b", given(rows), BatchOptions{})
				died := err != nil
				if died && !errors.Is(err, errBroken) {
					t.Fatal(err)
				}
				hook.left.Store(1 << 30)
				second, err := p.EnqueueBatch(t.Context(), "b", given(rows), BatchOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if second.Rows != len(rows) || second.Enqueued+second.Duplicates != len(rows) || second.Tokens != 9 ||
					second.Duplicates < first.Enqueued || (before || !died) && second.Duplicates != first.Enqueued {
					t.Fatalf("after %d round trips: first %+v, then %+v", sent, first, second)
				}
				counts, err := p.ledger.Counts(t.Context(), ledger.BatchID("b"), ledger.AllTags())
				if err != nil || counts.Total != len(rows) || counts.Open() != len(rows) {
					t.Fatalf("after %d round trips: %+v, %v", sent, counts, err)
				}
				have := p.refs(t, ledger.BatchID("b"))
				if want == nil {
					want = p.expected(rows)
				}
				// Every producer here names tokens differently: each has its own token-ID key.
				if got, need := orders(have), orders(want); !slices.EqualFunc(got, need, slices.Equal) {
					t.Fatalf("after %d round trips: the chains are %v, want %v", sent, got, need)
				}
				// Otherwise it joins the membership again after the next FlushAll, with its own token-ID key.
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
				if !died {
					break
				}
			}
		}
	})
}

// expected is what refs gives if all is well.
func (p *Producer) expected(rows []Call) map[string][]string {
	out := map[string][]string{}
	for _, c := range rows {
		id := ledger.ChainID(p.tokenIDs.Name(string(c.Token)), c.Chain)
		out[id] = append(out[id], c.Ref)
	}
	return out
}

func orders(m map[string][]string) [][]string {
	var out [][]string
	for _, v := range m {
		out = append(out, v)
	}
	slices.SortFunc(out, slices.Compare)
	return out
}

func TestBatchCountsItsRows(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		p := newTestProducer(t, b.Client)
		bad := errors.New("a row that can't be one")
		calls := func(yield func(Call, error) bool) {
			for i := range 300 {
				c := Call{Server: "1", Token: Token(fmt.Sprintf("token-%d", i%100)), ID: fmt.Sprintf("id-%d", i%150)}
				var err error
				switch {
				case i%50 == 7:
					err = bad
				case i == 20:
					c.Server = "no server"
				}
				if !yield(c, err) {
					return
				}
			}
		}
		var told []error
		var last Summary
		sum, err := p.EnqueueBatch(t.Context(), "b", calls, BatchOptions{OnReject: func(err error) error { told = append(told, err); return nil }, OnProgress: func(s Summary) {
			if s.Enqueued < last.Enqueued || s.Rows < last.Rows || s.Enqueued+s.Duplicates > s.Rows {
				t.Errorf("progress went from %+v to %+v", last, s)
			}
			last = s
		}})
		var call *CallError
		if err != nil || len(told) != 7 || !errors.Is(told[0], bad) || !errors.As(told[1], &call) || call.Index != 20 {
			t.Fatalf("%v, %v", told, err)
		}
		// 150 ids in all, each twice, for two tokens: 300 calls less 7 rejected, and two behind these.
		if sum.Rows != 300 || sum.Rejected != 7 || sum.Enqueued != 291 || sum.Withheld != 2 || sum.Duplicates != 0 || sum.Tokens != 98 { // two have rejected rows alone
			t.Errorf("%+v", sum)
		}
		if last.Enqueued != sum.Enqueued || last.Rows != 300 {
			t.Errorf("the last progress is %+v", last)
		}
		again, err := p.EnqueueBatch(t.Context(), "b", calls, BatchOptions{OnReject: func(error) error { return nil }})
		if err != nil || again.Enqueued != 0 || again.Duplicates != 291 || again.Withheld != 2 {
			t.Errorf("again: %+v, %v", again, err)
		}
		// An id twice for one token is a conflict, within a group and over groups.
		twice := make([]Call, 200)
		for i := range twice {
			twice[i] = Call{Server: "1", Token: "one", ID: fmt.Sprintf("id-%d", i%90)}
		}
		if sum, err = p.EnqueueBatch(t.Context(), "twice", given(twice), BatchOptions{}); err != nil || sum.Enqueued != 90 || sum.Conflicts != 110 || sum.Duplicates != 0 {
			t.Errorf("%+v, %v", sum, err)
		}
	})
}

// What came before an error of the sequence is enqueued. What a cancelled context cut off is
// not reported as enqueued.
func TestBatchThatIsCutOff(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		p := newTestProducer(t, b.Client)
		bad := errors.New("the file ends here")
		sum, err := p.EnqueueBatch(t.Context(), "b", func(yield func(Call, error) bool) {
			for c := range callsOf(100) {
				if !yield(c, nil) {
					return
				}
			}
			yield(Call{}, bad)
		}, BatchOptions{})
		if !errors.Is(err, bad) || sum.Enqueued != 100 || sum.Rows != 101 {
			t.Errorf("%+v, %v", sum, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		sum, err = p.EnqueueBatch(ctx, "c", func(yield func(Call, error) bool) {
			for i := range 5000 {
				if i == 4000 {
					cancel()
				}
				if !yield(Call{Server: "1", Token: Token(fmt.Sprintf("token-%d", i%5))}, nil) {
					return
				}
			}
		}, BatchOptions{})
		if !errors.Is(err, context.Canceled) || strings.Count(err.Error(), "canceled") != 1 || sum.Rows > 4001 {
			t.Errorf("%+v, %v", sum, err)
		}
		counts, err := p.ledger.Counts(t.Context(), ledger.BatchID("c"), ledger.AllTags())
		if err != nil || counts.Total < sum.Enqueued || counts.Total > 4000 {
			t.Errorf("%+v says the ledger, %+v was told; %v", counts, sum, err)
		}
	})
}
