package ledger

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
)

const (
	testTag   = "ab"
	longLease = 65 * time.Second
	// shortLease is a lease whose end a test on a real Redis waits for.
	shortLease = 50 * time.Millisecond
)

// tok returns the name of the nth token of the bucket testTag.
func tok(n int) string {
	b := []byte(testTag + "aaaaaaaaaaaaaaaaaaaaaa")
	for i := len(b) - 1; n > 0; i-- {
		b[i] = alphabet[n%32]
		n /= 32
	}
	return string(b)
}

// harness drives a ledger one step at a time and checks all that is stored after each.
type harness struct {
	t          testing.TB
	fatalf     func(string, ...any)
	ctx        context.Context
	l          *Ledger
	rdb        redis.UniversalClient
	b          redistest.Backend
	prefix     string
	settings   quota.Settings
	at         time.Time // of a Redis whose time can be set
	nonces     int
	dispatched map[string]Dispatch          // not yet begun, by chain
	away       string                       // servers whose calls are put off
	unchecked  bool                         // no check after each step, for large amounts
	last       map[string]map[string]string // chains at the last check
}

type setup struct {
	lease       time.Duration
	grace       time.Duration
	maxAttempts int
	licenses    int
	slots       int
	prefix      string
}

func newHarness(t testing.TB, b redistest.Backend, s setup) *harness {
	t.Helper()
	if s.lease == 0 {
		s.lease = longLease
	}
	if s.maxAttempts == 0 {
		s.maxAttempts = 3
	}
	if s.prefix == "" {
		s.prefix = "habilita"
	}
	h := &harness{t: t, fatalf: t.Fatalf, ctx: t.Context(), rdb: b.Client, b: b, prefix: s.prefix, dispatched: map[string]Dispatch{}}
	// It is noon, whenever the test runs.
	now := time.Now().Truncate(time.Millisecond)
	if b.SetTime != nil {
		h.at = now
		b.SetTime(now)
	}
	sinceMidnight := now.UTC().Sub(now.UTC().Truncate(24 * time.Hour))
	zone := time.FixedZone("noon", int((12*time.Hour - sinceMidnight).Seconds()))
	var err error
	h.settings, err = quota.Settings{
		Lease: s.lease, Slots: s.slots, DefaultLicenses: s.licenses, Guard: time.Millisecond, Location: zone,
	}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	h.l = New(b.Client, Options{Prefix: s.prefix, MaxAttempts: s.maxAttempts, Grace: s.grace, Admission: Admission{
		Library: quota.Library(),
		Args:    func() []any { return h.settings.Args(h.now(), 0, false) },
	}})
	return h
}

// both runs f on a miniredis and on a real Redis.
func both(t *testing.T, s setup, f func(h *harness)) {
	t.Helper()
	redistest.Both(t, func(t *testing.T, b redistest.Backend) { f(newHarness(t, b, s)) })
}

// mini runs f on a miniredis, for a test in which more time passes than it may take.
func mini(t *testing.T, s setup, f func(h *harness)) {
	t.Helper()
	m := redistest.Mini(t)
	c := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = c.Close() })
	f(newHarness(t, redistest.Backend{Name: "miniredis", Client: c, Addr: m.Addr(), SetTime: m.SetTime, Mini: m}, s))
}

func (h *harness) now() time.Time {
	if h.b.SetTime != nil {
		return h.at
	}
	return time.Now()
}

// pass lets time pass: at once if it can be set.
func (h *harness) pass(d time.Duration) {
	if h.b.SetTime != nil {
		h.at = h.at.Add(d)
		h.b.SetTime(h.at)
		return
	}
	<-time.After(d + 2*time.Millisecond)
}

func (h *harness) no(err error) {
	if err != nil {
		h.t.Helper()
		h.fatalf("%v", err)
	}
}

func (h *harness) check() {
	if h.unchecked {
		h.last = nil
		return
	}
	h.t.Helper()
	h.invariants()
}

func (h *harness) nonce() string {
	h.nonces++
	return fmt.Sprintf("n%d", h.nonces)
}

// calls makes calls of one chain with given ids.
func calls(token, chain string, ids ...string) []NewCall {
	out := make([]NewCall, len(ids))
	for i, id := range ids {
		out[i] = NewCall{Token: token, Chain: chain, Key: GivenKey(id), Server: "0001", Sealed: "sealed of " + token}
	}
	return out
}

func (h *harness) append(batch, policy string, lists ...[]NewCall) Appended {
	h.t.Helper()
	return h.appendAs(Append{Batch: batch, Policy: policy, Calls: slices.Concat(lists...)})
}

func (h *harness) appendAs(a Append) Appended {
	h.t.Helper()
	done, err := h.l.Append(h.ctx, a)
	h.no(err)
	for _, f := range done.Dispatches {
		h.dispatched[f.Chain] = f
	}
	h.check()
	return done
}

// news returns, for each call of an Append, whether it was new.
func news(done Appended) (out []bool) {
	for _, landing := range []byte(done.Received[0].Landings) {
		out = append(out, Landing(landing) == Fresh)
	}
	return out
}

// known returns how many calls of an Append were known.
func known(done Appended) (n int) {
	for _, landing := range []byte(done.Received[0].Landings) {
		if Landing(landing).Known() {
			n++
		}
	}
	return n
}

