package main

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"habilita/internal/actionlog"
	"habilita/internal/agreement"
	"habilita/internal/operator"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/quota"
	"habilita/tasks"
)

// backend is what the HTTP API and the pages are made of. Its Redis connections are not
// the worker's, so that a report that is read takes none of those. Close it.
type backend struct {
	rdb       redis.UniversalClient
	op        *operator.Operator
	producer  *tasks.Producer
	actions   *actionlog.Log
	registry  *agreement.Registry
	schedules *schedule.Store
}

func openBackend(ctx context.Context, redisURL string, o tasks.Options) (_ *backend, err error) {
	b := &backend{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.rdb, err = redisconn.Open(redisURL, redisconn.Options{PoolSize: 32}); err != nil {
		return nil, err
	}
	if b.op, err = operator.Open(b.rdb, o.Prefix, o.Quota); err != nil {
		return nil, err
	}
	prefix := o.Prefix
	if prefix == "" {
		prefix = quota.DefaultPrefix
	}
	b.actions = actionlog.New(b.rdb, prefix)
	b.registry = agreement.New(b.rdb, prefix)
	b.schedules = schedule.NewStore(b.rdb, prefix)
	b.producer, err = tasks.NewProducer(ctx, b.rdb, o)
	return b, err
}

func (b *backend) close() error {
	var errs []error
	if b.producer != nil {
		errs = append(errs, b.producer.Close())
	}
	if b.rdb != nil {
		errs = append(errs, b.rdb.Close())
	}
	return errors.Join(errs...)
}
