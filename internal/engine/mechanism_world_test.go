package engine

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/vault"
	"habilita/internal/wolkvox"
)

// soon is how long a test waits for what must come; only a test that fails waits so long.
const soon = time.Minute

// fakeVendor reports each request, and then answers with success.
type fakeVendor struct {
	made   atomic.Int64
	asked  chan wolkvox.Request
	before func() // nil: nothing
}

func (v *fakeVendor) Do(_ context.Context, _ wolkvox.Operation, r *wolkvox.Request) (wolkvox.Answer, error) {
	v.made.Add(1)
	if v.before != nil {
		v.before()
	}
	v.asked <- *r
	return wolkvox.Answer{Code: 200}, nil
}

// lines signals log lines that contain a text.
type lines struct {
	text string
	seen chan struct{}
}

func (l lines) Write(p []byte) (int, error) {
	if strings.Contains(string(p), l.text) {
		select {
		case l.seen <- struct{}{}:
		default:
		}
	}
	return len(p), nil
}

// world is a worker that is taken apart: a test plays the part of one process or of two.
type world struct {
	*Worker
	t          *testing.T
	vendor     *fakeVendor
	dispatched dispatches
}

// dispatches are the dispatches that nobody has begun. The chains of a bucket are dispatched together, and tokens have
// random buckets.
type dispatches map[string]ledger.Dispatch

// of dispatches a chain, which must be one that can run.
func (d dispatches) of(t *testing.T, l *ledger.Ledger, id string) ledger.Dispatch {
	t.Helper()
	p, err := l.DispatchAll(t.Context(), []string{ledger.Tag(id)}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range p[0].Dispatches {
		d[one.Chain] = one
	}
	one, ok := d[id]
	if !ok {
		t.Fatalf("chain %s can't run: %v", id, p[0].Dispatches)
	}
	delete(d, id)
	return one
}

// openWorld makes a worker that was not run. The sealing key is that of every world of
// the test.
func openWorld(t *testing.T, url, key string, change func(*WorkerOptions)) *world {
	t.Helper()
	// It is noon, whenever the test runs.
	now := time.Now().UTC()
	zone := time.FixedZone("noon", int((12*time.Hour - now.Sub(now.Truncate(24*time.Hour))).Seconds()))
	o := WorkerOptions{
		Options:  Options{Keys: key, Quota: quota.Settings{Guard: time.Millisecond, Location: zone}},
		RedisURL: url, Log: zerolog.Nop(), ShutdownTimeout: 2 * time.Second,
		CallTimeout: time.Minute, VendorTimeout: time.Minute, SlotMargin: 5 * time.Second,
	}
	if change != nil {
		change(&o)
	}
	w, err := NewWorker(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	v := &fakeVendor{asked: make(chan wolkvox.Request, 16)}
	w.runner.vendor = v
	return &world{w, t, v, dispatches{}}
}

func testKey(t *testing.T) string {
	t.Helper()
	key, err := vault.GenerateKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// closing closes the worker at the end of the test. It is for a worker that is not run.
func (w *world) closing() *world {
	w.t.Cleanup(func() { _ = w.Close() }) // its Redis may be gone
	return w
}

// begin runs the worker until the test ends.
func (w *world) begin() {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.t.Errorf("worker: %v", err)
		}
	})
}

// append puts a call at the end of its token's chain without a signal. It returns the
// chain.
func (w *world) append(token, id string) string {
	w.t.Helper()
	n := (&Producer{stack: w.stack}).prepare(&Call{Server: "0001", Token: Token(token)})
	n.Key = ledger.GivenKey(id)
	_, err := w.stack.ledger.Append(w.t.Context(), ledger.Append{Batch: ledger.NoBatch, Calls: []ledger.NewCall{n}})
	if err != nil {
		w.t.Fatal(err)
	}
	return ledger.ChainID(n.Token, "")
}

func (w *world) dispatch(id string) ledger.Dispatch {
	w.t.Helper()
	return w.dispatched.of(w.t, w.stack.ledger, id)
}

// made waits for a request at the vendor.
func (w *world) made(what string) wolkvox.Request {
	w.t.Helper()
	select {
	case r := <-w.vendor.asked:
		return r
	case <-time.After(soon):
		w.t.Fatalf("%s: no request within %s", what, soon)
		return wolkvox.Request{}
	}
}

func (w *world) call(id string) ledger.Call {
	w.t.Helper()
	token, _ := ledger.SplitChainID(id)
	c, err := w.stack.ledger.Call(w.t.Context(), ledger.NoBatch, token, ledger.GivenKey("a"))
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// stateOf is the state of a chain and why it waits.
func (w *world) stateOf(id string) string {
	w.t.Helper()
	for c, err := range w.stack.ledger.Chains(w.t.Context(), []string{ledger.Tag(id)}, false) {
		if err != nil {
			w.t.Fatal(err)
		}
		if c.ID == id {
			return strings.TrimSpace(c.State + " " + c.Reason)
		}
	}
	return "idle"
}
