package engine

import (
	"fmt"
	"testing"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// The places of a worker are shared among all buckets that are ready. So each bucket has chains left
// with which the runs of its first ones go on.
func TestPlacesAreSharedAmongAllBuckets(t *testing.T) {
	const buckets, each, places = 128, 6, 250
	w := openWorld(t, redistest.Start(t).URL, testKey(t), func(o *WorkerOptions) { o.Concurrency = places }).closing()
	var tags []string
	for b := range buckets {
		tag := ledger.TagAt(b * ledger.Buckets / buckets)
		tags = append(tags, tag)
		var calls []ledger.NewCall
		for i := range each {
			token := tag + "aaaaaaaaaaaaaaaaaaaaa" + string(rune('a'+i))
			calls = append(calls, ledger.NewCall{Token: token, Key: ledger.GivenKey(fmt.Sprint(i)), Server: "0001", Sealed: "sealed"})
		}
		if _, err := w.stack.ledger.Append(t.Context(), ledger.Append{Batch: "b", Policy: "hold", Calls: calls}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.stack.ledger.Signal(t.Context(), w.stack.clock.Now(), tags...); err != nil {
		t.Fatal(err)
	}
	go w.dispatcher.run(t.Context())
	until(t, "no place is left", func() bool { return w.dispatcher.free() <= 0 })
	all, err := w.stack.ledger.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != buckets {
		t.Errorf("%d buckets have chains, want %d", len(all), buckets)
	}
	for _, b := range all {
		if most := (places+minAhead+buckets-1)/buckets + 1; b.Ready < each-most {
			t.Errorf("bucket %s: %d of %d chains are left", b.Tag, b.Ready, each)
		}
	}
}
