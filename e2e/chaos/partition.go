package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"habilita/e2e"
	"habilita/internal/testkit/redistest"
)

// partitionRows are for networks that lose packets between separate hosts. Neither end learns of it, as when
// a cable is pulled. (In the rows where connections are cut or reset, both ends learn of it.)
func partitionRows(of func(whole, ci int) int) []row {
	cut := func(what string, ways ...way) row {
		return row{
			name: "partition: " + what, dose: fmt.Sprint(of(5, 1), " times 2–6 s"), took: 45 * second, hosts: true,
			units:    shared(of(5, 1), 5, func(u *unit, n int) { cutWorker(u, n, ways) }),
			recovery: "end of the fault until the next request",
		}
	}
	times := func(f func(u *unit, waits bool), waits bool) (units []func(u *unit)) {
		for range of(5, 1) {
			units = append(units, func(u *unit) { f(u, waits) })
		}
		return units
	}
	return []row{
		cut("a worker and Redis", toRedis, fromRedis),
		cut("a worker and the vendor", toVendor, fromVendor),
		cut("a worker and both", toRedis, fromRedis, toVendor, fromVendor),
		cut("only what a worker sends to Redis is lost", toRedis),
		cut("only what Redis sends to a worker is lost", fromRedis),
		cut("only what a worker sends to the vendor is lost", toVendor),
		cut("only what the vendor sends to a worker is lost", fromVendor),
		{
			name: "split brain: a master of a cluster is cut off, with a worker on its side", dose: fmt.Sprint(of(5, 1), " times 8 s"), took: 50 * second, hosts: true,
			units: times(splitCluster, false),
		},
		{
			name: "split brain: a primary with min-replicas-to-write 1 is cut off from Sentinel, with a worker on its side", dose: fmt.Sprint(of(5, 1), " times 12 s"), took: 50 * second, hosts: true,
			units: times(splitSentinel, false),
		},
		{
			name: "split brain: the same with WAIT_REPLICAS=1, and no min-replicas-to-write", dose: fmt.Sprint(of(5, 1), " times 12 s"), took: 50 * second, hosts: true,
			units: times(splitSentinel, true),
		},
		{
			name: "a replica that lags by 2.5 s takes over", dose: fmt.Sprint(of(5, 1), " times"), took: 50 * second, hosts: true,
			units: times(laggingReplica, false), recovery: "kill of the primary until the next request",
		},
		{
			name: "a replica that lags takes over: the same with WAIT_REPLICAS=1", dose: fmt.Sprint(of(5, 1), " times"), took: 50 * second, hosts: true,
			units: times(laggingReplica, true), recovery: "the same; a second node comes back first",
		},
	}
}

// way is a direction between a worker's host and another one.
type way func(worker, redis, vendor string) (from, to string)

func toRedis(worker, redis, _ string) (from, to string)     { return worker, redis }
func fromRedis(worker, redis, _ string) (from, to string)   { return redis, worker }
func toVendor(worker, _, vendor string) (from, to string)   { return worker, vendor }
func fromVendor(worker, _, vendor string) (from, to string) { return vendor, worker }

// newHosts is newWorld with n hosts. Only the vendor listens yet.
func newHosts(u *unit, n int) (*world, []*e2e.Host) {
	u.Helper()
	w := newWorldAt(u, nil, (*e2e.Lab).StartVendorForHosts)
	var hosts []*e2e.Host
	for range n {
		hosts = append(hosts, w.l.NewHost())
	}
	return w, hosts
}

// healing is how long the effects of a cut may last after it: writes to Redis wait for the client's
// time-out of 5 s, and TCP sends again what was lost.
const healing = 10 * second

// inFlight is CONCURRENCY: how many requests of a worker may be at the vendor.
const inFlight = 24

// cutWorker loses packets between a worker's host and others; another worker goes on.
func cutWorker(u *unit, n int, ways []way) {
	w, h := newHosts(u, 3)
	redisHost, cut, whole := h[0], h[1], h[2]
	w.each = 72
	w.l.Use(redistest.StartAt(u.TB, redisHost.Place()).URL)
	w.topUp()
	w.l.WorkersOn(cut, 1)
	w.l.WorkersOn(whole, 1)
	var healed []time.Time
	for range n {
		w.load()
		began := time.Now()
		var heals []func()
		for _, way := range ways {
			from, to := way(cut.IP, redisHost.IP, w.l.Vendor.IP)
			heals = append(heals, e2e.Lose(u.TB, from, to))
		}
		pause(u.between(2*second, 6*second))
		for _, heal := range heals {
			heal()
		}
		healed = append(healed, time.Now())
		w.unrecorded(began.Add(-justBefore), time.Now().Add(healing))
		w.terms.Unsent += inFlight
	}
	w.settle()
	u.sum.recovery = firstAfter(w.l.Vendor.Account(), healed)
	// A connection on which an answer was lost is not used again. But one that is idle at the cut can lose an answer too,
	// when the first ones' slots are free again. A token has two slots, so no more connections than that were open.
	w.atMost(n*2*loadTokens, w.judge(false))
}

