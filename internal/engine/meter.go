package engine

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"habilita/internal/ledger"
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

	reg prometheus.Registerer
	own []prometheus.Collector // what it registered there

	mu      sync.Mutex
	highest float64
}

// register adds a collector to the worker's own.
func (m *meter) register(c prometheus.Collector) error {
	if err := m.reg.Register(c); err != nil {
		return err
	}
	m.own = append(m.own, c)
	return nil
}

// unregister takes all of them back, so that another worker can have the Registerer.
func (m *meter) unregister() {
	for _, c := range m.own {
		m.reg.Unregister(c)
	}
	m.own = nil // what is there under these names afterwards is another worker's
}

func newMeter(reg prometheus.Registerer) (*meter, error) {
	m := &meter{
		reg: reg,
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "habilita_calls_total", Help: "Attempts by outcome."}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "habilita_call_seconds", Help: "Time of an attempt, from the grant to the judged answer.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 60}}),
		handoff: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "habilita_handoff_seconds", Help: "Time from an answer until the chain's next call is granted.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .25, 1, 5}}),
		deferrals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "habilita_deferrals_total", Help: "Chains put off without an attempt, by reason."}, []string{"reason"}),
		chains: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "habilita_chains", Help: "Chains that have something to do, by state, at the last reconciliation; the same at every worker."}, []string{"state"}),
		slotsHeld: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "habilita_slots_held", Help: "Slots held by this worker's requests."}),
		reclaimed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "habilita_slots_reclaimed_total", Help: "Slots whose lease ended without a release."}),
		poison: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "habilita_tasks_set_aside_total", Help: "Tasks of an unknown type, version or form."}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "habilita_calls_lost_total", Help: "Calls whose worker was lost while the request was at the vendor."}),
		quotaUsed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "habilita_quota_used_ratio", Help: "The highest share of its day's quota that a token has used, of those that this worker called for today."}),
		scheduled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "habilita_schedule_runs_total", Help: "Runs of schedules by result: made, skipped, missed or failed."}, []string{"result"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "habilita_limit_refusals_total", Help: "Refusals of the vendor for a limit that our count says was kept, by limit."}, []string{"limit"}),
		waiting: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "habilita_oldest_waiting_seconds", Help: "For how long the chain that waits longest for a worker could have run, at the last reconciliation."}, nil),
		workers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "habilita_workers", Help: "Worker processes that are alive, over all machines."}, nil),
		servers: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "habilita_servers", Help: "Servers of the vendor that were called, by state: closed is well; the same at every worker."}, []string{"state"}),
		drift: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "habilita_quota_drift", Help: "The vendor's count of a token's requests of the day minus ours, the highest of the last quota sync."}, nil),
		synced: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "habilita_quota_synced_timestamp_seconds", Help: "When the vendor was last asked for its count of tokens' requests."}, nil),
	}
	for _, c := range []prometheus.Collector{
		m.calls, m.seconds, m.handoff, m.deferrals, m.chains, m.slotsHeld, m.reclaimed, m.poison, m.lost, m.quotaUsed,
		m.scheduled, m.refusals, m.waiting, m.workers, m.servers, m.drift, m.synced,
	} {
		if err := m.register(c); err != nil {
			m.unregister()
			return nil, err
		}
	}
	for _, o := range []string{outcomeSucceeded, outcomeRefused, outcomeFailed, outcomeUnknown, outcomePushBack, outcomeNotSent, outcomeUnopenable} {
		m.calls.WithLabelValues(o)
	}
	for _, reason := range []string{"slots", "quota", "cooling", "midnight", "restart", "unknown", "server", ledger.ServerBusy} {
		m.deferrals.WithLabelValues(reason)
	}
	for _, result := range []string{schedule.ResultMade, schedule.ResultSkipped, schedule.ResultMissed, schedule.ResultFailed} {
		m.scheduled.WithLabelValues(result)
	}
	for _, limit := range []string{limitSlots, limitQuota} {
		m.refusals.WithLabelValues(limit)
	}
	return m, nil
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
