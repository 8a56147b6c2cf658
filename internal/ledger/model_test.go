package ledger

import (
	goflag "flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"habilita/internal/testkit/redistest"
)

// model is what the outside knows: what was appended in which order, and which
// requests may be at the vendor. After every step the invariants are checked too.
type model struct {
	*harness
	rt         *rapid.T
	policies   map[string]string
	order      map[string][]*modelCall // by chain, in the order in which they joined
	delayed    []*modelCall
	all        []*modelCall
	attempts   []*modelAttempt
	dispatches []Dispatch
	ids        int
}

type modelCall struct {
	batch, token, chain, key string
	at                       int64
	row                      int
	gone                     State // purged in this state
}

type modelAttempt struct {
	Attempt
	complete bool // the vendor has answered, or nothing was sent
}

// checkModel checks a model on an empty miniredis each time.
func checkModel(t *testing.T, with func(*rapid.T) setup, check func(*rapid.T, *harness)) {
	// miniredis makes a Lua state for every script: do fewer runs, unless a number is given.
	if f := goflag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := goflag.Set("rapid.checks", "20"); err != nil {
			t.Fatal(err)
		}
	}
	mini := redistest.Mini(t)
	client := redis.NewClient(&redis.Options{Addr: mini.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	rapid.Check(t, func(rt *rapid.T) {
		mini.FlushAll()
		h := newHarness(t, redistest.Backend{Client: client, SetTime: mini.SetTime, Mini: mini}, with(rt))
		h.fatalf = rt.Fatalf
		check(rt, h)
	})
}

func TestModel(t *testing.T) {
	graces := func(rt *rapid.T) setup { return setup{grace: pick(rt, "grace", []time.Duration{0, time.Second})} }
	checkModel(t, graces, func(rt *rapid.T, h *harness) {
		m := &model{harness: h, rt: rt, order: map[string][]*modelCall{},
			policies: map[string]string{NoBatch: "hold", "h1": "hold", "h2": "hold", "s1": "skip", "c1": "cancel", "c2": "cancel"}}
		// One token is near its quota.
		day := fmt.Sprint(h.settings.Args(h.now(), 0, false)[8])
		h.no(h.rdb.Set(h.ctx, h.prefix+":{ab}:used:"+tok(3)+":"+day, 995, 0).Err())
		rt.Repeat(map[string]func(*rapid.T){
			"append": m.append, "append ": m.append, "dispatch": m.dispatch, "begin": m.begin, "begin ": m.begin, "begin  ": m.begin,
			"finish": m.finish, "finish ": m.finish, "finish  ": m.finish,
			"jump": m.jump, "decide": m.decide, "requeue": m.requeue,
			"cancel chain": m.cancelChain, "cancel batch": m.cancelBatch, "purge": m.purge,
			"prune": m.prune, "reopen": m.reopen,
		})
		m.drain()
	})
}

func pick[T any](rt *rapid.T, what string, from []T) T { return rapid.SampledFrom(from).Draw(rt, what) }

// recent returns one of the last of a list, the last most often; nil if there is none.
func recent[T any](rt *rapid.T, what string, from []T) *T {
	if len(from) == 0 {
		rt.Skip("none yet")
	}
	back := rapid.IntRange(0, min(7, len(from)-1)).Draw(rt, what)
	return &from[len(from)-1-back]
}

func (m *model) batch() string {
	return pick(m.rt, "batch", []string{NoBatch, "h1", "h2", "s1", "c1", "c2"})
}

func (m *model) chainID() (token, name string) {
	return tok(rapid.IntRange(1, 3).Draw(m.rt, "token")), pick(m.rt, "chain", []string{"", "", "two words", "z"})
}

func (m *model) state(c *modelCall) State {
	if c.gone != "" {
		return c.gone
	}
	have, err := m.l.Call(m.ctx, c.batch, c.token, c.key)
	m.no(err)
	return have.State
}

// granted checks what must hold whenever a request may be sent.
func (m *model) granted(s *Step) {
	if s.Woken != nil {
		m.dispatches = append(m.dispatches, *s.Woken)
	}
	if s.Status != Running {
		return
	}
	a, found := s.Attempt, false
	for _, c := range m.order[a.Chain] {
		if c.batch == a.Batch && c.key == a.Key {
			found = true
			break
		}
		switch st := m.state(c); {
		case st == StateSucceeded, st == StateSkipped, st == StateCancelled:
		case st == StateFailed && m.policies[c.batch] != "hold":
		default:
			m.fatalf("%s of chain %s starts before %s, which is %s", a.Key, a.Chain, c.key, st)
		}
	}
	if !found {
		m.fatalf("%+v starts, and was never appended to that chain", a)
	}
	token, _ := SplitChainID(a.Chain)
	flying := 1
	for _, o := range m.attempts {
		if o.complete || !o.LeaseEnds.After(m.now()) {
			continue
		}
		if o.Chain == a.Chain {
			m.fatalf("chain %s has two requests at the vendor: %s and %s", a.Chain, o.Nonce, a.Nonce)
		}
		if of, _ := SplitChainID(o.Chain); of == token {
			flying++
		}
	}
	if flying > m.settings.Slots {
		m.fatalf("token %s has %d requests at the vendor", token, flying)
	}
	m.attempts = append(m.attempts, &modelAttempt{Attempt: a})
}

// drain lets a good worker and a good vendor work until nothing is left: nothing is
// stuck, and nothing was lost.
func (m *model) drain() {
	for range 3000 {
		m.dispatch(m.rt)
		busy := false
		for _, f := range m.dispatched {
			s := m.harness.begin(f)
			m.granted(s)
			if s.Status == Running {
				a := m.attempts[len(m.attempts)-1]
				a.complete = true
				m.granted(m.harness.finish(a.Attempt, Outcome{Kind: Done}, false))
			}
			busy = true
		}
		for c, err := range m.l.Chains(m.ctx, []string{testTag}, true) {
			m.no(err)
			busy = m.harness.decide(c.ID, DecisionSkip, Meant{}) || busy
		}
		if busy {
			continue
		}
		all, err := m.l.Inspect(m.ctx)
		m.no(err)
		if len(all) == 0 {
			m.ended()
			return
		}
		if all[0].Ready == 0 {
			if all[0].NextDue.IsZero() {
				m.fatalf("nothing will ever happen to %+v", all[0])
			}
			if d := all[0].NextDue.Sub(m.now()); d > 0 {
				m.pass(d)
			}
		}
	}
	m.fatalf("it does not end: %v", m.chain(tok(1)))
}

func (m *model) ended() {
	for _, c := range m.all {
		if st := m.state(c); st.Open() {
			m.fatalf("%s of chain %s is %s at the end", c.key, c.chain, st)
		}
	}
	for batch := range m.policies {
		if n := m.counts(batch); n.Open() != 0 || n.HeldChains != 0 || n.Blocked != 0 || !n.Settled() {
			m.fatalf("batch %s at the end: %+v", batch, n)
		}
	}
	for _, key := range m.rdb.Keys(m.ctx, "*").Val() {
		for _, kind := range []string{"}:chain:", "}:queue:", "}:ready", "}:due", "}:held", "}:delayed"} {
			if strings.Contains(key, kind) {
				m.fatalf("%s is left at the end", key)
			}
		}
	}
}
