package ledger

import (
	"fmt"
	"testing"
	"time"

	"habilita/internal/quota"
)

// limiter is another program's, on the tokens of the ledger.
func (h *harness) limiter() *quota.Limiter {
	h.t.Helper()
	s := h.settings
	s.Prefix = h.prefix
	l, err := quota.New(h.rdb, s)
	h.no(err)
	return l
}

// lift ends the cool-down of a token.
func (h *harness) lift(token string) {
	h.t.Helper()
	_, err := h.limiter().Lift(h.ctx, token)
	h.no(err)
}

// hears subscribes to the channel on which a waiter is told.
func (h *harness) hears(channel string) (told func() string) {
	h.t.Helper()
	sub := h.rdb.Subscribe(h.ctx, h.prefix+":woken:"+channel)
	h.t.Cleanup(func() { _ = sub.Close() })
	if _, err := sub.Receive(h.ctx); err != nil {
		h.fatalf("%v", err)
	}
	return func() string {
		select {
		case m := <-sub.Channel():
			return m.Payload
		case <-time.After(time.Minute):
			return "nobody"
		}
	}
}

func (h *harness) queue(waiters ...string) {
	h.t.Helper()
	for i, w := range waiters {
		h.no(h.rdb.Do(h.ctx, "zadd", h.prefix+":{ab}:waiters:"+tok(1), h.now().UnixMilli()-int64(10000-i), w).Err())
	}
}

// signalled returns the buckets that are signalled.
func (h *harness) signalled() string {
	h.t.Helper()
	tags, err := h.rdb.ZRange(h.ctx, h.prefix+":announced", 0, -1).Result()
	h.no(err)
	return fmt.Sprint(tags)
}

// A slot that another program frees goes to the chain that waited longest: it can be dispatched
// at once, and its bucket is signalled.
func TestAnotherProgramsSlotGoesToAChain(t *testing.T) {
	for name, free := range map[string]func(h *harness, l *quota.Limiter, g quota.Grant) error{
		"release":   func(h *harness, l *quota.Limiter, g quota.Grant) error { return l.Release(h.ctx, g) },
		"give back": func(h *harness, l *quota.Limiter, g quota.Grant) error { return l.GiveBack(h.ctx, g) },
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{slots: 1}, func(h *harness) {
				l := h.limiter()
				d, err := l.Try(h.ctx, tok(1))
				h.no(err)
				for _, name := range []string{"", "x"} {
					h.append("b1", "hold", calls(tok(1), name, "of"+name))
					h.is(why(h.begin(h.dispatch(ChainID(tok(1), name)))), "deferred slots")
					h.pass(2 * time.Millisecond)
				}
				// The head of the queue is a chain that ended, and a program that is gone.
				h.queue(ChainID(tok(1), "gone"), "~gone.1")
				h.no(h.rdb.Del(h.ctx, h.prefix+":announced").Err())
				h.no(free(h, l, d.Grant))
				h.check()
				h.is(h.signalled(), "["+testTag+"]")
				h.is(h.chain(tok(1)).State, "ready")
				h.is(h.chain(ChainID(tok(1), "x")).State, "waiting")
				h.is(h.start(tok(1)).Key, "=of")
			})
		})
	}
}

// The ledger wakes waiters of every kind, also those of package quota; it passes over one
// that can't be reached.
func TestLedgerWakesEveryKindOfWaiter(t *testing.T) {
	for name, c := range map[string]struct {
		queue []string
		told  string // channel
		want  string
	}{
		"Acquire":                 {[]string{"~other.7"}, "other", "~other.7"},
		"behind one that died":    {[]string{"~gone.1", ChainID(tok(1), "gone"), "~other.7"}, "other", "~other.7"},
		"a chain behind the dead": {[]string{"~gone.1", ChainID(tok(1), "gone")}, "", ""},
	} {
		for _, release := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", release ", release), func(t *testing.T) {
				both(t, setup{slots: 1}, func(h *harness) {
					told := func() string { return "" }
					if c.told != "" {
						told = h.hears(c.told)
					}
					var free func()
					if release {
						d, err := h.limiter().Try(h.ctx, tok(1))
						h.no(err)
						h.append("b1", "hold", calls(tok(1), "b", "b"))
						h.is(why(h.begin(h.dispatch(ChainID(tok(1), "b")))), "deferred slots")
						free = func() { h.no(h.limiter().Release(h.ctx, d.Grant)) }
					} else {
						a := h.waiting("b 0001")
						free = func() { h.end(a, Done) }
					}
					h.queue(c.queue...)
					free()
					h.is(told(), c.want)
					state := "waiting"
					if c.told == "" {
						state = "dispatched"
						if release {
							state = "ready"
						}
					}
					h.is(h.chain(ChainID(tok(1), "b")).State, state)
				})
			})
		}
	}
}

