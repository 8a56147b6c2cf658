package webhook

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	results *prometheus.CounterVec
	waiting prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		results: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "habilita_webhooks_total",
			Help: "Webhooks by what became of them: delivered; failed, and sent again; given_up after 24 h; dropped, since too many waited."}, []string{"result"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "habilita_webhooks_waiting",
			Help: "Webhooks that wait for their receivers, of all workers."}),
	}
	for _, result := range []string{resultDelivered, resultFailed, resultGivenUp, resultDropped} {
		m.results.WithLabelValues(result)
	}
	return m, errors.Join(r.Register(m.results), r.Register(m.waiting))
}