// splitCluster cuts a master and a worker off from the rest of a cluster. Both sides reach the vendor. The rest
// makes the master's replica a master.
func splitCluster(u *unit, _ bool) {
	w, h := newHosts(u, 4)
	minority, majority := h[0], h[1:3]
	url, nodes := redistest.StartClusterAt(u.TB, []*redistest.Place{minority.Place(), majority[0].Place(), majority[1].Place()},
		"--cluster-require-full-coverage", "no")
	replica := redistest.StartReplicaAt(u.TB, h[3].Place(), nodes, nodes[0])
	w.l.Use(url)
	w.l.WorkersOn(minority, 1)
	w.l.WorkersOn(majority[0], 1)
	w.split(minority, h[1:], nodes[0], replica, 8*second, 0)
}

// splitSentinel cuts a primary and a worker off from the rest, and Sentinel makes the replica the primary. The
// old primary then has no replica and refuses writes; with waits, its worker waits in vain for a replica and
// makes no call.
func splitSentinel(u *unit, waits bool) {
	w, h := newHosts(u, 3)
	args, most := []string{"--min-replicas-to-write", "1", "--min-replicas-max-lag", "2"}, 0
	if waits {
		w.l.Set("WAIT_REPLICAS", "1")
		args, most = nil, 2*inFlight
	}
	primary, replica := redistest.StartAt(u.TB, h[0].Place(), args...), redistest.StartAt(u.TB, h[1].Place())
	replica.Follow(primary)
	url, _ := redistest.StartSentinelAt(u.TB, h[2].Place(), primary)
	w.l.Use(url)
	w.l.WorkersOn(h[0], 1)
	w.l.WorkersOn(h[1], 1)
	w.split(h[0], h[1:], primary, replica, 12*second, most)
}

// split cuts a master's host off from the others for a while, under load, and judges. No more than most calls
// may be made twice; 0: no limit, since all that only the master recorded are made again.
func (w *world) split(alone *e2e.Host, others []*e2e.Host, master, replica *redistest.Server, d time.Duration, most int) {
	w.Helper()
	w.each = 200 // so that both sides have work for the whole time
	w.topUp()
	w.underLoad()
	replica.CatchUp(master) // so that no batch is lost: the replica has its writes
	from := time.Now()
	var heals []func()
	for _, o := range others {
		heals = append(heals, e2e.LoseBoth(w.TB, alone.IP, o.IP))
	}
	pause(d)
	for _, heal := range heals {
		heal()
	}
	// The writes of the side that was cut off are lost.
	w.terms.LostWrites = true
	w.terms.Unsent += 2 * inFlight
	w.unrecorded(from.Add(-second), time.Now().Add(healing))
	w.tookOver(replica)
	w.enqueueAgain()
	w.settle()
	w.atMost(most, w.judge(false))
}

// atMost limits how many calls may have been made twice; 0: no limit.
func (w *world) atMost(most int, v e2e.Verdict) {
	w.Helper()
	if most > 0 && v.Extra > most {
		w.violation("I5", "%d extra requests, want %d at most", v.Extra, most)
	}
}

// tookOver waits until a replica is the master.
func (w *world) tookOver(replica *redistest.Server) {
	w.Helper()
	rdb := replica.Client()
	w.l.Await("the replica takes over", longWait, func(ctx context.Context) (bool, string) {
		info, err := rdb.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(info, "role:master"), fmt.Sprint(info, err)
	})
	// Sentinel names the new master some time later.
	w.l.Await("Redis answers", longWait, func(ctx context.Context) (bool, string) {
		_, err := w.l.Operator().Status(ctx, w.plans[0].Batch)
		return err == nil, fmt.Sprint(err)
	})
}

// laggingReplica makes a primary die whose replica lacks its last seconds.
func laggingReplica(u *unit, waits bool) {
	w, h := newHosts(u, 4)
	most := 0
	if waits {
		w.l.Set("WAIT_REPLICAS", "1")
		most = 2 * inFlight
	}
	primary, replica := redistest.StartAt(u.TB, h[0].Place()), redistest.StartAt(u.TB, h[1].Place())
	replica.Follow(primary)
	url, _ := redistest.StartSentinelAt(u.TB, h[2].Place(), primary)
	w.l.Use(url)
	w.l.WorkersOn(h[3], 2)
	w.topUp()
	w.underLoad()
	replica.CatchUp(primary)
	from := time.Now()
	_, port, err := net.SplitHostPort(primary.Addr)
	w.must(err == nil, "%v", err)
	heal := e2e.Lose(u.TB, h[0].IP, h[1].IP, "-p", "tcp", "--sport", port)
	pause(2500 * time.Millisecond)
	killed := time.Now()
	primary.Kill()
	w.terms.LostWrites = true
	w.terms.Unsent += 2 * inFlight
	w.tookOver(replica)
	heal()
	primary.Restart() // Sentinel makes it a replica
	w.unrecorded(from.Add(-justBefore), time.Now().Add(healing))
	w.enqueueAgain()
	w.settle()
	u.sum.recovery = firstAfter(w.l.Vendor.Account(), []time.Time{killed.Add(second)})
	w.atMost(most, w.judge(false))
}
