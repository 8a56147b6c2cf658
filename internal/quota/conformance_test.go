package quota

import (
	"math"
	"testing"
	"time"
)

// Leases and guards for tests in real time.
const (
	shortLease = 2 * time.Second
	shortGuard = 500 * time.Millisecond
)

// conformance is what holds on every Redis. Each case gets a world of its own.
var conformance = map[string]func(testing.TB, backend){
	"slots":                        testSlots,
	"one slot":                     testOneSlot,
	"lease end frees":              testLeaseEndFrees,
	"owner alone":                  testOwnerAlone,
	"longer lease survives":        testLongerLeaseSurvives,
	"same nonce once":              testSameNonceOnce,
	"give back":                    testGiveBack,
	"midnight":                     testMidnight,
	"both days":                    testBothDays,
	"quota":                        testQuota,
	"tomorrow is used":             testTomorrowIsUsed,
	"licences":                     testLicenses,
	"cooling":                      testCooling,
	"probe":                        testProbe,
	"probes grow":                  testProbesGrow,
	"probe needs a slot":           testProbeNeedsSlot,
	"cooling again":                testCoolingAgain,
	"lost reply of a lift":         testLostReplyOfALift,
	"waiters":                      testWaiters,
	"wake needs a slot":            testWakeNeedsSlot,
	"leave":                        testLeave,
	"queues end":                   testQueuesEnd,
	"peek":                         testPeek,
	"freeze":                       testFreeze,
	"order of reasons":             testOrderOfReasons,
	"clock":                        testClockOff,
	"clock a day behind":           testDayBehind,
	"acquire":                      testAcquire,
	"acquire not now":              testAcquireNotNow,
	"acquire cancelled":            testAcquireCancelled,
	"acquire passes on":            testAcquirePassesOn,
	"acquire passes over the dead": testAcquirePassesOverTheDead,
	"acquire all learn":            testAcquireAllLearn,
	"acquire dead holder":          testAcquireDeadHolder,
	"restore":                      testRestore,
	"raise":                        testRaise,
	"raise at midnight":            testRaiseAtMidnight,
}

func TestMiniredis(t *testing.T) {
	for name, run := range conformance {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, startMini(t))
		})
	}
}

func TestRedis(t *testing.T) {
	b := startReal(t)
	for name, run := range conformance {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, b)
		})
	}
}

func testMidnight(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{Guard: shortGuard, Lease: time.Millisecond}, 2*time.Second)
	if w.exact() {
		w.reach(w.midnight.Add(-shortGuard - time.Millisecond))
		w.granted()
	}
	w.reach(w.midnight.Add(-shortGuard))
	d := w.refused(ReasonMidnight)
	w.at("retry", d.RetryAt, w.midnight.Add(shortGuard))
	w.reach(w.midnight)
	d = w.refused(ReasonMidnight)
	w.at("retry", d.RetryAt, w.midnight.Add(shortGuard))
	if w.exact() {
		w.reach(w.midnight.Add(shortGuard - time.Millisecond))
		w.refused(ReasonMidnight)
	}
	w.reach(d.RetryAt)
	g := w.granted()
	if g.Days != w.day(w.midnight) {
		t.Fatalf("after midnight it is counted on %s", g.Days)
	}
}

