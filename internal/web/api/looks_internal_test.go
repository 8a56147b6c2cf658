package api

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/web/guard"
	"habilita/internal/web/hub"
)

// thing is what these tests wait for, and counts its looks.
type thing struct {
	mu      sync.Mutex
	looks   int
	settled bool
	err     error
}

func (x *thing) set(settled bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.settled, x.err = settled, err
}

func (x *thing) topic() hub.Topic {
	return hub.Topic{Key: "x", Read: func(context.Context) (any, error) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.looks++
		return look[bool]{x.settled, x.settled}, x.err
	}}
}

// However many wait for a thing, it is looked at only as often as for one. All get their
// answer within a second after it is settled, and nothing looks at it any more.
func TestManyWaitForTheCostOfOne(t *testing.T) {
	for _, many := range []int{1, 1000} {
		synctest.Test(t, func(t *testing.T) {
			x := &thing{}
			l := hub.New(time.Now, leastDistance, looksShare)
			began := time.Now()
			var all sync.WaitGroup
			for range many {
				all.Go(func() {
					if settled, err := wait(t.Context(), l, time.Minute, x.topic(), false); !settled || err != nil {
						t.Error(settled, err)
					}
				})
			}
			time.Sleep(30 * time.Second)
			x.set(true, nil)
			all.Wait()
			if took := time.Since(began); took > 31*time.Second {
				t.Errorf("it took %v", took)
			}
			if x.looks > 300 {
				t.Errorf("%d waiters: %d looks", many, x.looks)
			}
		})
	}
}

// A call that an idle worker makes at once is answered at once.
func TestWhatSettlesSoonIsToldSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, began := &thing{}, time.Now()
		time.AfterFunc(20*time.Millisecond, func() { x.set(true, nil) })
		settled, err := wait(t.Context(), hub.New(time.Now, leastDistance, looksShare), time.Minute, x.topic(), false)
		if took := time.Since(began); !settled || err != nil || took > 40*time.Millisecond {
			t.Error(settled, err, took)
		}
	})
}

// A wait that begins after a person made a batch go on does not say that it has settled, though others were told so just
// before.
func TestWhatWasReadBeforeIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, looks := &thing{}, hub.New(time.Now, leastDistance, looksShare)
		x.set(true, nil)
		if settled, err := wait(t.Context(), looks, time.Minute, x.topic(), false); !settled || err != nil {
			t.Fatal(settled, err)
		}
		x.set(false, nil)
		time.Sleep(time.Millisecond)
		if settled, err := wait(t.Context(), looks, time.Second, x.topic(), false); settled || err != nil {
			t.Error("told what was read before", settled, err)
		}
	})
}

func TestWaitsEnd(t *testing.T) {
	away := errors.New("away")
	for name, c := range map[string]struct {
		err   error // of every look
		while func(stop, shutDown func())
		after time.Duration
		want  error
	}{
		"the time is over":          {after: 30 * time.Second},
		"Redis was away to the end": {err: away, after: 30 * time.Second, want: away},
		"the batch is gone":         {err: &control.UnknownError{Kind: ledger.ErrNoBatch}, want: ledger.ErrNoBatch},
		"the call is gone":          {err: &control.UnknownError{Kind: ledger.ErrNoCall}, want: ledger.ErrNoCall},
		"the caller has gone":       {while: func(stop, _ func()) { stop() }, after: 10 * time.Second},
		"the server shuts down":     {while: func(_, shutDown func()) { shutDown() }, after: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := &thing{}
				x.set(false, c.err)
				l := hub.New(time.Now, leastDistance, looksShare)
				closing, shutDown := context.WithCancel(t.Context())
				defer shutDown()
				ctx, stop := context.WithCancel(guard.WithClosing(t.Context(), closing))
				defer stop()
				if c.while != nil {
					time.AfterFunc(10*time.Second, func() { c.while(stop, shutDown) })
				}
				began := time.Now()
				settled, err := wait(ctx, l, 30*time.Second, x.topic(), false)
				if took := time.Since(began); took != c.after || settled {
					t.Errorf("settled: %t, after %v", settled, took)
				}
				if (err == nil) != (c.want == nil) || c.want != nil && gone(err) != gone(c.want) {
					t.Errorf("%v, want %v", err, c.want)
				}
			})
		})
	}
}
