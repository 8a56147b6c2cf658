package membership_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/membership"
	"habilita/internal/testkit/redistest"
	"habilita/internal/version"
)

func TestTwoWithTheSameSettings(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		a := w.join("a", membership.Settings{"TOKEN_SLOTS": "2", "LEASE": "1m5s"})
		w.join("b", membership.Settings{"LEASE": "1m5s", "TOKEN_SLOTS": "2"})
		w.join("a", membership.Settings{"TOKEN_SLOTS": "2", "LEASE": "1m5s"}) // again
		w.alive("a", "b")
		if !a.Current() {
			t.Error("not current")
		}
		all, err := w.Alive(t.Context())
		if err != nil || !reflect.DeepEqual(all[0], process("a")) {
			t.Errorf("alive has %v (%v)", all, err)
		}
	})
}

func TestOneThatDiffers(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		w.join("a", membership.Settings{"TOKEN_SLOTS": "2", "LEASE": "1m5s", "QUOTA_TIMEZONE": "UTC"})
		w.join("b", membership.Settings{"LEASE": "1m5s"})
		e := w.differs("c", membership.Settings{"TOKEN_SLOTS": "1", "LEASE": "65s", "QUOTA_TIMEZONE": "UTC", "NEW": "x"})
		want := []membership.Difference{{Name: "LEASE", Mine: "65s", Theirs: "1m5s"}, {Name: "TOKEN_SLOTS", Mine: "1", Theirs: "2"}}
		if !slices.Equal(e.Differences, want) || len(e.With) != 2 || !reflect.DeepEqual(e.With[0], process("a")) {
			t.Errorf("got %+v", e)
		}
		for _, part := range []string{`LEASE is "65s" here and "1m5s" there`, "worker on web-1, pid 12, since 2026-11-23T08:00:00Z",
			"with their values", "stop all that use them first", "20s"} {
			if !strings.Contains(e.Error(), part) {
				t.Errorf("no %q in: %v", part, e)
			}
		}
		w.alive("a", "b")
		w.join("d", membership.Settings{"NEW": "y"}) // nothing of the refused one stayed
	})
}

func TestSubsets(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		w.join("worker", membership.Settings{"NAMING_KEY": "f1", "LEASE": "65s"})
		w.join("producer", membership.Settings{"NAMING_KEY": "f1"})
		w.join("other", nil)
		w.differs("producer 2", membership.Settings{"NAMING_KEY": "f2"})
		w.join("producer 3", membership.Settings{"NAMING_KEY": "f1", "RETENTION": "720h"})
		w.differs("worker 2", membership.Settings{"NAMING_KEY": "f1", "RETENTION": "1h"})
	})
}

func TestChangeAfterAllLeft(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		one, two := membership.Settings{"SLOTS": "1", "KEY": "f"}, membership.Settings{"SLOTS": "2", "KEY": "f"}
		a, b := w.join("a", one), w.join("b", one)
		w.join("p", membership.Settings{"KEY": "f"}) // uses none of what changes
		for _, m := range []*membership.Membership{a, b} {
			w.differs("c", two)
			if err := m.Leave(t.Context()); err != nil {
				t.Fatal(err)
			}
			if m.Current() {
				t.Error("still current after Leave")
			}
		}
		w.join("c", two)
		w.differs("a", one)
		w.alive("c", "p")
		if err := b.Leave(t.Context()); err != nil { // twice
			t.Fatal(err)
		}
		w.alive("c", "p")
	})
}

func TestCrashIsForgottenAfterTTL(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		w.join("crashed", membership.Settings{"SLOTS": "1"})
		w.pass(membership.TTL - 10*time.Second)
		w.differs("b", membership.Settings{"SLOTS": "2"})
		w.alive("crashed")
		if w.b.SetTime != nil { // to the millisecond
			w.pass(membership.TTL - time.Millisecond)
			w.differs("b", membership.Settings{"SLOTS": "2"})
		}
		w.pass(membership.TTL)
		w.alive()
		w.join("b", membership.Settings{"SLOTS": "2"})
		w.differs("crashed", membership.Settings{"SLOTS": "1"})
		w.alive("b")
		if n := w.b.Client.HLen(t.Context(), "habilita:{agreement}:processes").Val(); n != 1 {
			t.Errorf("%d records are kept, want 1", n)
		}
	})
}

func TestRaceHasOneWinner(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		const values, each = 8, 4
		var mu sync.Mutex
		won := map[string]int{}
		var all sync.WaitGroup
		gun := make(chan struct{})
		for i := range values * each {
			all.Go(func() {
				<-gun
				value := fmt.Sprint(i % values)
				_, err := w.Join(t.Context(), process(fmt.Sprint(i)), membership.Settings{"SLOTS": value})
				var e *membership.MismatchError
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won[value]++
				} else if !errors.As(err, &e) {
					t.Error(err)
				}
			})
		}
		close(gun)
		all.Wait()
		if got := slices.Collect(maps.Values(won)); !slices.Equal(got, []int{each}) {
			t.Errorf("winners by value: %v, want all %d of one", won, each)
		}
	})
}

