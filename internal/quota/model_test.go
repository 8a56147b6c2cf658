package quota

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is what the scripts ought to do, said again in plain Go for one token, in a
// zone without surprises. Times are in ms.
type model struct {
	t       *rapid.T
	w       *world
	now     int64
	held    map[string]int64 // nonce -> end
	freed   map[string]bool  // nonces
	used    map[string]int
	limit   int
	freeze  int64
	cooling struct {
		until, probe, step int64
		why                string
	}
	queue   []waiting
	forgets int64   // ms: when the queue is given up
	grants  []Grant // all that were made
}

type waiting struct {
	name  string
	since int64
}

const (
	modelLease = 65_000
	modelGuard = 3_000
	modelDay   = 86_400_000
)

func (m *model) day(d int64) string {
	return time.UnixMilli(m.midnight(d)).UTC().Format("20060102")
}

// midnight returns the midnight before now, or the one d days later.
func (m *model) midnight(d int64) int64 { return (m.now/modelDay + d) * modelDay }

func (m *model) free() bool {
	maps.DeleteFunc(m.held, func(_ string, end int64) bool { return end <= m.now })
	return len(m.held) < DefaultSlots
}

// expect returns the reason ("" for a grant) and the time to try again; probing says
// that it is a probe.
func (m *model) expect() (why Reason, retry int64, probing bool) {
	if m.now < m.freeze {
		return ReasonRestart, m.freeze, false
	}
	if m.now < m.midnight(0)+modelGuard {
		return ReasonMidnight, m.midnight(0) + modelGuard, false
	}
	if m.now >= m.midnight(1)-modelGuard {
		return ReasonMidnight, m.midnight(1) + modelGuard, false
	}
	if c := m.cooling; c.until > m.now {
		if c.probe == 0 || c.probe > m.now {
			if c.probe > 0 && c.probe < c.until {
				return ReasonCooling, c.probe, false
			}
			return ReasonCooling, c.until, false
		}
		probing = true
	}
	if m.used[m.day(0)] >= m.limit {
		return ReasonQuota, m.midnight(1) + modelGuard, false
	}
	if m.crosses() && m.used[m.day(1)] >= m.limit {
		return ReasonQuota, m.midnight(2) + modelGuard, false
	}
	if !m.free() {
		return ReasonSlots, slices.Min(slices.Collect(maps.Values(m.held))), false
	}
	return "", 0, probing
}

func (m *model) crosses() bool { return m.now+modelLease+modelGuard >= m.midnight(1) }

func (m *model) try(t *rapid.T) {
	var who waiter
	name, since := "", int64(0)
	if rapid.Bool().Draw(t, "waits") {
		name = rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")
		since = m.now - rapid.Int64Range(0, 1000).Draw(t, "since")
		who = waitAs(name, time.UnixMilli(since))
	}
	why, retry, probing := m.expect()
	d, err := m.w.l.try(m.w.Context(), token, who.name, who.since)
	if err != nil {
		t.Fatal(err)
	}
	if d.Reason != why || d.Granted != (why == "") || why != "" && d.RetryAt.UnixMilli() != retry || d.Now.UnixMilli() != m.now {
		t.Fatalf("at %v got %+v, want %q until %d", time.UnixMilli(m.now).UTC(), d, why, retry)
	}
	if why == ReasonSlots && name != "" {
		m.enqueue(name, since)
		m.forgets = retry + 24*3_600_000
	}
	if why != "" {
		return
	}
	days := m.day(0)
	m.used[days]++
	if m.crosses() {
		m.used[m.day(1)]++
		days += "," + m.day(1)
	}
	want := Grant{Token: token, Nonce: d.Grant.Nonce, Ends: time.UnixMilli(m.now + modelLease), Days: days, Used: m.used[m.day(0)], Limit: m.limit, Probe: probing, Others: len(m.held)}
	if d.Grant != want {
		t.Fatalf("granted %+v, want %+v", d.Grant, want)
	}
	if probing {
		m.cooling.step = min(max(m.cooling.step, 60_000)*2, 4*3_600_000)
		m.cooling.probe = m.now + modelLease + m.cooling.step
	}
	m.held[want.Nonce] = m.now + modelLease
	m.grants = append(m.grants, want)
	m.dequeue(name)
}

func (m *model) enqueue(name string, since int64) {
	if slices.ContainsFunc(m.queue, func(w waiting) bool { return w.name == name }) {
		return
	}
	m.queue = append(m.queue, waiting{name, since})
	slices.SortFunc(m.queue, func(a, b waiting) int {
		return slices.Compare([]string{fmt.Sprintf("%020d", a.since), a.name}, []string{fmt.Sprintf("%020d", b.since), b.name})
	})
}

func (m *model) dequeue(name string) bool {
	n := len(m.queue)
	m.queue = slices.DeleteFunc(m.queue, func(w waiting) bool { return w.name == name })
	return len(m.queue) < n
}

// wake returns the waiter that is woken now.
func (m *model) wake() string {
	if !m.free() || len(m.queue) == 0 {
		return ""
	}
	name := m.queue[0].name
	m.queue = m.queue[1:]
	return name
}

