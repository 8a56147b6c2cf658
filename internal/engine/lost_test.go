package engine

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
)

// Redis loses its data while a worker, a producer and another program live. From that moment on,
// nobody grants anything in any bucket for one lease, and all go on under the same token-ID key.
func TestRedisLosesItsData(t *testing.T) {
	t.Parallel()
	redistest.BothOwn(t, func(t *testing.T, b redistest.Backend) {
		for name, lose := range map[string]func() error{
			"FLUSHALL": func() error { return b.Client.FlushAll(t.Context()).Err() },
			"FLUSHDB":  func() error { return b.Client.FlushDB(t.Context()).Err() },
			"DEL": func() error {
				return b.Client.Del(t.Context(), b.Client.Keys(t.Context(), "habilita:*").Val()...).Err()
			},
		} {
			t.Run(name, func(t *testing.T) {
				if err := b.Client.FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				key := testKey(t)
				w := openWorld(t, b.URL, key, nil).closing()
				p := openProducer(t, b.Client, w.o.Options)
				limiter, err := quota.New(b.Client, w.stack.settings)
				if err != nil {
					t.Fatal(err)
				}
				token := p.TokenID("token-1")
				if d, err := limiter.Try(t.Context(), token); err != nil || !d.Granted {
					t.Fatalf("%+v, %v", d, err)
				}
				lost := time.Now()
				if err := lose(); err != nil {
					t.Fatal(err)
				}
				// At once, before anybody has looked.
				if d, err := limiter.Try(t.Context(), token); err != nil || d.Reason != quota.ReasonRestart {
					t.Errorf("another program is told %+v, %v", d, err)
				}
				if _, err := p.Enqueue(t.Context(), Call{Server: "0001", Token: "token-1", ID: "a"}); err != nil {
					t.Fatal(err)
				}
				id := ledger.ChainID(token, "")
				// The producer published it to asynq: number 1 of its bucket.
				step, err := w.stack.ledger.Begin(t.Context(), ledger.Dispatch{Chain: id, Number: "1"}, newID(), "")
				if err != nil || step.Status != ledger.Deferred || step.Reason != "restart" {
					t.Errorf("a worker is told %+v, %v", step, err)
				}
				if err := w.remember(t.Context(), false); err != nil {
					t.Fatal(err)
				}
				w.taking.Store(true)
				if err := w.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "no call is made until") {
					t.Errorf("ready: %v", err)
				}
				// A worker that starts later learns the same, and names tokens alike.
				late := openWorld(t, b.URL, key, nil).closing()
				if until := time.UnixMilli(late.stack.notBefore.Load()); until.Before(lost.Add(60 * time.Second)) {
					t.Errorf("a worker that starts then holds until %s", until)
				}
				if late.stack.tokenIDs.Name("token-1") != token {
					t.Error("a worker that starts then names tokens otherwise")
				}
				all, err := w.stack.registry.Alive(t.Context())
				if err != nil || len(all) != 3 {
					t.Errorf("members: %v, %v", all, err)
				}
				epochs, err := w.stack.ledger.LookAt(t.Context(), ledger.AllTags())
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range epochs {
					if e.Missing || e.Lost.IsZero() || e.Key != w.stack.tokenIDs.Fingerprint() {
						t.Fatalf("a bucket may be granted in: %+v", e)
					}
				}
			})
		}
	})
}

func openProducer(t *testing.T, rdb redis.UniversalClient, o Options) *Producer {
	t.Helper()
	p, err := NewProducer(t.Context(), rdb, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// If only a producer lives, one that starts after a FLUSHALL gets the same token-ID key.
func TestProducerAlonePutsTheKeyBack(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		o := Options{Keys: testKey(t), keyReturns: time.Minute}
		p := openProducer(t, b.Client, o)
		if err := b.Client.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		late := openProducer(t, b.Client, o)
		if late.TokenID("token-1") != p.TokenID("token-1") {
			t.Error("it names tokens otherwise")
		}
	})
}

// If another key is there all the same, nothing is enqueued under the old one, and the worker and the
// producer that have the old one say so. Grants under the new key wait for one lease.
func TestOtherTokenIDKey(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		key := testKey(t)
		w := openWorld(t, b.URL, key, nil).closing()
		p := &Producer{stack: w.stack} // it does not look
		if err := b.Client.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		// Like a process that starts when this one has not put its key back.
		s := &stack{rdb: b.Client, prefix: "habilita", keys: w.stack.keys, registry: w.stack.registry}
		if err := s.openKey(t.Context(), keyReturns); err != nil {
			t.Fatal(err)
		}
		s.ledger = ledger.New(b.Client, ledger.Options{Fingerprint: s.tokenIDs.Fingerprint(), Admission: ledger.Admission{Library: quota.Library()}})
		if err := s.found(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Enqueue(t.Context(), Call{Server: "0001", Token: "token-1"}); !errors.Is(err, ledger.ErrOtherKey) {
			t.Errorf("enqueue: %v", err)
		}
		if err := w.remember(t.Context(), false); !errors.Is(err, ledger.ErrOtherKey) {
			t.Errorf("worker: %v", err)
		}
		epochs, err := s.ledger.LookAt(t.Context(), []string{"aa", "77"})
		if err != nil || epochs[0].Lost.IsZero() || epochs[1].Lost.IsZero() {
			t.Errorf("%+v, %v", epochs, err)
		}
	})
}

