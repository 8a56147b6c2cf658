package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/internal/wolkvox"
)

// meter holds the worker's metrics. Their labels never grow with tokens or batches.
type meter struct {
	calls, deferrals, scheduled, refusals *prometheus.CounterVec
	seconds, handoff                      prometheus.Histogram
	reclaimed, poison, lost               prometheus.Counter
	slotsHeld, quotaUsed                  prometheus.Gauge
	chains, servers                       *prometheus.GaugeVec
	waiting, workers                      *prometheus.GaugeVec // no labels; empty where nothing is known
	drift, synced                         *prometheus.GaugeVec // no labels; empty before the first sync

	own *prometheus.Registry // has all of them

	mu      sync.Mutex
	highest float64
}

// counters makes counters with one label. Those of the given values are there from the start.
func (m *meter) counters(name, help, label string, values ...string) *prometheus.CounterVec {
	c := promauto.With(m.own).NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	for _, v := range values {
		c.WithLabelValues(v)
	}
	return c
}

func (m *meter) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return promauto.With(m.own).NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func newMeter() *meter {
	m := &meter{own: prometheus.NewRegistry()}
	auto := promauto.With(m.own)
	m.calls = m.counters("habilita_calls_total", "Attempts by outcome.", "outcome",
		outcomeSucceeded, outcomeRefused, outcomeFailed, outcomeUnknown, outcomePushBack, outcomeNotSent, outcomeUnopenable)
	m.seconds = auto.NewHistogram(prometheus.HistogramOpts{Name: "habilita_call_seconds", Help: "Time of an attempt, from the grant to the judged answer.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 60}})
	m.handoff = auto.NewHistogram(prometheus.HistogramOpts{Name: "habilita_handoff_seconds", Help: "Time from an answer until the chain's next call is granted.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .25, 1, 5}})
	m.deferrals = m.counters("habilita_deferrals_total", "Chains put off without an attempt, by reason.", "reason",
		"slots", "quota", "cooling", "midnight", "restart", "unknown", "server", ledger.ServerBusy)
	m.chains = m.gauges("habilita_chains", "Chains that have something to do, by state, at the last reconciliation; the same at every worker.", "state")
	m.slotsHeld = auto.NewGauge(prometheus.GaugeOpts{Name: "habilita_slots_held", Help: "Slots held by this worker's requests."})
	m.reclaimed = auto.NewCounter(prometheus.CounterOpts{Name: "habilita_slots_reclaimed_total", Help: "Slots whose lease ended without a release."})
	m.poison = auto.NewCounter(prometheus.CounterOpts{Name: "habilita_tasks_set_aside_total", Help: "Tasks of an unknown type, version or form."})
	m.lost = auto.NewCounter(prometheus.CounterOpts{Name: "habilita_calls_lost_total", Help: "Calls whose worker was lost while the request was at the vendor."})
	m.quotaUsed = auto.NewGauge(prometheus.GaugeOpts{Name: "habilita_quota_used_ratio", Help: "The highest share of its day's quota that a token has used, of those that this worker called for today."})
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

// told registers the metrics that are computed when they are read: whether the worker takes calls, and what replicas
// did not acknowledge.
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

// refused counts the vendor's refusals for a limit. A probe of a token that is known to be
// over its quota says nothing new.
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

// backlog is what the worker that reconciles found, for the metrics of all workers. Every worker
// reports the same, so max over instances is right and sum is not.
type backlog struct {
	At        int64 `json:"at"` // ms by the clock of Redis
	Ready     int   `json:"ready"`
	Active    int   `json:"active"`
	Held      int   `json:"held"`
	Scheduled int   `json:"scheduled"`
	WaitedMS  int64 `json:"waited_ms"` // of the chain that could have run for longest
}

func backlogOf(buckets []ledger.Bucket, now time.Time) backlog {
	all := ledger.Total(buckets)
	sum := backlog{At: now.UnixMilli(), Ready: all.Ready, Active: all.Due, Held: all.Held, Scheduled: all.Delayed}
	// A chain that is due and has not moved on waits for a worker as much as a ready one.
	if since := ledger.Earlier(all.Since, all.NextDue); !since.IsZero() {
		sum.WaitedMS = max(0, sum.At-since.UnixMilli())
	}
	return sum
}

// The keys of notes, behind the prefix.
const backlogNote, syncNote, licensesNote = ":reconciliation", ":quota_drift", ":default_licenses"

// note stores what one process found, for all workers. It lasts for kept; 0: until the next time.
func (s *stack) note(ctx context.Context, key string, found any, kept time.Duration) error {
	text, _ := json.Marshal(found) // numbers alone: it can't fail
	return s.rdb.Set(ctx, s.prefix+key, text, kept).Err()
}

// noted reads what note stored; false: nothing is there, or it can't be read.
func (s *stack) noted(ctx context.Context, key string, found any) (bool, error) {
	text, err := s.rdb.Get(ctx, s.prefix+key).Bytes()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, found)
	}
	if err != nil {
		return false, fmt.Errorf("%s%s: %w", s.prefix, key, err)
	}
	return true, nil
}

// look sets the gauges that are about all workers. It leaves out a value that is unknown, or
// so old that another worker should have taken over: an old value is worse than none, and an
// alert can fire on its absence.
func (s *reconciler) look(ctx context.Context) error {
	for state, n := range s.breakers.Counts() {
		s.meter.servers.WithLabelValues(string(state)).Set(float64(n))
	}
	// Each is read by itself: in a cluster one may be readable and another not.
	return errors.Join(s.lookAtSync(ctx), s.lookAtWorkers(ctx), s.lookAtBacklog(ctx))
}

func (s *reconciler) lookAtWorkers(ctx context.Context) error {
	alive, err := s.registry.Alive(ctx)
	if err != nil {
		s.meter.workers.Reset()
		return err
	}
	s.meter.workers.WithLabelValues().Set(float64(len(membership.Workers(alive))))
	return nil
}

func (s *reconciler) lookAtBacklog(ctx context.Context) error {
	var sum backlog
	there, err := s.noted(ctx, backlogNote, &sum)
	oldest := s.clock.Now().Add(-2 * (2*s.every + reconcileGrace))
	if !there || time.UnixMilli(sum.At).Before(oldest) {
		s.meter.chains.Reset()
		s.meter.waiting.Reset()
		return err
	}
	for state, n := range map[string]int{"ready": sum.Ready, "active": sum.Active, "held": sum.Held, "scheduled": sum.Scheduled} {
		s.meter.chains.WithLabelValues(state).Set(float64(n))
	}
	s.meter.waiting.WithLabelValues().Set(float64(sum.WaitedMS) / 1000)
	return nil
}

// syncResult is what the last quota sync found, for the metrics of all workers.
type syncResult struct {
	At      int64 `json:"at"`      // ms by the clock of Redis
	Highest int   `json:"highest"` // the vendor's count minus ours
}

// syncKept is how long the result of the last sync is kept: as long as the counts that it
// was compared with.
const syncKept = 48 * time.Hour

// lookAtSync sets the gauges of the last sync. Before the first sync, or if its result can't
// be read, there are none.
func (s *reconciler) lookAtSync(ctx context.Context) error {
	var d syncResult
	there, err := s.noted(ctx, syncNote, &d)
	if !there {
		s.meter.drift.Reset()
		s.meter.synced.Reset()
		return err
	}
	s.meter.drift.WithLabelValues().Set(float64(d.Highest))
	s.meter.synced.WithLabelValues().Set(float64(time.UnixMilli(d.At).Unix()))
	return nil
}
