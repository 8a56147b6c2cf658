package main

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/redisconn"
	"habilita/internal/webhook"
)

// webhookConns are the connections to Redis that webhooks have, beside those of calls.
const webhookConns = 8

// webhookEnd is how long webhooks may take to end: an outcome that is being noted.
const webhookEnd = 2 * time.Second

// telling is a worker's webhooks. nil: it has none.
type telling struct {
	rdb   redis.UniversalClient
	hooks *webhook.Webhooks
	log   zerolog.Logger
}

// newTelling makes the webhooks that the settings ask for; nil: none. It asks nothing of Redis.
func newTelling(s config.Settings) (*telling, error) {
	if s.WebhookURLs == "" {
		return nil, nil
	}
	rdb, err := redisconn.Open(s.RedisURL, redisconn.Options{PoolSize: webhookConns})
	if err != nil {
		return nil, usageError{err}
	}
	t := &telling{rdb: rdb, log: s.Log}
	op, err := control.Open(rdb, s.Prefix, s.Quota)
	if err == nil {
		t.hooks, err = webhook.New(webhook.Options{
			Redis: rdb, Prefix: s.Prefix, Control: op, URLs: s.WebhookURLs, Secrets: s.WebhookSecrets, Events: s.WebhookEvents,
			Metrics: s.Metrics, Log: s.Log,
		})
	}
	if err != nil {
		t.close()
		return nil, usageError{err}
	}
	return t, nil
}

// afterOutcome is a worker's hook.
func (t *telling) afterOutcome() func(engine.Recorded) {
	if t == nil {
		return nil
	}
	return func(r engine.Recorded) { t.hooks.Saw(r.Batch) }
}

// start lets webhooks run until end is called. They outlive the calls of a worker that stops, and take no time of its
// shutdown but webhookEnd.
func (t *telling) start() (end func()) {
	if t == nil {
		return func() {}
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		t.hooks.Run(ctx)
	}()
	return func() {
		stop()
		select {
		case <-ended:
		case <-time.After(webhookEnd):
			t.log.Warn().Msg("webhooks did not end in time, since Redis hangs; what is not sent is sent after the next start")
		}
	}
}

func (t *telling) close() {
	if t != nil {
		_ = t.rdb.Close()
	}
}
