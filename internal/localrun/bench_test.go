package localrun

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/testkit/wolkvoxtest"
)

// finished leaves the journal of a job of n calls that all succeeded, the chains in turn.
func finished(b *testing.B, c Config, n, tokens int) {
	b.Helper()
	j := start(b, c, unnamed(n, tokens))
	var calls []control.CallRecord
	for r, err := range j.world.Control.Report(b.Context(), j.head.Batch) {
		if err != nil {
			b.Fatal(err)
		}
		calls = append(calls, r)
	}
	slices.SortStableFunc(calls, func(a, b control.CallRecord) int { return strings.Compare(a.Key, b.Key) })
	now := time.Now()
	for i, r := range calls {
		a := &ledger.Attempt{
			Chain: r.Chain, Key: r.Key, Nonce: fmt.Sprint("n", i), Number: 1, Spent: 1,
			LeaseEnds: now.Add(time.Minute), Days: now.In(noon()).Format("20060102"),
		}
		end := engine.Recorded{Attempt: a, Outcome: ledger.Outcome{Kind: ledger.Done, Slot: ledger.Release, Code: "202", Msg: "enabled"}, At: now}
		for _, r := range []record{grantRecord(a, now), endRecord(end)} {
			if err := j.write(r, false); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := j.Close(); err != nil {
		b.Fatal(err)
	}
}

// A start after all was done reads the journal, enqueues the rows, restores their calls, and
// writes the results.
func BenchmarkStartAgain(b *testing.B) {
	const calls = 100_000
	for _, perToken := range []int{1, 10} {
		b.Run(fmt.Sprintf("calls=%d/token=%d", calls, perToken), func(b *testing.B) {
			c := config(newFile(b, "x"), wolkvoxtest.Start(b, wolkvoxtest.Options{}))
			finished(b, c, calls, calls/perToken)
			for b.Loop() {
				j := start(b, c, unnamed(calls, calls/perToken))
				b.StopTimer()
				if s, err := j.Status(b.Context()); err != nil || s.Succeeded != calls {
					b.Fatalf("%+v, %v", s, err)
				}
				if err := j.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/calls, "µs/call")
		})
	}
}
