package localrun

import (
	"context"
	"errors"
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
	prefix     = quota.DefaultPrefix
	tokenIDKey = prefix + ":naming"
)

// world is what a job runs on, all in this process.
type world struct {
	redis    *inproc.Redis
	rdb      redis.UniversalClient
	worker   *engine.Worker
	ran      bool // Run closes the worker
	producer *engine.Producer
	op       *control.Control
	limiter  *quota.Limiter
	ledger   *ledger.Ledger
}

// open makes the job's world, with the names of tokens that its head has.
func (j *Job) open(ctx context.Context) (err error) {
	w := &world{redis: inproc.Open()}
	j.world = w // closed with the job
	if w.rdb, err = redisconn.Open(w.redis.URL(), redisconn.Options{Dialer: w.redis.Dial}); err != nil {
		return err
	}
	if len(j.head.TokenIDKey) > 0 {
		if err := vault.RestoreTokenIDKey(ctx, w.rdb, tokenIDKey, j.head.TokenIDKey); err != nil {
			return err
		}
	}
	o := j.c.Worker
	o.Keys, o.Prefix, o.RedisURL, o.RedisDialer = j.head.Keys, prefix, w.redis.URL(), w.redis.Dial
	o.BeforeSend, o.AfterOutcome = j.beforeSend, j.afterOutcome
	if w.worker, err = engine.NewWorker(ctx, o); err != nil {
		return err
	}
	if w.producer, err = engine.NewProducer(ctx, w.rdb, o.Options); err != nil {
		return err
	}
	if w.op, err = control.Open(w.rdb, prefix, o.Quota); err != nil {
		return err
	}
	if w.limiter, err = quota.New(w.rdb, o.Quota); err != nil {
		return err
	}
	w.ledger = ledger.New(w.rdb, ledger.Options{Prefix: prefix, MaxAttempts: o.MaxAttempts, Admission: ledger.Admission{
		Library: quota.Library(),
		Args:    func() []any { return w.limiter.Settings().Args(w.limiter.Now(), 0, false) },
	}})
	return nil
}

func (w *world) close() error {
	var errs []error
	if w.producer != nil {
		errs = append(errs, w.producer.Close())
	}
	if w.worker != nil && !w.ran {
		errs = append(errs, w.worker.Close())
	}
	if w.rdb != nil {
		errs = append(errs, w.rdb.Close())
	}
	w.redis.Close()
	return errors.Join(errs...)
}

// restore puts calls that were enqueued into the state that the journal tells. Slots
// and counts come first: the ledger never has a call in flight without its slot.
func (w *world) restore(ctx context.Context, batchID string, m *memory, calls []*remembered) error {
	used := make(map[string]quota.Restored, len(m.tokens))
	for token, t := range m.tokens {
		used[token] = t.Restored
	}
	if err := w.limiter.Restore(ctx, used); err != nil {
		return err
	}
	now := time.Now()
	for token, t := range m.tokens {
		if c := t.cooling; c != nil && fromMs(c.CoolUntil).After(now) {
			probe := time.Duration(c.CoolProbe) * time.Millisecond
			if _, err := w.limiter.Cool(ctx, token, fromMs(c.CoolUntil), c.CoolWhy, probe); err != nil {
				return err
			}
		}
	}
	restored := make([]*ledger.Restored, len(calls))
	for i, c := range calls {
		restored[i] = &c.Restored
	}
	_, err := w.ledger.Restore(ctx, batchID, restored)
	return err
}
