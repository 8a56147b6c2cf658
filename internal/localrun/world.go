package localrun

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/localrun/inproc"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/vault"
)

const (
	prefix         = quota.DefaultPrefix
	tokenIDKeyName = prefix + ":naming"
)

// World is a Redis inside this process, with a worker, a producer and a control on it. Close it.
type World struct {
	Redis    *inproc.Redis
	Client   redis.UniversalClient
	Worker   *engine.Worker
	Producer *engine.Producer
	Control  *control.Control
	ran      bool
	ends     []func() error // of what is open
}

// OpenWorld makes a world on r, which is closed with it, even if there is an error. The worker has o,
// except for the way to Redis. Tokens get their names from tokenIDKey, sealed under o.Keys; if it is
// empty, from a new key.
func OpenWorld(ctx context.Context, r *inproc.Redis, o engine.WorkerOptions, tokenIDKey []byte) (_ *World, err error) {
	w := &World{Redis: r}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if w.Client, err = redisconn.Open(r.URL(), redisconn.Options{Dialer: r.Dial}); err != nil {
		return nil, err
	}
	w.ends = append(w.ends, w.Client.Close)
	if len(tokenIDKey) > 0 {
		if err := vault.RestoreTokenIDKey(ctx, w.Client, tokenIDKeyName, tokenIDKey); err != nil {
			return nil, err
		}
	}
	o.Prefix, o.RedisURL, o.RedisDialer = prefix, r.URL(), r.Dial
	if w.Worker, err = engine.NewWorker(ctx, o); err != nil {
		return nil, err
	}
	w.ends = append(w.ends, func() error {
		if w.ran { // Run has closed it
			return nil
		}
		return w.Worker.Close()
	})
	if w.Producer, err = engine.NewProducer(ctx, w.Client, o.Options); err != nil {
		return nil, err
	}
	w.ends = append(w.ends, w.Producer.Close)
	w.Control, err = control.Open(w.Client, prefix, o.Quota)
	return w, err
}

// Run runs the worker until ctx ends. Call it once.
func (w *World) Run(ctx context.Context) error {
	w.ran = true
	return w.Worker.Run(ctx)
}

// State is how far a batch is. It says what the batch waits for, and why, only while nothing changes.
type State struct {
	control.Progress
	control.Outlook
}

// Follow follows the counts of the world's one batch until it is settled or, with today, until nothing more can run
// before the vendor's next day. seen gets the state at each look.
// To find out what the calls wait for, every chain is read, so this is done only if nothing has changed for stillFor.
func (w *World) Follow(ctx context.Context, batch string, today bool, seen func(State)) (last State, err error) {
	const stillFor = 250 * time.Millisecond
	var since time.Time // of the last change
	err = ledger.Wait(ctx, func() (changed, done bool, err error) {
		var s State
		if s.Status, err = w.Control.Status(ctx, batch); err != nil {
			return false, false, err
		}
		if changed = s.Status != last.Status; changed {
			since = time.Now()
		}
		if s.Settled || time.Since(since) >= stillFor {
			if s.Outlook, err = w.Control.Outlook(ctx, s.Status); err == nil {
				err = w.Control.Obstacles(ctx, batch, &s.Progress)
			}
			if err != nil {
				return false, false, err
			}
		}
		last = s
		seen(s)
		return changed, s.Settled || today && s.Over, nil
	})
	return last, err
}

// Close ends what is open. If Run was called, it must have ended.
func (w *World) Close() (err error) {
	for _, end := range slices.Backward(w.ends) {
		err = errors.Join(err, end())
	}
	w.Redis.Close()
	return err
}

// open makes the job's world, with the token-ID key of the job's head. It is closed with the job.
func (j *Job) open(ctx context.Context) (err error) {
	o := j.c.Worker
	o.Keys, o.BeforeSend, o.AfterOutcome = j.head.Keys, j.beforeSend, j.afterOutcome
	if j.world, err = OpenWorld(ctx, inproc.Open(), o, j.head.TokenIDKey); err == nil {
		j.ends = append(j.ends, j.world.Close)
	}
	return err
}

// restore puts calls that were enqueued into the state that the journal gives. Slots
// and counts come first: the ledger never has a call in flight without its slot.
func (j *Job) restore(ctx context.Context, calls []*remembered) error {
	rdb, m := j.world.Client, j.memory
	limiter, err := quota.New(rdb, j.c.Worker.Quota)
	if err != nil {
		return err
	}
	used := make(map[string]quota.Restored, len(m.tokens))
	for token, t := range m.tokens {
		used[token] = t.Restored
	}
	if err := limiter.Restore(ctx, used); err != nil {
		return err
	}
	now := time.Now()
	for token, t := range m.tokens {
		if c := t.cooling; c != nil && redisconn.Time(c.CoolUntil).After(now) {
			probe := time.Duration(c.CoolProbe) * time.Millisecond
			if _, err := limiter.Cool(ctx, token, redisconn.Time(c.CoolUntil), c.CoolWhy, probe); err != nil {
				return err
			}
		}
	}
	restored := make([]*ledger.Restored, len(calls))
	for i, c := range calls {
		restored[i] = &c.Restored
	}
	admission := ledger.Admission{Library: quota.Library(), Args: limiter.Args}
	_, err = ledger.New(rdb, ledger.Options{Prefix: prefix, MaxAttempts: j.c.Worker.MaxAttempts, Admission: admission}).Restore(ctx, j.batchID, restored)
	return err
}
