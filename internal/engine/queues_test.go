package engine

import (
	"slices"
	"testing"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

func TestHashSlot(t *testing.T) {
	if got := hashSlot("123456789"); got != 0x31C3 {
		t.Errorf("%#x", got)
	}
	c := redistest.Start(t, "--cluster-enabled", "yes").Client()
	for _, name := range queueNames("habilita", 8) {
		if want, err := c.ClusterKeySlot(t.Context(), "asynq:{"+name+"}:pending").Result(); err != nil || int(want) != hashSlot(name) {
			t.Errorf("%s: %d, want %d, %v", name, hashSlot(name), want, err)
		}
	}
}

// More queues leave the names of the others as they are, and every master has about the same number.
func TestQueueNames(t *testing.T) {
	all := queueNames("habilita", MaxQueues)
	if all[0] != "habilita" || len(all) != MaxQueues {
		t.Fatal(all)
	}
	for n := 1; n <= MaxQueues; n++ {
		names := queueNames("habilita", n)
		if !slices.Equal(names, all[:n]) {
			t.Fatalf("%d: %v", n, names)
		}
		for _, masters := range []int{3, 6} {
			has := make([]int, masters)
			for _, name := range names {
				has[hashSlot(name)*masters/clusterSlots]++
			}
			if slices.Max(has) > n/masters+2 {
				t.Errorf("%d queues at %d masters: %v", n, masters, has)
			}
		}
	}
	of := map[string]int{}
	for i := range ledger.Buckets {
		of[queueOf(all[:16], ledger.TagAt(i)+"aaaaaaaaaaaaaaaaaaaaaa")]++
	}
	for name, n := range of {
		if n != ledger.Buckets/16 {
			t.Errorf("%s has %d buckets", name, n)
		}
	}
}

// A worker takes tasks from queues of others that have more queues than it, or fewer. So the number may be raised and
// lowered while tasks wait.
func TestNumberOfQueuesChanges(t *testing.T) {
	for name, c := range map[string]struct{ before, after int }{"raised": {1, 8}, "lowered": {8, 1}} {
		t.Run(name, func(t *testing.T) {
			redistest.Both(t, func(t *testing.T, b redistest.Backend) {
				key := testKey(t)
				first := openWorld(t, b.URL, key, func(o *WorkerOptions) { o.Queues = c.before })
				var chains []string
				used := map[string]bool{}
				for _, token := range []string{"one", "two", "three", "four", "five", "six"} {
					id := first.append(token, "a")
					first.runner.publish(t.Context(), first.dispatch(id))
					chains = append(chains, id)
					used[queueOf(first.stack.queues, id)] = true
				}
				if len(used) < min(2, c.before) {
					t.Fatalf("one queue has all: %v", used)
				}
				if err := first.Close(); err != nil {
					t.Fatal(err)
				}
				w := openWorld(t, b.URL, key, func(o *WorkerOptions) { o.Queues = c.after })
				w.begin()
				for range chains {
					w.made("a task of an older queue")
				}
				// Each call was made because its task was taken, not because it was dispatched again as if lost.
				for name := range used {
					if !slices.Contains(w.consumes, name) {
						t.Errorf("nobody takes from %s, only from %v", name, w.consumes)
					}
				}
			})
		})
	}
}

// A program with another prefix shares nothing with the workers: they don't take its tasks either.
func TestAnotherPrefixHasAnotherQueue(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		p, err := NewProducer(t.Context(), b.Client, Options{Keys: testKey(t), Prefix: "other"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		if _, err := p.Enqueue(t.Context(), Call{Server: "1", Token: "tok"}); err != nil {
			t.Fatal(err)
		}
		if n := b.Client.LLen(t.Context(), "asynq:{other}:pending").Val(); n != 1 {
			t.Errorf("%d tasks in its own queue", n)
		}
	})
}
