package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"habilita/internal/ledger"
)

// named is a call of the nth token of a bucket.
func named(bucket, n int) *ledger.NewCall {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	name := []byte(ledger.TagAt(bucket) + "aaaaaaaaaaaaaaaaaaaaaa")
	for i := len(name) - 1; n > 0; i-- {
		name[i] = letters[n%32]
		n /= 32
	}
	return &ledger.NewCall{Token: string(name), Key: ledger.UniqueKey("0"), Server: "0001", Sealed: "sealed"}
}

func noIndex(context.Context, []ledger.Given) error { return nil }

func countNew(_ *group, r ledger.Received, to *receipts) { to.landed[ledger.Fresh] += len(r.Landings) }

func noHint(context.Context, []string) {}

// counted is a deliver that says that everything was added.
func counted(pipeline []*group) ledger.Appended {
	var done ledger.Appended
	for _, g := range pipeline {
		done.Received = append(done.Received, ledger.Received{Landings: strings.Repeat("n", g.Len())})
	}
	return done
}

// A producer whose Redis does not answer takes no more rows than it has room for.
func TestBatcherIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		answer := make(chan struct{})
		g := newBatcher(ctx, "b", noIndex, func(_ context.Context, pipeline []*group, _ []string) (ledger.Appended, error) {
			<-answer
			return counted(pipeline), nil
		}, noHint, countNew)
		var taken atomic.Int64
		var enqueueing sync.WaitGroup
		enqueueing.Go(func() {
			for i := range 1_000_000 {
				if ctx.Err() != nil || g.add(named(i*7%ledger.Buckets, i), "", nil) != nil {
					return
				}
				taken.Add(1)
			}
		})
		synctest.Wait() // until nothing goes on any more
		const bound = perRuns*ledger.Buckets + shards*(shardQueue+perPipeline+1)*perRuns
		if n := taken.Load(); n == 0 || n > bound {
			t.Errorf("%d calls were taken, the bound is %d", n, bound)
		}
		cancel()
		close(answer)
		enqueueing.Wait()
		if err := g.finish(true, func() {}); err != nil {
			t.Error(err)
		}
	})
}

// A bucket's next group goes out when the one before was acknowledged, and nothing goes
// out after a failure. So a chain has no gap.
func TestBatcherKeepsTheOrder(t *testing.T) {
	const perBucket, buckets, failing = 10 * perGroup, 40, 3
	for _, sent := range []int{1, 2, 7, 1 << 30} {
		t.Run(fmt.Sprint(sent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				under, arrived, made := map[string]bool{}, map[string]int{}, 0
				lost := errors.New("lost")
				g := newBatcher(t.Context(), "b", noIndex, func(_ context.Context, pipeline []*group, _ []string) (ledger.Appended, error) {
					mu.Lock()
					if made++; made > sent {
						mu.Unlock()
						return ledger.Appended{}, lost
					}
					for _, group := range pipeline {
						if under[group.Tag()] {
							t.Errorf("two groups of %s are under way", group.Tag())
						}
						under[group.Tag()] = true
					}
					mu.Unlock()
					<-time.After(time.Duration(len(pipeline)) * time.Millisecond) // simulated
					mu.Lock()
					defer mu.Unlock()
					for _, group := range pipeline {
						under[group.Tag()] = false
						arrived[group.Tag()] += group.Len()
					}
					return counted(pipeline), nil
				}, noHint, countNew)
				var err error
				for i := 0; i < perBucket*buckets && err == nil; i++ {
					bucket := i % buckets // by turns, then many of a bucket one after the other
					if i > perBucket*buckets/2 {
						bucket = i / (3 * perGroup) % buckets
					}
					err = g.add(named(bucket, i), "", nil)
				}
				err = errors.Join(err, g.finish(false, func() {}))
				if sent < 1<<20 {
					if !errors.Is(err, lost) {
						t.Errorf("got %v", err)
					}
					if made > sent+shards {
						t.Errorf("%d pipelines went out after a failure", made-sent)
					}
				} else if err != nil {
					t.Error(err)
				}
				sum := 0
				for _, n := range arrived {
					sum += n
				}
				if added := g.acknowledged().landed[ledger.Fresh]; added != sum || (sent == 1<<30) != (sum == perBucket*buckets) {
					t.Errorf("%d acknowledged, %d arrived", added, sum)
				}
			})
		})
	}
}

