package main

import (
	"context"
	"testing"
	"testing/synctest"
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
	synctest.Test(t, func(t *testing.T) {
		inner := &switched{}
		reg := prometheus.NewRegistry()
		reg.MustRegister(&lastKnown{inner: inner})
		scrape := func(what string, age time.Duration) {
			t.Helper()
			began := time.Now()
			all, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s: the scrape took %s", what, took)
			}
			got := map[string]float64{}
			for _, f := range all {
				got[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
			}
			if got["switched"] != 7 || got["habilita_queue_metrics_age_seconds"] != age.Seconds() {
				t.Errorf("%s: %v, want an age of %s", what, got, age)
			}
		}
		scrape("first", 0)
		hang := make(chan struct{})
		inner.hang = hang
		scrape("Redis hangs", scrapeWait)
		scrape("it still does", 2*scrapeWait)
		close(hang)
		synctest.Wait()
		scrape("it answers again", 0)
	})
}

// The process ends in time, whatever its shutdown is waiting for.
func TestProcessEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		ctx, stop := context.WithCancel(t.Context())
		stop()
		began := time.Now()
		err := inTime(ctx, time.Minute, zerolog.Nop(), func() error { <-hang; return nil })
		if took := time.Since(began); err != nil || took != time.Minute {
			t.Errorf("%v after %s", err, took)
		}
	})
}
