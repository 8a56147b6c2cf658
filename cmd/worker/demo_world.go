package main

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	asynqmetrics "github.com/hibiken/asynq/x/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"

	"habilita/internal/engine"
	"habilita/internal/localrun"
	"habilita/internal/localrun/inproc"
	"habilita/internal/quota"
	"habilita/internal/testkit/wolkvoxtest"
	"habilita/internal/vault"
)

// The demo's worker has the settings of CONTRACT, except that every time to wait for is
// short.
const (
	demoCallTimeout   = 1500 * time.Millisecond
	demoVendorTimeout = 2500 * time.Millisecond
	demoSlotMargin    = 500 * time.Millisecond
)

// demoWorld is all that the demo runs on: the vendor, and the world of a local run.
type demoWorld struct {
	*localrun.World
	options engine.WorkerOptions
	vendor  *wolkvoxtest.Server
	metrics *prometheus.Registry
}

// openDemoWorld makes a world whose vendor knows the plan's tokens. Close it.
func openDemoWorld(ctx context.Context, plan *demoPlan, seed uint64, log zerolog.Logger) (_ *demoWorld, err error) {
	w := &demoWorld{metrics: prometheus.NewRegistry()}
	w.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	zone := demoZone(time.Now())
	if w.vendor, err = wolkvoxtest.Listen("127.0.0.1:0", wolkvoxtest.Options{
		Tokens: vendorTokens(plan), Script: demoFaults(seed), Seed: seed,
		Latency: demoLatency, Jitter: demoJitter, Code: wolkvoxtest.CodeMixed, Location: zone,
	}); err != nil {
		return nil, fmt.Errorf("simulated wolkvox: %w", err)
	}
	defer func() {
		if err != nil {
			w.vendor.Close()
		}
	}()
	key, err := vault.GenerateKey("demo")
	if err != nil {
		return nil, err
	}
	r, err := inproc.Listen()
	if err != nil {
		return nil, err
	}
	w.options = engine.WorkerOptions{
		Options: engine.Options{Keys: key, Quota: quota.Settings{
			Location: zone, Lease: max(demoCallTimeout, demoVendorTimeout) + demoSlotMargin,
		}},
		WolkvoxURL:  w.vendor.URL,
		CallTimeout: demoCallTimeout, VendorTimeout: demoVendorTimeout, SlotMargin: demoSlotMargin,
		RetryMin: 50 * time.Millisecond, RetryMax: time.Second, Concurrency: 6,
		ShutdownTimeout: 5 * time.Second, Log: log, Metrics: w.metrics,
	}
	if w.World, err = localrun.OpenWorld(ctx, r, w.options, nil); err != nil {
		return nil, err
	}
	w.metrics.MustRegister(asynqmetrics.NewQueueMetricsCollector(asynq.NewInspectorFromRedisClient(w.Client)))
	return w, nil
}

// close ends what the demo runs on, after the worker has ended.
func (w *demoWorld) close() error {
	defer w.vendor.Close()
	return w.World.Close()
}

// account returns the vendor's account, once the vendor works on no request any more.
func (w *demoWorld) account(ctx context.Context) (wolkvoxtest.Account, error) {
	err := w.vendor.Wait(ctx, func(a wolkvoxtest.Account) bool { return a.Totals.InFlight == 0 })
	a := w.vendor.Account()
	for i := range a.Records {
		a.Records[i].Call = judged(a.Records[i].Token, a.Records[i].Call)
	}
	return a, err
}

// Tokens with these prefixes are special to the demo's vendor.
const (
	badPrefix  = "demo-bad-"  // not known to it
	usedPrefix = "demo-used-" // of whose quota of today usedLeft requests are left
	usedLeft   = 2
)

// The demo's vendor is fast enough that the whole demo takes some seconds.
const (
	demoLatency    = 20 * time.Millisecond
	demoJitter     = 60 * time.Millisecond
	demoFaultEvery = 8 // calls
)

// demoPassing are the faults of the demo's vendor, in the words of its account. Each passes when
// the call is tried again.
var demoPassing = [...]struct {
	wolkvoxtest.Fault
	words string
}{
	{wolkvoxtest.Fault{Kind: wolkvoxtest.Status500}, "500, a server error"},
	{wolkvoxtest.Fault{Kind: wolkvoxtest.Status502}, "502, a gateway's page"},
	{wolkvoxtest.Fault{Kind: wolkvoxtest.Status503}, "503, not available"},
	{wolkvoxtest.Fault{Kind: wolkvoxtest.TooMany, RetryAfter: "1"}, "429, too many requests"},
	{wolkvoxtest.Fault{Kind: wolkvoxtest.HTML}, "an HTML page instead of an answer"},
	{wolkvoxtest.Fault{Kind: wolkvoxtest.Garbage}, "an answer that can't be read"},
	{wolkvoxtest.Fault{Kind: wolkvoxtest.Cut}, "an answer that was cut off"},
	{wolkvoxtest.Fault{Kind: wolkvoxtest.ResetBefore}, "a connection that broke before the work"},
	{wolkvoxtest.Fault{Kind: wolkvoxtest.ResetAfter}, "a connection that broke after the work"},
	{wolkvoxtest.Fault{Kind: wolkvoxtest.Slow, Delay: demoCallTimeout + 400*time.Millisecond}, "slower than the time-out"},
}

// vendorTokens returns what the vendor knows of the file's tokens. A token's licences are its
// last value in the file.
func vendorTokens(plan *demoPlan) map[string]wolkvoxtest.Token {
	tokens := map[string]wolkvoxtest.Token{}
	for _, c := range plan.calls {
		t := tokens[c.Token]
		t.Operation = operationName(c.Ref)
		if c.Licenses > 0 {
			t.Licenses = c.Licenses
		}
		t.Bad = strings.HasPrefix(c.Token, badPrefix)
		if strings.HasPrefix(c.Token, usedPrefix) {
			t.Used = max(t.Licenses, 1)*wolkvoxtest.RequestsPerLicense - usedLeft
		}
		tokens[c.Token] = t
	}
	return tokens
}

// demoFaults draws faults from the seed, the token and the number of the token's request, so
// the order of the tokens changes nothing. A token that is out of quota has no other fault.
func demoFaults(seed uint64) wolkvoxtest.Script {
	return func(r wolkvoxtest.Record) wolkvoxtest.Fault {
		if strings.HasPrefix(r.Token, usedPrefix) {
			return wolkvoxtest.Fault{}
		}
		h := fnv.New64a()
		h.Write([]byte(r.Token))
		rng := rand.New(rand.NewPCG(seed, h.Sum64()+uint64(r.TokenNth)))
		if rng.IntN(demoFaultEvery) != 0 {
			return wolkvoxtest.Fault{}
		}
		return demoPassing[rng.IntN(len(demoPassing))].Fault
	}
}

// demoZone is the zone of the vendor's day: Bogota, unless it is about midnight there. The
// demo does not wait for that to pass.
func demoZone(now time.Time) *time.Location {
	bogota := time.FixedZone("America/Bogota", -5*60*60)
	t := now.In(bogota)
	if t.Add(-time.Minute).Day() != t.Add(15*time.Minute).Day() {
		return time.FixedZone("UTC+7", 7*60*60)
	}
	return bogota
}
