package main

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/membership"

	"habilita/internal/engine"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
)

// backend is what the HTTP API and the pages are made of. Its Redis connections are not
// the worker's, so that a report that is read takes none of those. Close it.
type backend struct {
	rdb       redis.UniversalClient
	op        *control.Control
	producer  *engine.Producer
	registry  *membership.Registry
	schedules *schedule.Store
}

func openBackend(ctx context.Context, redisURL string, o engine.Options) (_ *backend, err error) {
	b := &backend{}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.rdb, err = redisconn.Open(redisURL, redisconn.Options{PoolSize: 32}); err != nil {
		return nil, err
	}
	if b.op, err = control.Open(b.rdb, o.Prefix, o.Quota); err != nil {
		return nil, err
	}
	prefix := o.Prefix
	if prefix == "" {
		prefix = quota.DefaultPrefix
	}
	b.registry = membership.New(b.rdb, prefix)
	b.schedules = schedule.NewStore(b.rdb, prefix)
	b.producer, err = engine.NewProducer(ctx, b.rdb, o)
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
