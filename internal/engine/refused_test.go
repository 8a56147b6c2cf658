package engine

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// refusal makes a Redis refuse writes until lift is called.
type refusal func(t *testing.T, s *redistest.Server, admin *redis.Client) (lift func())

var refusals = map[string]refusal{
	"full": func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
		set(t, admin, "maxmemory", "1")
		return func() { set(t, admin, "maxmemory", "0") }
	},
	// The snapshot can't be written, because a directory has its name.
	"MISCONF": func(t *testing.T, s *redistest.Server, admin *redis.Client) func() {
		if err := os.Mkdir(filepath.Join(s.Dir, "dump.rdb"), 0o700); err != nil {
			t.Fatal(err)
		}
		set(t, admin, "save", "3600 1")
		if err := admin.BgSave(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		until(t, "a write that is refused", func() bool {
			return redis.HasErrorPrefix(admin.Set(t.Context(), "probe", "1", 0).Err(), "MISCONF")
		})
		return func() { set(t, admin, "stop-writes-on-bgsave-error", "no") }
	},
	"BUSY": func(t *testing.T, s *redistest.Server, admin *redis.Client) func() {
		set(t, admin, "busy-reply-threshold", "50")
		ended := make(chan struct{})
		busy := redis.NewClient(&redis.Options{Addr: s.Addr, ReadTimeout: -1, MaxRetries: -1})
		go func() {
			defer close(ended)
			_ = busy.Eval(context.Background(), "while true do end", nil).Err()
			_ = busy.Close()
		}()
		until(t, "a Redis that is busy", func() bool { return redis.HasErrorPrefix(admin.Ping(t.Context()).Err(), "BUSY") })
		return func() {
			if err := admin.ScriptKill(t.Context()).Err(); err != nil {
				t.Error(err)
			}
			<-ended
		}
	},
	"READONLY": func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
		become := func(host, port string) {
			if err := admin.ReplicaOf(t.Context(), host, port).Err(); err != nil {
				t.Error(err)
			}
		}
		become("127.0.0.1", "1")
		return func() { become("NO", "ONE") }
	},
}

func set(t *testing.T, admin *redis.Client, name, value string) {
	t.Helper()
	if err := admin.ConfigSet(t.Context(), name, value).Err(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// until waits for what must come.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(soon); !is(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, soon)
		}
		wait(t.Context(), 10*time.Millisecond)
	}
}

// Redis let a living worker record nothing until after its lease. Then the worker records its
// outcome before another one takes the call for lost. So the call is not made again.
func TestOutcomeOutlivesARedisThatRefusesWrites(t *testing.T) {
	t.Parallel()
	for name, refuse := range refusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			key := testKey(t)
			short := func(o *WorkerOptions) {
				o.CallTimeout, o.VendorTimeout, o.SlotMargin = time.Second, time.Second, 500*time.Millisecond
				o.ReconcileInterval = 50 * time.Millisecond
			}
			one := openWorld(t, s.URL, key, short)
			asked, answer := make(chan struct{}), make(chan struct{})
			one.vendor.before = func() { close(asked); <-answer }
			one.begin()
			id := one.append("token-1", "a")
			<-asked
			other := openWorld(t, s.URL, key, short)
			other.begin()

			admin := s.Client()
			lift := refuse(t, s, admin)
			close(answer)
			one.made("the call")
			if name == "full" {
				until(t, "an outcome at a full Redis", func() bool { return one.call(id).State == ledger.StateSucceeded })
			}
			// Redis refuses writes until the lease has ended, by far.
			wait(t.Context(), one.stack.settings.Lease+500*time.Millisecond)
			lift()
			until(t, "the call's end", func() bool { return !one.call(id).State.Open() })
			if c := one.call(id); c.State != ledger.StateSucceeded || c.Attempts != 1 {
				t.Errorf("the call is %s after %d attempts, want succeeded after 1", c.State, c.Attempts)
			}
			if n := other.vendor.made.Load(); n != 0 {
				t.Errorf("the other worker made the answered call %d times", n)
			}
		})
	}
}

// redisError is an error that Redis answered with.
type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

// If Redis calls the command an error, persist gives up after some time, since the chain may be
// beyond repair. If the error says that Redis is not well now, persist tries until the worker ends.
func TestPersist(t *testing.T) {
	const broken, patience = time.Minute, 10 * time.Minute
	for text, want := range map[string]time.Duration{
		"ERR Error running script: -MISCONF":                                                 broken, // as a Redis before 7 says it
		"ERR Error running script: -OOM command not allowed when used memory > 'maxmemory'.": patience,
		"ERR max number of clients reached":                                                  broken,
		"WRONGTYPE":                                                                          broken,
		"MISCONF":                                                                            patience,
		"OOM command not allowed":                                                            patience,
		"BUSY":                                                                               patience,
		"READONLY":                                                                           patience,
		"CLUSTERDOWN":                                                                        patience,
	} {
		t.Run(text, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				began := time.Now()
				if err := persist(ctx, recordEvery, broken, func() error { return redisError(text) }); err != redisError(text) {
					t.Error(err)
				}
				if took := time.Since(began); took < want || took > want+2*recordEvery {
					t.Errorf("it was tried for %s, want %s", took, want)
				}
			})
		})
	}
}