// A chain that gives its slot to another waiter comes back when the next lease lapses.
func TestChainThatYieldsComesBackWithALapse(t *testing.T) {
	mini(t, setup{slots: 2}, func(h *harness) {
		l := h.limiter()
		d, err := l.Try(h.ctx, tok(1))
		h.no(err)
		h.pass(longLease - 3*time.Second)
		h.append("b1", "hold", calls(tok(1), "a", "a1", "a2"), calls(tok(1), "b", "b"))
		a := h.start(ChainID(tok(1), "a"))
		h.is(why(h.begin(h.dispatch(ChainID(tok(1), "b")))), "deferred slots")
		s := h.finish(a, Outcome{Kind: Done}, true)
		h.is(s.Status, Waiting)
		h.is(s.Until.Equal(d.Grant.Ends) && s.Due.Equal(d.Grant.Ends), true)
		h.is(h.begin(*s.Woken).Status, Running)
		h.pass(3 * time.Second)
		h.is(h.start(ChainID(tok(1), "a")).Key, "=a2")
	})
}

// crowd makes n chains of other tokens wait, which are due before those of tok(1).
func (h *harness) crowd(n int) {
	h.t.Helper()
	p := h.prefix + ":{" + testTag + "}:"
	pipe := h.rdb.Pipeline()
	for i := range n {
		id := ChainID(tok(1000+i), "")
		pipe.HSet(h.ctx, p+"chain:"+id, "s", "w", "h", "none", "y", "quota", "u", 1)
		pipe.Do(h.ctx, "zadd", p+"due", h.now().Add(time.Hour).UnixMilli(), id)
	}
	_, err := pipe.Exec(h.ctx)
	h.no(err)
}

// If a reason goes, all chains of a token that wait for it look again, behind however many others
// that are due, and no other chain does.
func TestRecallFindsAllChainsOfTheToken(t *testing.T) {
	const many = 700 // chains of the token, more than one script works on
	raise := func(h *harness, n int) {
		more := calls(tok(1), "new", "new")
		more[0].Licenses = n
		h.no(h.l.Signal(h.ctx, h.now(), h.append("b1", "hold", more).Ready...)) // as producers do
	}
	for name, c := range map[string]struct {
		reason string
		end    func(h *harness)
	}{
		"licences with a call": {"quota", func(h *harness) { raise(h, 2) }},
		"SetLicenses":          {"quota", func(h *harness) { h.no(h.limiter().SetLicenses(h.ctx, tok(1), 2)) }},
		"Lift":                 {"cooling", func(h *harness) { h.lift(tok(1)) }},
		"a probe that succeeded": {"cooling", func(h *harness) {
			h.append("b1", "hold", calls(tok(1), "probe", "probe"))
			h.no(h.rdb.HSet(h.ctx, h.prefix+":{ab}:cooling:"+tok(1), "probe", 1).Err()) // it is time
			a := h.start(ChainID(tok(1), "probe"))
			h.is(a.Probe, true)
			s := h.finish(a, Outcome{Kind: Done, Cooling: Cooling{Lift: true}}, false)
			h.is(s.Due.IsZero(), false) // the worker is told that the bucket needs it
			h.no(h.l.Signal(h.ctx, h.now(), testTag))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				h.unchecked = true
				h.crowd(1500)
				_, err := h.limiter().Cool(h.ctx, tok(1), h.now().Add(2*time.Hour), "closed", time.Hour)
				h.no(err)
				if c.reason == "quota" {
					h.lift(tok(1))
					day := fmt.Sprint(h.settings.Args(h.now(), 0, false)[8])
					h.no(h.rdb.Set(h.ctx, h.prefix+":{ab}:used:"+tok(1)+":"+day, 1000, 0).Err())
				}
				for i := range many {
					h.append("b1", "hold", calls(tok(1), fmt.Sprint("c", i), fmt.Sprint(i)))
				}
				h.dispatchDue()
				for _, f := range h.dispatched {
					h.is(h.begin(f).Reason, c.reason)
				}
				clear(h.dispatched)
				h.no(h.rdb.Del(h.ctx, h.prefix+":announced").Err())
				c.end(h)
				h.is(h.signalled(), "["+testTag+"]")
				ready := map[string]bool{}
				for range 100 {
					p, err := h.dispatchBucket(testTag, 0)
					h.no(err)
					if p.NextDue.After(p.Now) {
						break
					}
				}
				ids, err := h.rdb.ZRange(h.ctx, h.prefix+":{ab}:ready", 0, -1).Result()
				h.no(err)
				for _, id := range ids {
					token, name := SplitChainID(id)
					h.is(token, tok(1))
					ready[name] = true
				}
				delete(ready, "new")
				h.is(len(ready), many)
			})
		})
	}
}
