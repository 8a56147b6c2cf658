package consoletest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"

	"habilita/internal/engine"
	"habilita/internal/testkit/wolkvoxtest"
)

// Patience is how long to wait for what must come, on a machine that is busy with other things.
const Patience = 60 * time.Second

// Start opens a stage that closes with the test.
func Start(t testing.TB, o Options) *Stage {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("the end of the stage: %v", err)
		}
	})
	return s
}

// Pages are the paths of all pages. Those of a batch are of one called "one".
func Pages() []string {
	return []string{"/", "/batches/one", "/chains", "/chains?show=all", "/tokens", "/workers", "/schedules", "/servers", "/actions",
		"/decide?do=cancel&batch=one", "/nowhere"}
}

// Strict is a vendor that refuses tokens that begin with bad-, and fails those that
// begin with down-.
func Strict() wolkvoxtest.Options {
	return wolkvoxtest.Options{
		TokenInfo: func(token string) (wolkvoxtest.Token, bool) {
			return wolkvoxtest.Token{Licenses: 1, Bad: strings.HasPrefix(token, "bad-")}, true
		},
		Script: func(r wolkvoxtest.Record) wolkvoxtest.Fault {
			if strings.HasPrefix(r.Token, "down-") {
				return wolkvoxtest.Fault{Kind: wolkvoxtest.Status503}
			}
			return wolkvoxtest.Fault{}
		},
	}
}

// Enqueue enqueues n calls of a token, with the refs "ref 0" and so on.
func (s *Stage) Enqueue(t testing.TB, batch, token string, n int) {
	t.Helper()
	_, err := s.Producer.EnqueueBatch(t.Context(), batch, func(yield func(engine.Call, error) bool) {
		for i := range n {
			if !yield(engine.Call{Server: "0001", Token: engine.Token(token), Ref: fmt.Sprint("ref ", i)}, nil) {
				return
			}
		}
	}, engine.BatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// Settled waits until nothing more happens to a batch without a person.
func (s *Stage) Settled(t testing.TB, batch string) control.Status {
	t.Helper()
	status, err := s.Control.WaitSettled(t.Context(), batch, Patience)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// Entry makes an entry of the audit log.
func Entry(who string) control.AuditEntry {
	return control.AuditEntry{Who: who, Via: control.ByCLI, Action: "retry", Target: "batch " + who, Result: "failed after 0 chains: " + who}
}
