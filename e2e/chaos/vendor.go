package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

func vendorRows(of func(whole, ci int) int) []row {
	var units []func(u *unit)
	for i := range of(10, 1) {
		units = append(units, func(u *unit) { faultVendor(u, i%2 == 1, i%5 == 4) })
	}
	return []row{{
		name: "every vendor fault at random, vendor down for 30 s", dose: fmt.Sprint(of(10, 1), " runs"), took: 70 * second,
		units:    units,
		recovery: "vendor is back until the next request",
	}}
}

// vendorFaults are the simulator's faults after which a person may be needed, but not
// another day. "slow" takes longer than we wait, but less than the vendor's own limit.
const vendorFaults = "500,502,503,429,simultaneous,maintenance,html,cut,empty,garbage,bom,wrong-type,oversized," +
	"reset-before,reset-after,drip:300ms,slow:1200ms,bad-token,redirect"

// faultVendor makes one request in four go wrong, in any of the vendor's ways. The vendor is also
// down for 30 s: it refuses connections in the middle, or answers 503 from the start. Held chains
// are retried as a person would. With limits, TOKEN LIMIT EXCEEDED is among the faults: calls
// that it hits wait for tomorrow, or for a probe.
func faultVendor(u *unit, fails, limits bool) {
	const down = 30 * second
	faults, rate := vendorFaults, 0.25
	if limits {
		faults += ",token-limit"
	}
	flags := []string{fmt.Sprint("--fault-rate=", rate), "--faults=" + faults}
	if fails {
		flags = append(flags, "--down-for="+down.String(), "--down-fault=503")
	}
	began := time.Now()
	w := newWorld(u, nil, flags...)
	// Enough patience for a vendor that answers 503 for 30 s.
	w.l.Set("MAX_ATTEMPTS", "40", "RETRY_MIN", "100ms", "RETRY_MAX", "3s")
	proxy := w.vendorProxy()
	w.each = 18
	w.topUp()
	workers := w.l.Workers(3, "WOLKVOX_URL", strings.Replace(w.l.Vendor.URL, proxy.Upstream, proxy.Listen, 1))
	w.looks(workers[0])
	var back time.Time
	if fails {
		pause(down - time.Since(began))
		back = time.Now()
	} else {
		w.underLoad()
		pause(u.between(second, 3*second))
		from := time.Now()
		proxy.Stop()
		pause(down)
		w.must(proxy.Start() == nil, "the proxy does not start again")
		back = time.Now()
		w.unrecorded(from.Add(-justBefore), from.Add(w.l.Lease()))
		w.terms.Unsent += 3 * 24 // requests that the proxy had and did not pass on
	}
	w.topUp()
	w.settleByHand(limits)
	u.sum.recovery = firstAfter(w.l.Vendor.Account(), []time.Time{back})
	w.terms.Open = limits
	v := w.judge(limits)
	if limits && v.Calls != v.Succeeded+v.Open {
		w.violation("I4", "%+v", v)
	}
}

// settleByHand waits until all has settled and retries held chains, again and again.
func (w *world) settleByHand(limits bool) {
	w.Helper()
	retried := 0
	for range 60 {
		if !limits {
			w.settle()
		} else {
			w.awaitCooling()
		}
		held := w.l.Chains(true)
		if len(held) == 0 {
			w.sum.note("%d held chains were retried by hand", retried)
			return
		}
		for _, c := range held {
			if c.Why == "" {
				w.violation("I4", "chain %s is held for no reason", c.ID)
			}
		}
		retried += len(held)
		w.l.MustEnqueue("retry", "--all")
	}
	w.Fatalf("chains are held again and again")
}

// awaitCooling waits until every chain is done or held, or its token is closed for
// today by the vendor.
func (w *world) awaitCooling() {
	w.Helper()
	w.l.Await("all chains done, held or cooling", longWait, func(ctx context.Context) (bool, string) {
		for c, err := range w.l.Operator().Chains(ctx, false) {
			if err != nil {
				return false, err.Error()
			}
			if !c.Held() && (c.Until.IsZero() || time.Until(c.Until.Time) < time.Minute) {
				return false, c.State + " " + c.Reason
			}
		}
		return true, ""
	})
}

// vendorProxy stands between workers and the vendor.
func (w *world) vendorProxy() *toxiproxy.Proxy {
	w.Helper()
	base, err := url.Parse(strings.ReplaceAll(w.l.Vendor.URL, "{server}", ""))
	w.must(err == nil, "%v", err)
	return w.proxy(base.Host)
}

// proxy starts a proxy in this process.
func (w *world) proxy(address string) *toxiproxy.Proxy {
	w.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p := toxiproxy.NewProxy(server, "lab", "127.0.0.1:0", address)
	w.must(p.Start() == nil, "the proxy does not start")
	w.Cleanup(p.Stop)
	return p
}