// If only the token-ID key is gone and nobody is alive, no new one is made: the calls have names from the old one.
func TestTokenIDKeyIsGoneAndTheCallsAreNot(t *testing.T) {
	t.Parallel()
	m := redistest.Mini(t)
	o := Options{Keys: testKey(t)}
	p, err := NewProducer(t.Context(), clientOf(t, m), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	m.Del("habilita:naming")
	var lost *KeyLostError
	if _, err := NewProducer(t.Context(), clientOf(t, m), o); !errors.As(err, &lost) {
		t.Errorf("%v", err)
	}
}

// A replica took over while no worker ran. It freezes the grants even if Redis syncs every write,
// and even under another address.
func TestReplicaTookOverWhileNoWorkerWasThere(t *testing.T) {
	for name, fsync := range map[string]string{"everysec": "everysec", "always": "always"} {
		t.Run(name, func(t *testing.T) {
			args := []string{"--appendonly", "yes", "--appendfsync", fsync, "--repl-diskless-sync-delay", "0"}
			master, replica := redistest.Start(t, args...), redistest.Start(t, args...)
			key := testKey(t)
			w := openWorld(t, master.URL, key, nil)
			if err := w.remember(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			c := replica.Client()
			replica.Follow(master)
			replica.CatchUp(master)
			master.Kill()
			if err := c.Do(t.Context(), "replicaof", "no", "one").Err(); err != nil {
				t.Fatal(err)
			}
			late := openWorld(t, replica.URL, key, nil).closing()
			if late.stack.notBefore.Load() == 0 {
				t.Error("no freeze")
			}
		})
	}
}

// A Redis that syncs every write restarted while no worker ran: nothing is lost.
func TestDurableRedisRestartedWhileNoWorkerWasThere(t *testing.T) {
	s, key := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always"), testKey(t)
	w := openWorld(t, s.URL, key, nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	s.Restart()
	late := openWorld(t, s.URL, key, nil).closing()
	if until := late.stack.notBefore.Load(); until != 0 {
		t.Errorf("a freeze until %d", until)
	}
}

// Data goes back under a living process (an older file, a node that lost the rest) while its
// connections stay. The process notices, and so does a grant before anybody looks.
func TestDataThatGoesBack(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		w := openWorld(t, b.URL, testKey(t), nil).closing()
		before := b.Client.HGetAll(t.Context(), "habilita:{aa}:epoch").Val()
		if err := w.remember(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if w.stack.notBefore.Load() != 0 {
			t.Fatal("frozen with nothing lost")
		}
		if err := b.Client.HSet(t.Context(), "habilita:{aa}:epoch", "n", before["n"]).Err(); err != nil {
			t.Fatal(err)
		}
		if err := w.remember(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if w.stack.notBefore.Load() == 0 {
			t.Error("no freeze")
		}
		// The worker knows of a loss and the data does not: the grant writes it into the data.
		id := w.append("token-1", "a")
		w.stack.notBefore.Store(time.Now().Add(-time.Second).UnixMilli())
		tag := ledger.Tag(id)
		if err := b.Client.HSet(t.Context(), "habilita:{"+tag+"}:epoch", "e", 0).Err(); err != nil {
			t.Fatal(err)
		}
		step, err := w.stack.ledger.Begin(t.Context(), w.dispatch(id), newID(), "")
		if err != nil || step.Status != ledger.Running {
			t.Errorf("a freeze that is over: %+v, %v", step, err)
		}
		epochs, err := w.stack.ledger.LookAt(t.Context(), []string{tag})
		if err != nil || epochs[0].Lost.IsZero() {
			t.Errorf("the data does not know: %+v, %v", epochs, err)
		}
	})
}

// A worker that is open when the data goes says so within a second, in one line, and is not ready.
func TestWorkerSaysThatDataIsLost(t *testing.T) {
	t.Parallel()
	m := redistest.Mini(t)
	said := lines{"Redis lost what it knew of calls", make(chan struct{}, 1)}
	w := openWorld(t, "redis://"+m.Addr(), testKey(t), func(o *WorkerOptions) { o.Log = zerolog.New(said) })
	w.begin()
	m.FlushAll()
	select {
	case <-said.seen:
	case <-time.After(soon):
		t.Fatal("it says nothing")
	}
	if err := w.Ready(t.Context()); err == nil {
		t.Error("it is ready")
	}
}
