package main

import (
	"slices"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// away is how far Redis is: the time of a round trip.
const away = time.Millisecond

// farther puts Redis a round trip away until near is called.
func (r *rig) farther() (near func()) {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p := toxiproxy.NewProxy(server, "bench", "127.0.0.1:0", r.redis.Addr)
	r.no(p.Start())
	_, err := p.Toxics.AddToxicJson(jsonOf(map[string]any{
		"type": "latency", "stream": "downstream", "attributes": toxics.LatencyToxic{Latency: away.Milliseconds()},
	}))
	r.no(err)
	env := r.env
	r.env = append(slices.Clone(env), "REDIS_URL=redis://"+p.Listen+"/0")
	return func() {
		r.endAll()
		p.Stop()
		r.env = env
	}
}

// seconds returns how long the batch takes.
func (b batch) seconds(r *rig) float64 { return b.run(r).Seconds() }

// farSeconds is the same with Redis a round trip away.
func (b batch) farSeconds(r *rig) float64 {
	defer r.farther()()
	return b.seconds(r)
}
