package main

import (
	"context"
	"time"

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

// openWebhooks makes the webhooks that the settings ask for, and has outcomes told to them. It asks nothing of Redis. start
// lets them run until end is called: they outlive the calls of a worker that stops, and take no time of its shutdown but
// webhookEnd. done ends their connections.
func openWebhooks(s *config.Settings) (start func() (end func()), done func(), err error) {
	none := func() {}
	if s.WebhookURLs == "" {
		return func() func() { return none }, none, nil
	}
	rdb, err := redisconn.Open(s.RedisURL, redisconn.Options{PoolSize: webhookConns})
	if err != nil {
		return nil, nil, usageError{err}
	}
	done = func() { _ = rdb.Close() }
	var hooks *webhook.Webhooks
	op, err := control.Open(rdb, s.Prefix, s.Quota)
	if err == nil {
		hooks, err = webhook.New(webhook.Options{
			Redis: rdb, Prefix: s.Prefix, Control: op, URLs: s.WebhookURLs, Secrets: s.WebhookSecrets, Events: s.WebhookEvents,
			Metrics: s.Metrics, Log: s.Log,
		})
	}
	if err != nil {
		done()
		return nil, nil, usageError{err}
	}
	s.AfterOutcome = func(r engine.Recorded) { hooks.Saw(r.Batch) }
	start = func() (end func()) {
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			hooks.Run(ctx)
		}()
		return func() {
			stop()
			select {
			case <-ended:
			case <-time.After(webhookEnd):
				s.Log.Warn().Msg("webhooks did not end in time, since Redis hangs; what is not sent is sent after the next start")
			}
		}
	}
	return start, done, nil
}
