package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

func (m *model) append(rt *rapid.T) {
	batch := m.batch()
	a := Append{Batch: batch, Policy: m.policies[batch], AtOnce: rapid.Bool().Draw(rt, "at once")}
	var added []*modelCall
	for range rapid.IntRange(1, 4).Draw(rt, "calls") {
		token, name := m.chainID()
		c := &modelCall{batch: batch, token: token, chain: ChainID(token, name), key: GivenKey(fmt.Sprint(m.ids)), row: rapid.IntRange(0, 9).Draw(rt, "row")}
		m.ids++
		call := NewCall{Token: token, Chain: name, Key: c.key, Server: "0001", Sealed: "s", Row: c.row}
		if rapid.IntRange(0, 3).Draw(rt, "scheduled") == 0 {
			call.At = m.now().Add(time.Duration(rapid.IntRange(-1, 90).Draw(rt, "in")) * time.Second)
			c.at = call.At.UnixMilli()
		}
		if rapid.IntRange(0, 9).Draw(rt, "licences") == 0 {
			call.Licenses = rapid.IntRange(1, 3).Draw(rt, "how many")
		}
		a.Calls = append(a.Calls, call)
		added = append(added, c)
	}
	var revived []*modelCall
	if rapid.IntRange(0, 3).Draw(rt, "again") == 0 { // known ones, in any place
		for _, c := range m.all {
			if c.batch == batch && c.gone == "" {
				token, name := SplitChainID(c.chain)
				a.Calls = append(a.Calls, NewCall{Token: token, Chain: name, Key: c.key, Server: "0001", Sealed: "s"})
				if m.newAgain(c) {
					revived = append(revived, c)
				}
			}
		}
	}
	if m.rdb.HGet(m.ctx, m.prefix+":{ab}:counts:"+batch, "x").Val() == "1" {
		if _, err := m.l.Append(m.ctx, a); !errors.Is(err, ErrCancelled) {
			m.fatalf("a cancelled batch took calls: %v", err)
		}
		m.check()
		return
	}
	done := m.appendAs(a)
	m.is(newOnes(done), len(added)+len(revived))
	m.dispatches = append(m.dispatches, done.Dispatches...)
	m.all = append(m.all, added...)
	for _, c := range added {
		if c.at > m.now().UnixMilli() {
			m.delayed = append(m.delayed, c)
		} else {
			m.order[c.chain] = append(m.order[c.chain], c)
		}
	}
	for _, c := range revived {
		c.at = 0
		is := func(o *modelCall) bool { return o == c }
		m.delayed = slices.DeleteFunc(m.delayed, is)
		m.order[c.chain] = append(slices.DeleteFunc(m.order[c.chain], is), c)
	}
}

func (m *model) dispatch(rt *rapid.T) {
	// Calls that are due at the same time join their chain in the order in which they were given.
	slices.SortStableFunc(m.delayed, func(a, b *modelCall) int { return cmp.Compare(a.at, b.at) })
	for len(m.delayed) > 0 && m.delayed[0].at <= m.now().UnixMilli() {
		c := m.delayed[0]
		m.delayed = m.delayed[1:]
		m.order[c.chain] = append(m.order[c.chain], c)
	}
	m.dispatches = append(m.dispatches, m.harness.dispatchDue().Dispatches...)
}

func (m *model) begin(rt *rapid.T) { m.granted(m.harness.begin(*recent(rt, "dispatch", m.dispatches))) }

func (m *model) requeue(rt *rapid.T) {
	_, err := m.l.Requeue(m.ctx, *recent(rt, "dispatch", m.dispatches))
	m.no(err)
	m.check()
}

func (m *model) finish(rt *rapid.T) {
	a := *recent(rt, "attempt", m.attempts)
	o := pick(rt, "outcome", []Outcome{
		{Kind: Done}, {Kind: Done}, {Kind: Done}, {Kind: Fail}, {Kind: Fail, Delay: 20 * time.Second}, {Kind: Fail, Slot: Keep},
		{Kind: PushBack}, {Kind: NotSent, Slot: GiveBack}, {Kind: Late, Slot: GiveBack}, {Kind: GiveUp}, {Kind: GiveUp, Slot: Keep},
		{Kind: PushBack, Cooling: Cooling{Until: m.now().Add(30 * time.Second), Why: "w", ProbeAfter: 5 * time.Second}},
		{Kind: Done, Cooling: Cooling{Lift: true}},
	})
	if a.complete && o.Slot == Keep {
		return
	}
	if o.Slot != Keep {
		a.complete = true
	}
	m.granted(m.harness.finishOn(a.Attempt, o, pick(rt, "go on", []GoOn{Stop, Own, Any, Any})))
}