// dispatchBucket dispatches from one bucket.
func (h *harness) dispatchBucket(tag string, most int) (Dispatched, error) {
	all, err := h.l.DispatchAll(h.ctx, []string{tag}, most)
	return all[0], err
}

func (h *harness) dispatchDue() Dispatched {
	h.t.Helper()
	p, err := h.dispatchBucket(testTag, 1000)
	h.no(err)
	for _, f := range p.Dispatches {
		h.dispatched[f.Chain] = f
	}
	h.check()
	return p
}

// dispatchOne dispatches the chain that is ready first.
func (h *harness) dispatchOne() Dispatch {
	h.t.Helper()
	p, err := h.dispatchBucket(testTag, 1)
	h.no(err)
	h.is(len(p.Dispatches), 1)
	return p.Dispatches[0]
}

// dispatch dispatches from and returns the dispatch of a chain.
func (h *harness) dispatch(chain string) Dispatch {
	h.t.Helper()
	h.dispatchDue()
	f, ok := h.dispatched[chain]
	if !ok {
		h.fatalf("chain %s was not dispatched; it is %+v", chain, h.chain(chain))
	}
	return f
}

func (h *harness) begin(f Dispatch) *Step {
	h.t.Helper()
	s, err := h.l.Begin(h.ctx, f, h.nonce(), h.away)
	h.no(err)
	if h.dispatched[f.Chain] == f {
		delete(h.dispatched, f.Chain)
	}
	if s.Woken != nil {
		h.dispatched[s.Woken.Chain] = *s.Woken
	}
	h.check()
	return s
}

// start dispatches and begins a chain that must be granted.
func (h *harness) start(chain string) Attempt {
	h.t.Helper()
	s := h.begin(h.dispatch(chain))
	h.is(s.Status, Running)
	return s.Attempt
}

func (h *harness) finish(a Attempt, o Outcome, goOn bool) *Step {
	h.t.Helper()
	if goOn {
		return h.finishOn(a, o, Own)
	}
	return h.finishOn(a, o, Stop)
}

func (h *harness) finishOn(a Attempt, o Outcome, on GoOn) *Step {
	h.t.Helper()
	if o.Slot == "" {
		o.Slot = Release
	}
	s, err := h.l.Finish(h.ctx, &a, o, on, h.nonce(), h.away)
	h.no(err)
	if s.Woken != nil {
		h.dispatched[s.Woken.Chain] = *s.Woken
	}
	h.check()
	return s
}

// end finishes an attempt; the run does not go on.
func (h *harness) end(a Attempt, kind Kind) *Step {
	h.t.Helper()
	return h.finish(a, Outcome{Kind: kind}, false)
}

func (h *harness) decide(chain string, d Decision, m Meant) bool {
	h.t.Helper()
	n, err := h.l.Decide(h.ctx, []string{chain}, d, m)
	h.no(err)
	h.check()
	return n == 1
}

func (h *harness) cancelBatch(batch string) int {
	h.t.Helper()
	n, err := h.l.CancelBatch(h.ctx, batch, []string{testTag})
	h.no(err)
	h.check()
	return n
}

func (h *harness) cancelChain(chain string, m Meant, heldOnly bool) int {
	h.t.Helper()
	n, err := h.l.CancelChains(h.ctx, []string{chain}, m, heldOnly)
	h.no(err)
	h.check()
	return n
}

// chain returns a chain's state; the zero value if it is idle.
func (h *harness) chain(id string) Chain {
	h.t.Helper()
	for c, err := range h.l.Chains(h.ctx, []string{Tag(id)}, false) {
		h.no(err)
		if c.ID == id {
			return c
		}
	}
	return Chain{}
}

func (h *harness) call(batch, token, id string) Call {
	h.t.Helper()
	c, err := h.l.Call(h.ctx, batch, token, GivenKey(id))
	h.no(err)
	return c
}

// states returns the states of calls, in a row.
func (h *harness) states(batch, token string, ids ...string) string {
	h.t.Helper()
	out := ""
	for _, id := range ids {
		out += string(h.call(batch, token, id).State[:2]) + " "
	}
	return out
}

func (h *harness) counts(batch string) Counts {
	h.t.Helper()
	c, err := h.l.Counts(h.ctx, batch, []string{testTag})
	h.no(err)
	return c
}

// peek returns what the token has used and its slots held.
func (h *harness) peek(token string) (used, slots int) {
	h.t.Helper()
	p := h.prefix + ":{" + testTag + "}:"
	day := fmt.Sprint(h.settings.Args(h.now(), 0, false)[8])
	n, err := h.rdb.Get(h.ctx, p+"used:"+token+":"+day).Int()
	if err != nil && err != redis.Nil {
		h.no(err)
	}
	held, err := h.rdb.ZCount(h.ctx, p+"slots:"+token, fmt.Sprintf("(%d", h.now().UnixMilli()), "+inf").Result()
	h.no(err)
	return n, int(held)
}

func (h *harness) is(have, want any) {
	if have != want {
		h.t.Helper()
		h.fatalf("have %v, want %v", have, want)
	}
}

func why(s *Step) string { return string(s.Status) + " " + s.Reason }

// nobody returns no run_id for any bucket.
func nobody(string) string { return "" }
