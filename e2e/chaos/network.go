package main

import (
	"fmt"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
)

// pulse is a connection fault that lasts a while.
type pulse struct {
	name string
	// toxics draws one toxic; nil: all connections are cut, and new ones refused.
	toxics func(u *unit) string
}

var pulses = []pulse{
	{"cut", nil},
	{"latency", func(u *unit) string {
		// Not so long that a request reaches the vendor after its lease.
		return toxic("latency", direction(u), fmt.Sprintf(`"latency":%d,"jitter":%d`, 100+u.rand.IntN(400), u.rand.IntN(200)))
	}},
	{"reset", func(u *unit) string {
		return toxic("reset_peer", direction(u), fmt.Sprintf(`"timeout":%d`, u.rand.IntN(100)))
	}},
	{"replies lost", func(u *unit) string {
		if u.rand.IntN(2) == 0 {
			return toxic("timeout", "downstream", `"timeout":0`) // swallows replies; the connection stays
		}
		return toxic("limit_data", "downstream", fmt.Sprintf(`"bytes":%d`, 1+u.rand.IntN(150))) // ends in the middle of a reply
	}},
}

func toxic(kind, stream, attributes string) string {
	return fmt.Sprintf(`{"name":"pulse","type":%q,"stream":%q,"attributes":{%s}}`, kind, stream, attributes)
}

func direction(u *unit) string { return []string{"upstream", "downstream"}[u.rand.IntN(2)] }

func networkRows(of func(whole, ci int) int) []row {
	var all []row
	for _, to := range []string{"the vendor", "Redis"} {
		for _, p := range pulses {
			recovery := "the same"
			if p.toxics == nil {
				recovery = "end of the fault until the next request"
			}
			all = append(all, row{
				name: fmt.Sprintf("connections to %s: %s", to, p.name), dose: fmt.Sprint(of(10, 1), " times 0.5–2.5 s"), took: 50 * second,
				units:    shared(of(10, 1), 10, func(u *unit, n int) { faultNetwork(u, n, p, to == "Redis") }),
				recovery: recovery,
			})
		}
	}
	return all
}

// faultNetwork puts a proxy between the workers and the vendor or Redis, and breaks its
// connections again and again.
func faultNetwork(u *unit, n int, p pulse, redis bool) {
	w := newWorld(u, nil)
	var proxy *toxiproxy.Proxy
	var env []string
	if redis {
		proxy = w.proxy(w.l.Redis.Addr)
		env = []string{"REDIS_URL", strings.Replace(w.l.Redis.URL, proxy.Upstream, proxy.Listen, 1)}
	} else {
		proxy = w.vendorProxy()
		env = []string{"WOLKVOX_URL", strings.Replace(w.l.Vendor.URL, proxy.Upstream, proxy.Listen, 1)}
	}
	w.topUp()
	workers := w.l.Workers(3, env...)
	w.looks(workers[0])
	var healed []time.Time
	for range n {
		w.load()
		from := time.Now()
		if p.toxics == nil {
			proxy.Stop()
		} else {
			_, err := proxy.Toxics.AddToxicJson(strings.NewReader(p.toxics(u)))
			w.must(err == nil, "%v", err)
		}
		pause(u.between(500*time.Millisecond, 2500*time.Millisecond))
		if p.toxics == nil {
			w.must(proxy.Start() == nil, "the proxy does not start again")
		} else {
			proxy.Toxics.ResetToxics(u.Context())
		}
		healed = append(healed, time.Now())
		// Requests that were under way keep a broken connection until their time-out. Writes
		// to Redis keep it until the client's time-out of 5 s.
		patience := second
		if redis {
			patience = 6 * second
		}
		w.unrecorded(from.Add(-justBefore), time.Now().Add(patience))
		w.terms.Unsent += 3 * 24
	}
	w.settle()
	u.sum.recovery = firstAfter(w.l.Vendor.Account(), healed)
	w.judge(false)
}