func (m *model) jump(rt *rapid.T) {
	m.pass(pick(rt, "time", []time.Duration{time.Millisecond, time.Second, 11 * time.Second, longLease, longLease, 6 * time.Hour}))
}

func (m *model) decide(rt *rapid.T) {
	token, name := m.chainID()
	m.harness.decide(ChainID(token, name), pick(rt, "decision", []Decision{DecisionRetry, DecisionSkip}), Meant{})
}

func (m *model) cancelChain(rt *rapid.T) {
	if rapid.IntRange(0, 3).Draw(rt, "really") > 0 {
		return
	}
	token, name := m.chainID()
	m.harness.cancelChain(ChainID(token, name), Meant{}, rapid.Bool().Draw(rt, "held only"))
}

func (m *model) cancelBatch(rt *rapid.T) {
	if rapid.IntRange(0, 5).Draw(rt, "really") > 0 {
		return
	}
	m.harness.cancelBatch(m.batchButSolo())
}

func (m *model) batchButSolo() string {
	return pick(m.rt, "batch", []string{"h1", "h2", "s1", "c1", "c2"})
}

// newAgain reports whether the call was pruned, or cancelled unsent with its batch.
func (m *model) newAgain(c *modelCall) bool {
	raw, err := m.rdb.HGet(m.ctx, m.prefix+":{ab}:calls:"+c.batch, c.token+c.key).Result()
	m.no(err)
	return strings.HasPrefix(raw, `["p"`)
}

// prune cancels some calls that a file brought: those that wait, and held heads, and no others.
func (m *model) prune(rt *rapid.T) {
	batch := m.batchButSolo()
	which := pick(rt, "which", []Pruned{FromFile, NeverSent})
	var fields []string
	var of []*modelCall
	was := map[*modelCall]Call{}
	held := map[string]bool{}
	for c, err := range m.l.Chains(m.ctx, []string{testTag}, true) {
		m.no(err)
		held[c.Head.Batch+" "+c.Head.Field()] = true
	}
	for _, c := range m.all {
		if c.batch != batch || c.gone != "" || rapid.IntRange(0, 2).Draw(rt, "this") > 0 {
			continue
		}
		have, err := m.l.Call(m.ctx, c.batch, c.token, c.key)
		m.no(err)
		fields, of, was[c] = append(fields, c.token+c.key), append(of, c), have
	}
	n, err := m.l.Prune(m.ctx, batch, which, fields)
	m.no(err)
	m.check()
	for _, c := range of {
		w := was[c]
		goes := (w.State == StateQueued || w.State == StateWaiting || w.State == StateFailed && held[batch+" "+w.Field()]) &&
			(which == FromFile && w.Row > 0 || which == NeverSent && w.Attempts == 0)
		switch st := m.state(c); {
		case goes && !m.newAgain(c):
			m.fatalf("%s of chain %s was not pruned: it was %s and is %s", c.key, c.chain, w.State, st)
		case goes:
			n--
		case st != w.State:
			m.fatalf("%s of chain %s is %s, it was %s", c.key, c.chain, st, w.State)
		}
	}
	m.is(n, 0)
}

func (m *model) reopen(rt *rapid.T) {
	m.no(m.l.Reopen(m.ctx, m.batchButSolo(), []string{testTag}))
	m.check()
}

func (m *model) purge(rt *rapid.T) {
	batch := m.batch()
	before := map[*modelCall]State{}
	for _, c := range m.all {
		if c.batch == batch && c.gone == "" {
			before[c] = m.state(c)
		}
	}
	m.harness.purge(batch, m.now())
	for c, was := range before {
		_, err := m.l.Call(m.ctx, c.batch, c.token, c.key)
		if err != nil {
			if was.Open() || was == StateFailed && m.policies[batch] == "hold" {
				m.fatalf("%s was purged and is %s", c.key, was)
			}
			c.gone = was
		}
	}
}