// What a slow source gave does not wait for its bucket to fill.
func TestBatcherSendsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		indexed := false
		g := newBatcher(t.Context(), "b", func(_ context.Context, given []ledger.Given) error {
			indexed = len(given) == 1 && given[0].ID == "id" && sent.Load() == 0
			return nil
		}, func(_ context.Context, pipeline []*group, _ []string) (ledger.Appended, error) {
			sent.Add(int64(len(pipeline)))
			return counted(pipeline), nil
		}, noHint, countNew)
		stop := Every(t.Context(), patience, g.hurry)
		for i, id := range []string{"id", ""} { // the second waits behind the first
			if err := g.add(named(i, i), id, nil); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if sent.Load() != 0 {
			t.Error("a group of one call went out at once")
		}
		<-time.After(patience + time.Millisecond) // simulated
		synctest.Wait()
		if sent.Load() != 2 || !indexed {
			t.Errorf("%d groups went out; indexed before: %v", sent.Load(), indexed)
		}
		stop()
		if err := g.finish(false, func() {}); err != nil {
			t.Error(err)
		}
	})
}

// A fast source's groups fill before they go, but none waits for two ticks.
func TestBatcherLetsGroupsFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		g := newBatcher(t.Context(), "b", noIndex, func(_ context.Context, pipeline []*group, _ []string) (ledger.Appended, error) {
			sent.Add(int64(len(pipeline)))
			return counted(pipeline), nil
		}, noHint, countNew)
		g.calls = earlyCalls
		stop := Every(t.Context(), patience, g.hurry)
		tick := func(want int64, why string) {
			t.Helper()
			<-time.After(patience + time.Millisecond) // simulated
			synctest.Wait()
			if got := sent.Swap(0); got != want {
				t.Errorf("%s: %d groups went out, want %d", why, got, want)
			}
		}
		const buckets = 256 // each gets too few calls to go before a tick
		give := func(first, calls int) {
			for i := range calls {
				if err := g.add(named(first+i%buckets, i), "", nil); err != nil {
					t.Error(err)
				}
			}
		}
		give(1, 1)
		give(100, slow)
		tick(0, "the first tick of a fast source")
		give(500, slow)
		tick(1+buckets, "the second")
		give(3, 1)
		tick(buckets+1, "a tick of a slow source")
		stop()
		if err := g.finish(false, func() {}); err != nil {
			t.Error(err)
		}
	})
}

// The first groups do not wait until they are full while their shard has nothing else to do.
func TestBatcherBeginsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent, answer := make(chan int, 8), make(chan struct{})
		g := newBatcher(t.Context(), "b", noIndex, func(_ context.Context, pipeline []*group, _ []string) (ledger.Appended, error) {
			for _, into := range pipeline {
				sent <- into.Len()
			}
			<-answer
			return counted(pipeline), nil
		}, noHint, countNew)
		give := func(bucket, calls int) {
			for i := range calls {
				if err := g.add(named(bucket*shards, i), "", nil); err != nil {
					t.Error(err)
				}
			}
			synctest.Wait()
		}
		give(1, perRuns/earlyPart-1)
		if len(sent) != 0 {
			t.Error("a group went out before it had its part")
		}
		give(1, 1)
		give(2, perRuns/earlyPart) // waits for the shard
		give(3, perRuns-1)         // waits to be full, since another waits
		if n := <-sent; n != perRuns/earlyPart || len(sent) != 0 {
			t.Errorf("a group of %d calls went out, and %d more", n, len(sent))
		}
		answer <- struct{}{}
		if n := <-sent; n != perRuns/earlyPart || len(sent) != 0 {
			t.Errorf("then a group of %d calls went out, and %d more", n, len(sent))
		}
		g.calls = earlyCalls
		answer <- struct{}{}
		give(3, 1)
		if n := <-sent; n != perRuns {
			t.Errorf("at last a group of %d calls went out, want %d", n, perRuns)
		}
		close(answer)
		if err := g.finish(false, func() {}); err != nil {
			t.Error(err)
		}
	})
}