func testBothDays(t testing.TB, b backend) {
	const lease = 20 * time.Second
	w := newWorld(t, b, Settings{Guard: shortGuard, Lease: lease}, 2*time.Second)
	today, tomorrow := w.day(w.now), w.day(w.midnight)
	kept, back := w.granted(), w.granted()
	if kept.Days != today+","+tomorrow || w.used(today) != 2 || w.used(tomorrow) != 2 {
		t.Fatalf("counted on %s: %d, %d", kept.Days, w.used(today), w.used(tomorrow))
	}
	w.reach(w.midnight.Add(shortGuard))
	w.giveBack(back, true, "")
	if w.used(today) != 1 || w.used(tomorrow) != 1 || w.peek().Used != 1 {
		t.Fatalf("after midnight %d and %d are left", w.used(today), w.used(tomorrow))
	}
	if g := w.granted(); g.Days != tomorrow || g.Used != 2 {
		t.Fatalf("the next day's %+v", g)
	}
	if !w.exact() {
		return
	}
	// The edge: the lease and the guard.
	next := w.midnight.Add(24 * time.Hour)
	w.reach(next.Add(-lease - shortGuard - time.Millisecond))
	if g := w.granted(); g.Days != tomorrow {
		t.Fatalf("a lease that ends before midnight is counted on %s", g.Days)
	}
	w.reach(next.Add(-lease - shortGuard))
	if g := w.granted(); g.Days != tomorrow+","+w.day(next) {
		t.Fatalf("a lease that ends at midnight is counted on %s", g.Days)
	}
}

func testQuota(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{Guard: shortGuard, Lease: time.Millisecond}, 2*time.Second)
	today := w.day(w.now)
	w.use(today, 998)
	if err := w.l.Release(t.Context(), w.granted()); err != nil {
		t.Fatal(err)
	}
	g := w.granted()
	if g.Used != 1000 || g.Limit != 1000 {
		t.Fatalf("the last one: %+v", g)
	}
	w.reach(g.Ends)
	d := w.refused(ReasonQuota)
	w.at("retry", d.RetryAt, w.midnight.Add(shortGuard))
	if u := w.peek(); u.Left() != 0 || u.Used != 1000 {
		t.Fatalf("usage %+v", u)
	}
	w.refused(ReasonQuota)
	if n := w.used(today); n != 1000 {
		t.Fatalf("refusals used the quota: %d", n)
	}
	w.reach(d.RetryAt)
	if g := w.granted(); g.Used != 1 {
		t.Fatalf("the next day's first: %+v", g)
	}
}

// A request that may count tomorrow needs tomorrow's quota too.
func testTomorrowIsUsed(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{Guard: shortGuard, Lease: time.Hour}, 10*time.Minute)
	w.use(w.day(w.midnight), 1000)
	d := w.refused(ReasonQuota)
	w.at("retry", d.RetryAt, w.midnight.Add(24*time.Hour+shortGuard))
	if n := w.used(w.day(w.now)); n != 0 {
		t.Fatalf("used %d", n)
	}
	if u := w.peek(); u.Held != 0 {
		t.Fatalf("usage %+v", u)
	}
}

func testLicenses(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{DefaultLicenses: 4}, 0)
	if g := w.granted(); g.Limit != 4000 {
		t.Fatalf("default limit %d", g.Limit)
	}
	for _, n := range []int{3, 7, 1} {
		if err := w.l.SetLicenses(t.Context(), token, n); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{0, -1, MaxLicenses + 1, math.MaxInt} {
		if err := w.l.SetLicenses(t.Context(), token, n); err != ErrLicenses {
			t.Fatalf("%d licences: %v", n, err)
		}
	}
	if u := w.peek(); u.Licenses != 1 || u.Limit != 1000 {
		t.Fatalf("usage %+v", u)
	}
	if g := w.granted(); g.Limit != 1000 {
		t.Fatalf("limit %d, want the last one given", g.Limit)
	}
	other, err := w.l.Peek(t.Context(), "k7other")
	if err != nil || other.Licenses != 4 {
		t.Fatalf("another token: %+v, %v", other, err)
	}
}