func TestFailsClosed(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		w.join("a", membership.Settings{"SLOTS": "1"})
		if err := w.b.Client.HSet(t.Context(), "habilita:{agreement}:processes", "a", "nonsense").Err(); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Join(t.Context(), process("b"), membership.Settings{"SLOTS": "1"}); err == nil {
			t.Error("joined though a record can't be read")
		}
		if _, err := w.Alive(t.Context()); err == nil {
			t.Error("listed a record that can't be read")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.Join(ctx, process("b"), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// If Redis is full, workers go on and can start, so their membership does not lapse.
func TestFullRedis(t *testing.T) {
	redistest.BothOwn(t, on(func(t *testing.T, w world) {
		if w.b.SetTime != nil {
			t.Skip("miniredis is never full")
		}
		m := w.join("a", membership.Settings{"SLOTS": "1"})
		if err := w.b.Client.ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
			t.Fatal(err)
		}
		if err := m.Renew(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := w.Join(t.Context(), process("b"), membership.Settings{"SLOTS": "1"}); err != nil {
			t.Error(err)
		}
	}))
}

func TestKeysShareOneSlot(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		w.join("a", membership.Settings{"SLOTS": "1"})
		keys := w.b.Client.Keys(t.Context(), "*").Val()
		slices.Sort(keys)
		if !slices.Equal(keys, []string{"habilita:{agreement}:alive", "habilita:{agreement}:processes"}) {
			t.Errorf("keys are %v", keys)
		}
		for _, k := range keys {
			if ttl := w.b.Client.PTTL(t.Context(), k).Val(); ttl != -1 {
				t.Errorf("%s may be evicted: it lives for %v", k, ttl)
			}
		}
	})
}

func TestSelf(t *testing.T) {
	p, q := membership.Self(membership.Worker), membership.Self(membership.Worker)
	if p.ID == "" || p.ID == q.ID || p.Host == "" || p.PID == 0 || p.Kind != membership.Worker || p.Version != version.Short() || time.Since(p.Started) > time.Minute {
		t.Errorf("got %+v", p)
	}
}

// A Redis that others use is new to a process of another prefix or database.
func TestUsedIsOfThePrefixAndDatabase(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		elsewhere := redis.NewClient(&redis.Options{Addr: b.Addr, DB: b.DB + 1})
		t.Cleanup(func() { _ = elsewhere.Close() })
		one := membership.New(b.Client, "one")
		if _, err := one.Alive(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, c := range []struct {
			of   *membership.Registry
			want bool
		}{{one, true}, {membership.New(b.Client, "one"), true}, {membership.New(b.Client, "two"), false}, {membership.New(elsewhere, "one"), false}} {
			if used, err := c.of.Used(t.Context()); err != nil || used != c.want {
				t.Errorf("%d: used is %t, %v, want %t", i, used, err, c.want)
			}
		}
	})
}

// A worker gives up the calls that it can't open. So nobody seals under a key that a worker lacks, and a new key goes behind
// the old one first.
func TestSealingKeys(t *testing.T) {
	both(t, func(t *testing.T, w world) {
		of := func(id, kind string, keys ...string) membership.Process {
			p := process(id)
			p.Kind, p.Keys = kind, keys
			return p
		}
		join := func(p membership.Process) error {
			_, err := w.Join(t.Context(), p, membership.Settings{})
			return err
		}
		for _, p := range []membership.Process{
			of("old", membership.Worker, "k1"), of("call", membership.Producer, "k1"), of("silent", membership.Worker), // of an older version
		} {
			if err := join(p); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range []membership.Process{
			of("c", membership.Producer, "k2", "k1"), of("d", membership.Worker, "k2", "k1"), of("e", membership.Worker, "k2"),
		} {
			e, differs := errors.AsType[*membership.MismatchError](join(p))
			if !differs || len(e.With) == 0 || e.With[0].ID == "silent" || !strings.Contains(e.Error(), `HABILITA_KEYS is "k2`) ||
				!strings.Contains(e.Error(), "in front") {
				t.Errorf("%s %q: %v", p.Kind, p.Keys, e)
			}
			w.alive("call", "old", "silent")
		}
		// A producer opens nothing, so it needs no key but its own.
		if err := errors.Join(join(of("f", membership.Producer, "k1")), join(of("old", membership.Worker, "k1", "k2")),
			join(of("g", membership.Producer, "k2"))); err != nil {
			t.Error(err)
		}
		if _, differs := errors.AsType[*membership.MismatchError](join(of("h", membership.Worker, "k1"))); !differs {
			t.Error("a worker joined that lacks the key of a producer")
		}
	})
}