// A round trip has several small groups, or a large one.
func TestBatcherBoundsPipelines(t *testing.T) {
	small, large := new(group), new(group)
	for i := range perRuns / 2 {
		if err := errors.Join(small.Add(named(1, i)), large.Add(named(2, i)), large.Add(named(2, perRuns+i))); err != nil {
			t.Fatal(err)
		}
	}
	other := new(group)
	if err := other.Add(named(1, perRuns)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		pipeline []*group
		more     *group
		want     bool
		why      string
	}{
		{nil, large, true, "a large one alone"},
		{[]*group{small}, large, false, "a large one after another"},
		{[]*group{small}, other, false, "two of a bucket"},
		{[]*group{other}, small, false, "the same the other way round"},
	} {
		if got := fits(c.pipeline, c.more); got != c.want {
			t.Errorf("%s: %t", c.why, got)
		}
	}
	third := new(group)
	for i := range perRuns / 2 {
		if err := third.Add(named(3, i)); err != nil {
			t.Fatal(err)
		}
	}
	if !fits([]*group{small}, third) || fits([]*group{small, third}, other) {
		t.Error("two small ones fit, and nothing beside them")
	}
}

// A group has few enough calls and runs for its script to be short.
func TestBatcherBoundsGroups(t *testing.T) {
	for name, c := range map[string]struct{ each, calls int }{
		"one call for each token": {1, perRuns},
		"three":                   {3, perGroup},
		"one token":               {1000, perGroup},
	} {
		t.Run(name, func(t *testing.T) {
			var calls, runs atomic.Int64
			given := make(chan struct{})
			g := newBatcher(t.Context(), "b", noIndex, func(_ context.Context, pipeline []*group, _ []string) (ledger.Appended, error) {
				<-given // groups wait, and so fill
				for _, into := range pipeline {
					calls.Store(max(calls.Load(), int64(into.Len())))
					runs.Store(max(runs.Load(), int64(into.Runs())))
				}
				return counted(pipeline), nil
			}, noHint, countNew)
			g.calls = earlyCalls
			for i := range 4 * perGroup {
				call := named(1, i/c.each)
				call.Key = ledger.UniqueKey(strconv.Itoa(i))
				if err := g.add(call, "", nil); err != nil {
					t.Error(err)
				}
			}
			close(given)
			if err := g.finish(false, func() {}); err != nil {
				t.Error(err)
			}
			if calls.Load() != int64(c.calls) || runs.Load() > perRuns {
				t.Errorf("up to %d calls of %d runs, want %d of at most %d", calls.Load(), runs.Load(), c.calls, perRuns)
			}
		})
	}
}

// A call whose id could not be indexed is not appended.
func TestBatcherIndexesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("lost")
		g := newBatcher(t.Context(), "b", func(context.Context, []ledger.Given) error { return lost },
			func(_ context.Context, pipeline []*group, _ []string) (ledger.Appended, error) {
				t.Error("a group went out")
				return counted(pipeline), nil
			}, noHint, countNew)
		for i := range 3 {
			_ = g.add(named(i, i), "id", nil)
		}
		if err := g.finish(false, func() {}); !errors.Is(err, lost) {
			t.Errorf("got %v", err)
		}
	})
}
