package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"time"
)

func jsonOf(v any) io.Reader {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers can't fail
	}
	return bytes.NewReader(b)
}

// planned returns the shortest time that bulk --dry-run forecasts for the batch.
func (b batch) planned(r *rig) time.Duration {
	cmd := exec.Command(r.bin.Enqueue, "bulk", r.csvAt("t", r.n(b.tokens), b.each, b.servers, together), "--dry-run", "--json", "--latency", b.latency.String())
	cmd.Env = r.environ(b.env...)
	out, err := cmd.Output()
	r.no(err)
	var plan struct {
		Seconds float64 `json:"plan_seconds"`
	}
	r.no(json.Unmarshal(out, &plan))
	return time.Duration(plan.Seconds * float64(time.Second))
}

// overPlan returns how many times as long as bulk --dry-run says the batch takes.
func (b batch) overPlan(r *rig) float64 {
	plan := b.planned(r)
	return b.run(r).Seconds() / plan.Seconds()
}

// offForecast returns by what factor watch's forecast, halfway through the batch, is longer or shorter than the rest takes.
func (b batch) offForecast(r *rig) float64 {
	tokens := r.n(b.tokens)
	url := r.vendor(b.vendorArgs()...)
	r.worker(url, b.env...)
	r.bulk(r.csvAt("t", tokens, b.each, b.servers, together), "batch")
	watch := exec.Command(r.bin.Enqueue, "watch", "batch", "--json")
	watch.Env = r.environ()
	out, err := watch.StdoutPipe()
	r.no(err)
	r.no(watch.Start())
	defer func() { _ = watch.Process.Kill(); _ = watch.Wait() }()
	var at time.Time
	var eta time.Duration
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var p struct {
			Succeeded int
			ETA       *float64 `json:"eta_seconds"`
		}
		r.no(json.Unmarshal(lines.Bytes(), &p))
		if p.Succeeded >= tokens*b.each/2 && p.ETA != nil {
			at, eta = time.Now(), time.Duration(*p.ETA*float64(time.Second))
			break
		}
	}
	if eta == 0 {
		r.tb.Fatal("watch told no time halfway through the batch")
	}
	left := r.await(url, tokens*b.each).Last.Sub(at)
	r.logf("    halfway watch told %s, and the rest took %s", eta, left.Round(time.Millisecond))
	off := left.Seconds() / eta.Seconds()
	return max(off, 1/off)
}
