package webhook

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/breaker"
	"habilita/internal/control"
	"habilita/internal/schedule"
)

// Options set up Webhooks. All but Prefix, Events and Log are required.
type Options struct {
	Redis   redis.UniversalClient // used by nothing else, so that webhooks take no connection from calls
	Prefix  string                // of keys; "" is "habilita"
	Control *control.Control
	URLs    string // receivers, comma separated
	Secrets string // comma separated
	Events  string // names, comma separated; "" all
	Metrics prometheus.Registerer
	Log     zerolog.Logger
}

// Webhooks are a worker's Teller and Sender.
type Webhooks struct {
	teller *Teller
	sender *Sender
}

// New makes Webhooks. It sends nothing to Redis. An error is a wrong setting, and shows no secret.
func New(o Options) (*Webhooks, error) {
	receivers, err := ParseReceivers(o.URLs)
	if err != nil {
		return nil, err
	}
	signer, err := NewSigner(o.Secrets)
	if err != nil {
		return nil, err
	}
	types, err := ParseTypes(o.Events)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, err
	}
	outbox := NewOutbox(o.Redis, o.Prefix)
	t := &Teller{
		outbox: outbox, rdb: o.Redis, control: o.Control, servers: breaker.New(o.Redis, o.Prefix),
		schedules: schedule.NewStore(o.Redis, o.Prefix), receivers: receivers, types: types, metrics: m, log: o.Log, me: rand.Text(),
		hints: map[string]hint{},
	}
	return &Webhooks{teller: t, sender: newSender(outbox, receivers, signer, m, o.Log)}, nil
}

// Run tells and sends until ctx ends. What was not sent by then is sent by another worker, or after the next start.
func (w *Webhooks) Run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { w.teller.run(ctx) })
	both.Go(func() { w.sender.run(ctx) })
	both.Wait()
}

// Saw notes that a call of a batch has an outcome, so that the batch is looked at soon. batch is its short name, "" for
// calls of no batch. It only notes it, and may be called by any number of goroutines.
func (w *Webhooks) Saw(batch string) { w.teller.saw(batch) }

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
