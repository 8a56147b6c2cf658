package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

func redisRows(of func(whole, ci int) int) []row {
	paused := func(d time.Duration, n int) row {
		return row{
			name: fmt.Sprintf("Redis paused for %s", d), dose: fmt.Sprint(n, " times"), took: 5*(d+4*second) + 10*second,
			units:    shared(n, max(1, int(60*second/(d+5*second))), func(u *unit, n int) { pauseRedis(u, n, d) }),
			recovery: "Redis goes on until the next request",
		}
	}
	return []row{
		paused(second, of(5, 1)), paused(10*second, of(5, 0)), paused(40*second, of(5, 0)),
	}
}

func fullRows(of func(whole, ci int) int) []row {
	return []row{{
		name: "Redis full under load, then room again", dose: fmt.Sprint(of(5, 1), " times"), took: 30 * second,
		units:    shared(of(5, 1), 5, fillRedis),
		recovery: "room until new work is taken",
	}}
}

// pauseRedis stops Redis for a while, with its connections open.
func pauseRedis(u *unit, n int, d time.Duration) {
	w := newWorld(u, nil)
	w.topUp()
	workers := w.l.Workers(3)
	w.looks(workers[0])
	var backs []time.Time
	for range n {
		w.load()
		from := time.Now()
		w.l.Redis.Pause()
		pause(d)
		w.l.Redis.Resume()
		backs = append(backs, time.Now())
		w.answersWhileAway(from, time.Now())
	}
	w.settle()
	u.sum.recovery = firstAfter(w.l.Vendor.Account(), backs)
	w.judge(false)
}

// fillRedis leaves Redis no room under load: new work is refused with a clear error, but outcomes
// are still recorded. Then there is room again.
func fillRedis(u *unit, n int) {
	w := newWorld(u, nil)
	w.each = 80
	w.topUp()
	w.l.Workers(3)
	rdb := w.l.Client()
	for range n {
		w.topUp()
		w.underLoad()
		var used int64
		for line := range strings.Lines(rdb.Info(u.Context(), "memory").Val()) {
			if text, ok := strings.CutPrefix(line, "used_memory:"); ok {
				_, err := fmt.Sscan(text, &used)
				w.must(err == nil, "%v", err)
			}
		}
		err := rdb.ConfigSet(u.Context(), "maxmemory", fmt.Sprint(used+64<<10)).Err()
		w.must(err == nil, "%v", err)
		p := w.plan(40, 100)
		r := w.l.Enqueue(w.bulkArgs(p)...)
		if r.Exit != 1 || !strings.Contains(r.Stderr, "Redis is full") {
			w.violation("I6", "new work while Redis is full: %s", r)
		}
		before := w.status(p).Succeeded
		w.l.Await("outcomes are recorded while Redis is full", longWait, func(context.Context) (bool, string) {
			after := w.status(p).Succeeded
			return after >= before+20, fmt.Sprint(after)
		})
		pause(u.between(second, 3*second))
		err = rdb.ConfigSet(u.Context(), "maxmemory", "0").Err()
		w.must(err == nil, "%v", err)
		room := time.Now()
		s := w.l.Bulk(p)
		u.sum.recovery = append(u.sum.recovery, time.Since(room))
		if s.Enqueued+s.Duplicates != len(p.Rows) {
			w.violation("I6", "%+v", s)
		}
	}
	if v := w.finish(); v.Requests != v.Calls {
		w.violation("I5", "%d requests for %d calls, and no outcome was unknown", v.Requests, v.Calls)
	}
}
