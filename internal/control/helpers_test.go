package control_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"

	"habilita/internal/control"
	"habilita/internal/quota"
)

// start is the time of the simulated Redis when a test begins: noon in Bogotá.
var start = time.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC)

// world is a ledger that tests move on by hand, as a worker would.
type world struct {
	t       *testing.T
	ctx     context.Context
	redis   *miniredis.Miniredis
	rdb     *redis.Client
	ledger  *ledger.Ledger
	batches *ledger.Batches
	limiter *quota.Limiter
	op      *control.Control
	nonce   int
}

func newWorld(t *testing.T) *world {
	m := miniredis.RunT(t)
	m.SetTime(start)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	limiter, err := quota.New(rdb, quota.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	op, err := control.Open(rdb, "", quota.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	settings := limiter.Settings()
	l := ledger.New(rdb, ledger.Options{MaxAttempts: 3, Admission: ledger.Admission{
		Library: quota.Library(), Args: func() []any { return settings.Args(start, 0, false) },
	}})
	return &world{t: t, ctx: context.Background(), redis: m, rdb: rdb, ledger: l, limiter: limiter,
		batches: ledger.NewBatches(rdb, ""), op: op}
}

// token is the name of a token: tokens of one letter share a bucket.
func token(letters string) string {
	return (letters + strings.Repeat("x", ledger.TokenLen))[:ledger.TokenLen]
}

// enqueue appends n calls of a token to a batch ("" none).
func (w *world) enqueue(batchName, server, tok, name string, n int) {
	w.t.Helper()
	id := ledger.BatchID(batchName)
	if batchName != "" {
		if _, _, err := w.batches.Ensure(w.ctx, ledger.Batch{ID: id, Name: batchName, Created: start}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.append(batchName, server, tok, name, n)
}

// note notes a bucket of a batch.
func (w *world) note(id, tag string) {
	w.t.Helper()
	m, err := w.batches.Get(w.ctx, id)
	if err == nil {
		_, err = w.batches.Note(w.ctx, m, []string{tag})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// enqueueMore appends n calls of a token to a batch that exists.
func (w *world) enqueueMore(batchName, server, tok string, n int) {
	w.t.Helper()
	w.append(batchName, server, tok, "", n)
}

func (w *world) append(batchName, server, tok, name string, n int) {
	w.t.Helper()
	id := ledger.BatchID(batchName)
	if batchName != "" {
		w.note(id, ledger.Tag(tok))
	}
	calls := make([]ledger.NewCall, n)
	for i := range calls {
		calls[i] = ledger.NewCall{Token: tok, Chain: name, Server: server, Key: ledger.UniqueKey(strings.TrimPrefix(fmt.Sprint(name, "#", i), "#")),
			Ref: fmt.Sprintf("ref %d", i), Sealed: "sealed"}
	}
	for part := range slices.Chunk(calls, 100) {
		if _, err := w.ledger.Append(w.ctx, ledger.Append{Batch: id, Policy: "hold", Calls: part}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// attempt begins the head of a chain of tok and ends it with o. If no attempt is
// granted, it returns why.
func (w *world) attempt(tok string, o ledger.Outcome) *ledger.Step {
	w.t.Helper()
	dispatched, err := w.ledger.DispatchAll(w.ctx, []string{ledger.Tag(tok)}, 1)
	if err != nil || len(dispatched[0].Dispatches) != 1 {
		w.t.Fatalf("dispatch: %+v, %v", dispatched, err)
	}
	w.nonce++
	s, err := w.ledger.Begin(w.ctx, dispatched[0].Dispatches[0], fmt.Sprint("nonce", w.nonce), "")
	if err != nil {
		w.t.Fatal(err)
	}
	if s.Status != ledger.Running || o.Kind == "" {
		return s
	}
	w.nonce++
	s, err = w.ledger.Finish(w.ctx, &s.Attempt, o, ledger.Stop, fmt.Sprint("nonce", w.nonce), "")
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

var (
	done   = ledger.Outcome{Kind: ledger.Done, Slot: ledger.Release, Code: "202", Msg: "enabled"}
	giveUp = ledger.Outcome{Kind: ledger.GiveUp, Slot: ledger.Release, Code: "403", Msg: "PLEASE VALIDATE TOKEN", Err: "refused"}
	fail   = ledger.Outcome{Kind: ledger.Fail, Slot: ledger.Release, Code: "500", Msg: "oops", Delay: time.Minute}
)

func (w *world) status(name string) control.Status {
	w.t.Helper()
	s, err := w.op.Status(w.ctx, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) chains(held bool) []control.Chain {
	w.t.Helper()
	var out []control.Chain
	for c, err := range w.op.Chains(w.ctx, held) {
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, c)
	}
	return out
}
