package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/membership"
	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
)

// A program's own requests and those of the workers share names, slots, counts and settings.
func TestLimiterSharesWithAWorker(t *testing.T) {
	t.Parallel()
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		key := testKey(t)
		let, ended, arrived := make(chan struct{}), make(chan struct{}, 8), make(chan struct{}, 8)
		w := openWorld(t, b.URL, key, func(o *WorkerOptions) {
			o.AfterOutcome = func(Recorded) { ended <- struct{}{} }
			o.Quota.Slots, o.CallTimeout, o.Quota.DefaultLicenses = 1, 90*time.Second, 3
		})
		w.vendor.before = func() { arrived <- struct{}{}; <-let }
		w.begin()
		// The zone of a test has no name that can be loaded, and its guard is its own.
		o := Options{Keys: key, Quota: quota.Settings{Location: w.o.Quota.Location, Guard: w.o.Quota.Guard, DefaultLicenses: 3}}
		p, err := NewProducer(t.Context(), b.Client, o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		s, err := p.Limits(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := p.Limits(t.Context()); again != s {
			t.Error("other limits")
		}
		limiter, err := quota.New(b.Client, s)
		if err != nil {
			t.Fatal(err)
		}
		if s.Slots != 1 || s.Lease != 95*time.Second || s.DefaultLicenses != 3 {
			t.Errorf("settings %+v are not the worker's", s)
		}
		const token = Token("tok")
		name := p.TokenID(token)
		// The worker's request holds the slot.
		if _, err := p.Enqueue(t.Context(), Call{Server: "1", Token: token}); err != nil {
			t.Fatal(err)
		}
		<-arrived
		if d, err := limiter.Try(t.Context(), name); err != nil || d.Reason != quota.ReasonSlots {
			t.Fatalf("beside the worker's request: %+v, %v", d, err)
		}
		// The program waits for it, and the worker's answer wakes it, long before the lease would end.
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		var grant quota.Grant
		acquired := make(chan error, 1)
		go func() {
			var err error
			grant, err = limiter.Acquire(ctx, name)
			acquired <- err
		}()
		for waits := int64(0); waits == 0; {
			if waits, err = b.Client.ZCard(ctx, w.stack.prefix+":{"+name[:2]+"}:waiters:"+name).Result(); err != nil {
				t.Fatal(err)
			}
		}
		let <- struct{}{}
		w.made("the worker's call")
		<-ended
		// Its request is counted with the worker's.
		err = <-acquired
		if err != nil || grant.Used != 2 || grant.Limit != 3000 {
			t.Fatalf("%+v, %v", grant, err)
		}
		// And the program's request keeps the slot from the worker.
		r, err := p.Enqueue(t.Context(), Call{Server: "1", Token: token})
		if err != nil {
			t.Fatal(err)
		}
		for until := time.Now().Add(soon); w.stateOf(r.Chain) != "waiting slots" && time.Now().Before(until); {
			if w.vendor.made.Load() > 1 {
				t.Fatal("two requests in flight for a token with one slot")
			}
			if _, err := limiter.Peek(t.Context(), name); err != nil {
				t.Fatal(err)
			}
		}
		if s := w.stateOf(r.Chain); s != "waiting slots" {
			t.Errorf("the worker's chain is %q", s)
		}
		close(let)

		// Settings that are asked for must be those of the others.
		o.Quota.Slots = 2
		q, err := NewProducer(t.Context(), b.Client, o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = q.Close() }()
		var differs *membership.MismatchError
		if _, err := q.Limits(t.Context()); !errors.As(err, &differs) || differs.Differences[0].Name != settingSlots {
			t.Errorf("two slots beside a worker with one: %v", err)
		}
		q.asked = quota.Settings{Lease: time.Minute, Location: w.o.Quota.Location, Guard: w.o.Quota.Guard}
		if _, err := q.Limits(t.Context()); err == nil {
			t.Error("a lease of its own")
		}
	})
}

// Without a worker the limits are the defaults, and a worker that starts later must have them too.
func TestLimiterBeforeTheWorkers(t *testing.T) {
	m := redistest.Mini(t)
	key := testKey(t)
	p, err := NewProducer(t.Context(), redis.NewClient(&redis.Options{Addr: m.Addr()}), Options{Keys: key})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	s, err := p.Limits(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Slots != 2 || s.Lease != 65*time.Second || s.Location.String() != quota.DefaultLocation {
		t.Errorf("%+v", s)
	}
	_, err = NewWorker(t.Context(), WorkerOptions{Options: Options{Keys: key}, RedisURL: "redis://" + m.Addr(), VendorTimeout: 2 * time.Minute})
	var differs *membership.MismatchError
	if !errors.As(err, &differs) {
		t.Errorf("a worker with another lease: %v", err)
	}
}
