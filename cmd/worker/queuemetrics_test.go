package main

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// switched is a collector that hangs while it is told to.
type switched struct{ hang chan struct{} }

var switchedDesc = prometheus.NewDesc("switched", "", nil, nil)

func (s *switched) Describe(ch chan<- *prometheus.Desc) { ch <- switchedDesc }
func (s *switched) Collect(ch chan<- prometheus.Metric) {
	if s.hang != nil {
		<-s.hang
	}
	ch <- prometheus.MustNewConstMetric(switchedDesc, prometheus.GaugeValue, 7)
}

// While Redis hangs, a scrape has the last figures and their age, and does not wait.
func TestScrapeDoesNotWaitForRedis(t *testing.T) {
	inner := &switched{}
	reg := prometheus.NewRegistry()
	reg.MustRegister(&lastKnown{inner: inner})
	scrape := func() map[string]float64 {
		began := time.Now()
		all, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("a scrape took %s", took)
		}
		got := map[string]float64{}
		for _, f := range all {
			got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
		}
		return got
	}
	const age = "habilita_queue_metrics_age_seconds"
	if got := scrape(); got["switched"] != 7 || got[age] > 0.4 {
		t.Errorf("first: %v", got)
	}
	hang := make(chan struct{})
	inner.hang = hang
	for range 2 {
		if got := scrape(); got["switched"] != 7 || got[age] < scrapeWait.Seconds() {
			t.Errorf("while Redis hangs: %v", got)
		}
	}
	close(hang)
	for end := time.Now().Add(10 * time.Second); ; {
		if got := scrape(); got[age] < scrapeWait.Seconds() {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the figures stay old")
		}
	}
}

// The process ends in time, whatever its shutdown is waiting for.
func TestProcessEndsInTime(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	ctx, stop := context.WithCancel(t.Context())
	stop()
	began := time.Now()
	err := inTime(ctx, 50*time.Millisecond, zerolog.Nop(), func() error { <-hang; return nil })
	if took := time.Since(began); err != nil || took > 5*time.Second {
		t.Errorf("%v after %s", err, took)
	}
}
