package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// replicated is a worker with WAIT_REPLICAS=1 on a primary with a replica. said signals its log lines with the text.
func replicated(t *testing.T, text string) (w *world, replica *redistest.Server, said chan struct{}) {
	t.Helper()
	primary, replica := redistest.Start(t), redistest.Start(t)
	replica.Follow(primary)
	said = make(chan struct{}, 1)
	w = openWorld(t, primary.URL, testKey(t), func(o *WorkerOptions) {
		o.WaitReplicas, o.RetryMin, o.RetryMax = 1, time.Millisecond, time.Millisecond
		o.Log = zerolog.New(lines{text, said})
	})
	until(t, "the replica acknowledges", func() bool {
		w.stack.acks.Probe(t.Context(), w.stack.rdb)
		_, since := w.stack.acks.Lacking()
		return since.IsZero()
	})
	return w, replica, said
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(soon):
		t.Fatalf("%s: not within %s", what, soon)
	}
}

// No request is sent before a replica has its grant. The grant is given back, and costs no attempt.
func TestNoRequestBeforeItsGrantIsAcknowledged(t *testing.T) {
	t.Parallel()
	w, replica, said := replicated(t, "too few replicas of Redis acknowledged its grant")
	id := w.append("token", "a")
	replica.Pause()
	w.begin()
	await(t, "the grant is given back", said)
	await(t, "and the next one", said)
	if n := w.vendor.made.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
	until(t, "the worker says so", func() bool {
		err := w.barred()
		return err != nil && strings.Contains(err.Error(), "WAIT_REPLICAS")
	})
	replica.Resume()
	w.made("the replica is back")
	until(t, "the call ends", func() bool { return w.stateOf(id) == "idle" })
	if c := w.call(id); c.Attempts != 1 || c.State != "succeeded" {
		t.Errorf("%+v", c)
	}
	until(t, "the worker is ready", func() bool { return w.barred() == nil })
}

// After an outcome that no replica has, the chain's next request waits for it.
func TestNoRequestBeforeTheOutcomeIsAcknowledged(t *testing.T) {
	t.Parallel()
	w, replica, said := replicated(t, "outcome is held until enough replicas have it")
	id := w.append("token", "a")
	if w.append("token", "b") != id {
		t.Fatal("another chain")
	}
	paused := false
	w.vendor.before = func() {
		if !paused {
			paused = true
			replica.Pause()
		}
	}
	w.begin()
	if err := w.stack.ledger.Signal(t.Context(), w.stack.clock.Now(), ledger.Tag(id)); err != nil {
		t.Fatal(err)
	}
	w.made("the first call")
	await(t, "its outcome is held", said)
	if n := w.vendor.made.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
	replica.Resume()
	w.made("the second call")
	until(t, "both end", func() bool { return w.stateOf(id) == "idle" })
	if n := w.vendor.made.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
	if c := w.call(id); c.Attempts != 1 || c.State != "succeeded" {
		t.Errorf("%+v", c)
	}
}

// A begin that gets no grant sends nothing, so no replica need have it. If it were sent again, its reply would be lost.
func TestDeferralCountsWithoutReplicas(t *testing.T) {
	t.Parallel()
	w, replica, _ := replicated(t, "")
	f := w.dispatch(w.append("token", "a"))
	for i := range 50 {
		w.runner.breakers.Observe("0001", fmt.Sprint("chain", i), false, false)
	}
	if err := w.runner.breakers.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	replica.Pause()
	defer replica.Resume()
	if step, err := w.runner.begin(t.Context(), f, ""); err != nil || step.Status != ledger.Deferred || step.Until.IsZero() {
		t.Errorf("%+v, %v", step, err)
	}
}