func testPeek(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	names := []string{"zz1", token, "aa2", token}
	if u := w.peek(); u.Used != 0 || u.Left() != 1000 || u.Held != 0 || !u.CoolingUntil.IsZero() || !u.Probe.IsZero() {
		t.Fatalf("usage of nothing %+v", u)
	}
	if n := len(w.client.Keys(t.Context(), w.l.settings.Prefix+":*").Val()); n != 0 {
		t.Fatalf("a peek left %d keys", n)
	}
	w.granted()
	w.granted()
	w.refused(ReasonSlots, waitAs("me", time.Time{}))
	w.client.ScriptFlush(t.Context())
	for range 3 {
		all, err := w.l.PeekMany(t.Context(), names)
		if err != nil {
			t.Fatal(err)
		}
		for i, u := range all {
			if u.Token != names[i] {
				t.Fatalf("%s at %d, want %s", u.Token, i, names[i])
			}
		}
		if u := all[1]; u.Used != 2 || u.Held != 2 || u.Waiting != 1 || u.Left() != 998 {
			t.Fatalf("usage %+v", u)
		}
		w.at("next day", all[1].NextDay, w.midnight.Add(DefaultGuard))
	}
	if _, err := w.l.PeekMany(t.Context(), []string{token, "x"}); err != ErrName {
		t.Fatal(err)
	}
}

func testFreeze(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	until := w.now.Add(2 * time.Second).Truncate(time.Millisecond)
	w.l.FreezeUntil(until)
	w.l.FreezeUntil(until.Add(-time.Hour)) // never shortened
	d := w.refused(ReasonRestart)
	w.at("retry", d.RetryAt, until)
	if u := w.peek(); u.Used != 0 || u.Held != 0 {
		t.Fatalf("usage %+v", u)
	}
	if w.exact() {
		w.reach(until.Add(-time.Millisecond))
		w.refused(ReasonRestart)
	}
	w.reach(until)
	w.granted()
}

// A reason that lasts longer than slots comes first, so that nobody queues for nothing.
func testOrderOfReasons(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{}, 0)
	w.granted()
	w.granted()
	w.use(w.day(w.now), 1000)
	w.refused(ReasonQuota, waitAs("me", time.Time{}))
	if _, err := w.l.Cool(t.Context(), token, w.now.Add(time.Hour), "closed", 0); err != nil {
		t.Fatal(err)
	}
	w.refused(ReasonCooling, waitAs("me", time.Time{}))
	w.l.FreezeUntil(w.now.Add(time.Hour))
	w.refused(ReasonRestart, waitAs("me", time.Time{}))
	if u := w.peek(); u.Waiting != 0 {
		t.Fatalf("%d in the queue", u.Waiting)
	}
}

// A worker's clock may be off by days: the server's decides.
func testClockOff(t testing.TB, b backend) {
	for _, off := range []time.Duration{-48 * time.Hour, 48 * time.Hour, -400 * 24 * time.Hour, 5 * time.Hour} {
		w := newWorld(t, b, Settings{}, 0)
		w.l.clock.Observe(w.now.Add(off).UnixMilli())
		if u := w.peek(); u.NextDay.UnixMilli() != w.midnight.Add(DefaultGuard).UnixMilli() {
			t.Fatalf("off by %v: %+v", off, u)
		}
		w.l.clock.Observe(w.now.Add(off).UnixMilli())
		g := w.granted()
		if g.Days != w.day(w.now) {
			t.Fatalf("off by %v it is counted on %s", off, g.Days)
		}
		if late := w.l.Now().Sub(w.now); late < -time.Second || late > 30*time.Second {
			t.Fatalf("after an answer the clock is off by %v", late)
		}
		w.giveBack(g, true, "")
	}
}

// A day behind is within the four days: no second call, and the last of them count.
func testDayBehind(t testing.TB, b backend) {
	w := newWorld(t, b, Settings{Guard: shortGuard, Lease: time.Hour}, 10*time.Minute)
	s := w.spied()
	behind := w.now.Add(-24 * time.Hour).UnixMilli()
	w.l.clock.Observe(behind)
	if g := w.granted(); g.Days != w.day(w.now)+","+w.day(w.midnight) || s.scripts.Load() != 1 {
		t.Fatalf("%d calls: %+v", s.scripts.Load(), g)
	}
	w.use(w.day(w.midnight), 1000)
	w.l.clock.Observe(behind)
	w.at("retry", w.refused(ReasonQuota).RetryAt, w.midnight.Add(24*time.Hour+shortGuard))
}