func (m *model) free1(t *rapid.T, back bool) {
	if len(m.grants) == 0 {
		t.Skip("nothing was granted")
	}
	// Mostly one of the last, sometimes one that is long over.
	last := m.grants[max(0, len(m.grants)-4):]
	g := rapid.SampledFrom(last).Draw(t, "grant")
	days := ""
	if back {
		days = g.Days
	}
	woken, held, err := m.w.l.free(m.w.Context(), g, days)
	if err != nil {
		t.Fatal(err)
	}
	// A slot whose lease has ended is its owner's until it is reclaimed, some time.
	running := g.Ends.UnixMilli() > m.now
	if was := m.freed[g.Nonce]; held && was || !held && !was && running {
		t.Fatalf("held %v; freed before %v, running %v", held, was, running)
	}
	m.freed[g.Nonce] = true
	if held && back {
		for _, day := range []string{g.Days[:8], g.Days[len(g.Days)-8:]}[:1+len(g.Days)/17] {
			m.used[day]--
		}
	}
	delete(m.held, g.Nonce)
	if want := m.wake(); nameOf(woken) != want {
		t.Fatalf("woken %q, want %q", woken, want)
	}
}

func (m *model) check(t *rapid.T) {
	u, err := m.w.l.Peek(m.w.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	m.free()
	if u.Used != m.used[m.day(0)] || u.Held != len(m.held) || u.Waiting != len(m.queue) || u.Limit != m.limit {
		t.Fatalf("usage %+v; want used %d, held %d, queue %v, limit %d", u, m.used[m.day(0)], len(m.held), m.queue, m.limit)
	}
	if u.Held > 2 || u.NextDay.UnixMilli() != m.midnight(1)+modelGuard {
		t.Fatalf("usage %+v", u)
	}
}

func (m *model) move(ms int64) {
	m.now += ms
	m.w.setTime(time.UnixMilli(m.now))
	if m.now >= m.forgets {
		m.queue = nil // a queue at which nobody looked for a day is given up
	}
}

func TestModel(t *testing.T) {
	b := startMini(t)
	rapid.Check(t, func(t0 *rapid.T) {
		b.client.FlushAll(t.Context())
		b.setTime(noon)
		w := newWorld(t, b, Settings{Location: time.UTC}, 0)
		w.listen()
		m := &model{t: t0, w: w, now: noon.UnixMilli(), held: map[string]int64{}, freed: map[string]bool{}, used: map[string]int{}, limit: 1000}
		t0.Repeat(map[string]func(*rapid.T){
			"":          m.check,
			"try":       m.try,
			"try again": m.try,
			"release":   func(t *rapid.T) { m.free1(t, false) },
			"give back": func(t *rapid.T) { m.free1(t, true) },
			"wait":      func(t *rapid.T) { m.move(rapid.Int64Range(0, 90_000).Draw(t, "ms")) },
			"wait long": func(t *rapid.T) { m.move(rapid.Int64Range(0, 30*3_600_000).Draw(t, "ms")) },
			"to midnight": func(t *rapid.T) {
				at := m.midnight(1) + rapid.SampledFrom([]int64{-modelLease - modelGuard, -modelLease, -modelGuard, 0, modelGuard}).Draw(t, "edge")
				m.move(max(0, at+rapid.Int64Range(-1, 1).Draw(t, "off")-m.now))
			},
			"to an end": func(t *rapid.T) {
				if len(m.held) == 0 {
					t.Skip("nothing is held")
				}
				m.move(max(0, slices.Min(slices.Collect(maps.Values(m.held)))+rapid.Int64Range(-1, 1).Draw(t, "off")-m.now))
			},
			"use up": func(t *rapid.T) {
				d := rapid.Int64Range(0, 1).Draw(t, "day")
				n := m.limit - rapid.IntRange(0, 2).Draw(t, "left")
				m.used[m.day(d)] = n
				w.use(m.day(d), n)
			},
			"licences": func(t *rapid.T) {
				n := rapid.IntRange(1, 3).Draw(t, "n")
				m.limit = n * 1000
				if err := w.l.SetLicenses(w.Context(), token, n); err != nil {
					t.Fatal(err)
				}
			},
			"freeze": func(t *rapid.T) {
				at := m.now + rapid.Int64Range(-1000, 70_000).Draw(t, "ms")
				m.freeze = max(m.freeze, at)
				w.l.FreezeUntil(time.UnixMilli(at))
			},
			"leave": func(t *rapid.T) {
				name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")
				woken, err := w.l.leave(w.Context(), token, seatOf(name))
				want := ""
				if !m.dequeue(name) {
					want = m.wake()
				}
				if err != nil || nameOf(woken) != want {
					t.Fatalf("woken %q, %v; want %q", woken, err, want)
				}
			},
			"cool": m.coolAction,
			"lift": func(t *rapid.T) {
				m.cooling.until = 0
				if _, err := w.l.Lift(w.Context(), token); err != nil {
					t.Fatal(err)
				}
			},
		})
	})
}

func (m *model) coolAction(t *rapid.T) {
	until := m.now + rapid.Int64Range(1, 8*3_600_000).Draw(t, "ms")
	why := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "why")
	probe := rapid.SampledFrom([]int64{0, 1000, 600_000}).Draw(t, "probe")
	ends, err := m.w.l.Cool(m.w.Context(), token, time.UnixMilli(until), why, time.Duration(probe)*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	c := &m.cooling
	if c.until <= m.now || c.until <= until {
		if c.until <= m.now || c.why != why {
			c.probe, c.step = 0, 0
		}
		c.until, c.why = until, why
		if probe > 0 && c.probe == 0 {
			c.probe, c.step = m.now+probe, probe
		}
	}
	if ends.UnixMilli() != c.until {
		t.Fatalf("cools until %v, want %d", ends, c.until)
	}
}
