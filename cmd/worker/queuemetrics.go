package main

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"
)

// scrapeWait is how long one scrape waits for figures that Redis has to give. Prometheus is
// answered within a second, however Redis is.
const scrapeWait = 500 * time.Millisecond

var queueAge = prometheus.NewDesc("habilita_queue_metrics_age_seconds",
	"How old asynq's figures of its queues are: they are the last ones known while Redis does not answer.", nil, nil)

// lastKnown collects what inner does, which asks Redis, without waiting for long: where Redis
// does not answer, it tells the figures of the last answer, and their age.
type lastKnown struct {
	inner  prometheus.Collector
	asking singleflight.Group // one question at a time, however many scrapes there are

	mu    sync.Mutex
	known []prometheus.Metric
	at    time.Time // of known; zero: none yet
}

// Describe tells nothing: what there is, is known after an answer of Redis.
func (*lastKnown) Describe(chan<- *prometheus.Desc) {}

func (l *lastKnown) Collect(ch chan<- prometheus.Metric) {
	t := time.NewTimer(scrapeWait)
	defer t.Stop()
	select {
	case <-l.asking.DoChan("", l.ask):
	case <-t.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.known {
		ch <- m
	}
	if !l.at.IsZero() {
		ch <- prometheus.MustNewConstMetric(queueAge, prometheus.GaugeValue, time.Since(l.at).Seconds())
	}
}

// ask keeps an answer. None at all is a Redis that failed, or one that has no queue yet.
func (l *lastKnown) ask() (any, error) {
	got := make(chan prometheus.Metric)
	go func() {
		defer close(got)
		l.inner.Collect(got)
	}()
	var all []prometheus.Metric
	for m := range got {
		all = append(all, m)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(all) > 0 {
		l.known, l.at = all, time.Now()
	}
	return nil, nil
}
