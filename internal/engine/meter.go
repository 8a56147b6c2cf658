package engine

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/internal/wolkvox"
)

// meter holds the worker's metrics. Their labels never grow with tokens or batches.
type meter struct {
	calls     *prometheus.CounterVec
	seconds   prometheus.Histogram
	handoff   prometheus.Histogram
	deferrals *prometheus.CounterVec
	chains    *prometheus.GaugeVec
	slotsHeld prometheus.Gauge
	reclaimed prometheus.Counter
	poison    prometheus.Counter
	lost      prometheus.Counter
	quotaUsed prometheus.Gauge
	scheduled *prometheus.CounterVec
	refusals  *prometheus.CounterVec
	waiting   *prometheus.GaugeVec // no labels; empty where nothing is known
	workers   *prometheus.GaugeVec // the same
	servers   *prometheus.GaugeVec
	drift     *prometheus.GaugeVec // no labels; empty before the first sync
	synced    *prometheus.GaugeVec // the same

	own *prometheus.Registry // has all of them

	mu      sync.Mutex
	highest float64
}

// counters have one label; those of the values that are named are there from the start.
func (m *meter) counters(name, help, label string, values ...string) *prometheus.CounterVec {
	c := promauto.With(m.own).NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	for _, v := range values {
		c.WithLabelValues(v)
	}
	return c
}

func (m *meter) counter(name, help string) prometheus.Counter {
	return promauto.With(m.own).NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func (m *meter) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return promauto.With(m.own).NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func (m *meter) gauge(name, help string) prometheus.Gauge {
	return promauto.With(m.own).NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func (m *meter) histogram(name, help string, buckets ...float64) prometheus.Histogram {
	return promauto.With(m.own).NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

func newMeter() *meter {
	m := &meter{own: prometheus.NewRegistry()}
	m.calls = m.counters("habilita_calls_total", "Attempts by outcome.", "outcome",
		outcomeSucceeded, outcomeRefused, outcomeFailed, outcomeUnknown, outcomePushBack, outcomeNotSent, outcomeUnopenable)
	m.seconds = m.histogram("habilita_call_seconds", "Time of an attempt, from the grant to the judged answer.",
		.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 60)
	m.handoff = m.histogram("habilita_handoff_seconds", "Time from an answer until the chain's next call is granted.",
		.0001, .00025, .0005, .001, .0025, .005, .01, .05, .25, 1, 5)
	m.deferrals = m.counters("habilita_deferrals_total", "Chains put off without an attempt, by reason.", "reason",
		"slots", "quota", "cooling", "midnight", "restart", "unknown", "server", ledger.ServerBusy)
	m.chains = m.gauges("habilita_chains", "Chains that have something to do, by state, at the last reconciliation; the same at every worker.", "state")
	m.slotsHeld = m.gauge("habilita_slots_held", "Slots held by this worker's requests.")
	m.reclaimed = m.counter("habilita_slots_reclaimed_total", "Slots whose lease ended without a release.")
	m.poison = m.counter("habilita_tasks_set_aside_total", "Tasks of an unknown type, version or form.")
	m.lost = m.counter("habilita_calls_lost_total", "Calls whose worker was lost while the request was at the vendor.")
	m.quotaUsed = m.gauge("habilita_quota_used_ratio", "The highest share of its day's quota that a token has used, of those that this worker called for today.")
	m.scheduled = m.counters("habilita_schedule_runs_total", "Runs of schedules by result: made, skipped, missed or failed.", "result",
		schedule.ResultMade, schedule.ResultSkipped, schedule.ResultMissed, schedule.ResultFailed)
	m.refusals = m.counters("habilita_limit_refusals_total", "Refusals of the vendor for a limit that our count says was kept, by limit.", "limit",
		limitSlots, limitQuota)
	m.waiting = m.gauges("habilita_oldest_waiting_seconds", "For how long the chain that waits longest for a worker could have run, at the last reconciliation.")
	m.workers = m.gauges("habilita_workers", "Worker processes that are alive, over all machines.")
	m.servers = m.gauges("habilita_servers", "Servers of the vendor that were called, by state: closed is well; the same at every worker.", "state")
	m.drift = m.gauges("habilita_quota_drift", "The vendor's count of a token's requests of the day minus ours, the highest of the last quota sync.")
	m.synced = m.gauges("habilita_quota_synced_timestamp_seconds", "When the vendor was last asked for its count of tokens' requests.")
	return m
}

// told registers what is asked for when the metrics are read: whether the worker takes calls, and what replicas did
// not acknowledge.
func (m *meter) told(ready func() bool, acks *redisconn.Acks) {
	auto := promauto.With(m.own)
	auto.NewGaugeFunc(prometheus.GaugeOpts{Name: "habilita_worker_ready", Help: "1 while this worker takes calls."}, func() float64 {
		if ready() {
			return 1
		}
		return 0
	})
	auto.NewCounterFunc(prometheus.CounterOpts{
		Name: "habilita_unacknowledged_writes_total", Help: "Writes that fewer replicas than WAIT_REPLICAS acknowledged in time.",
	}, func() float64 { return float64(acks.Missed()) })
	auto.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "habilita_replicas_lacking_seconds", Help: "For how long a master has had fewer replicas than WAIT_REPLICAS; 0: all have enough.",
	}, func() float64 {
		_, since := acks.Lacking()
		if since.IsZero() {
			return 0
		}
		return time.Since(since).Seconds()
	})
}

// The limits that the vendor may say were broken.
const limitSlots, limitQuota = "slots", "quota"

// refused notes what the vendor said of our limits. A gentle try of a token that is known
// to be over its quota says nothing new.
func (m *meter) refused(err error, probe bool) {
	refusal, ok := errors.AsType[*wolkvox.RefusedError](err)
	if !ok || probe {
		return
	}
	switch refusal.Kind {
	case wolkvox.SimultaneousLimit:
		m.refusals.WithLabelValues(limitSlots).Inc()
	case wolkvox.TokenLimit:
		m.refusals.WithLabelValues(limitQuota).Inc()
	}
}

// quota notes what a token has used of its quota.
func (m *meter) quota(used, limit int) {
	if limit <= 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if share := float64(used) / float64(limit); share > m.highest {
		m.highest = share
		m.quotaUsed.Set(share)
	}
}

// newDay forgets the highest share, so that the gauge follows the day.
func (m *meter) newDay() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.highest = 0
	m.quotaUsed.Set(0)
}
