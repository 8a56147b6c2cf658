package ledger

import (
	"fmt"
	"testing"
	"time"
)

// A call to a server that is away is put off for any time, without an attempt, a slot or a
// count of the day. Other servers' calls go on.
func TestServerThatIsAway(t *testing.T) {
	mini(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a", "b"), calls(tok(2), "", "c"))
		var until time.Time
		for range 4 { // more often than there are attempts, if these were
			until = h.now().Add(1100 * time.Millisecond)
			h.away = fmt.Sprintf("0002=%d 0001=%d ", until.Add(time.Hour).UnixMilli(), until.UnixMilli())
			s := h.begin(h.dispatch(tok(1)))
			h.is(s.Status, Deferred)
			h.is(fmt.Sprint(s.Reason, s.Until.UnixMilli()), fmt.Sprint("server", until.UnixMilli()))
			used, slots := h.peek(tok(1))
			h.is(fmt.Sprint(used, slots), "0 0")
			h.is(h.call("b1", tok(1), "a").Attempts, 0)
			c := h.chain(tok(1))
			h.is(c.State+" "+c.Reason, "waiting server")
			h.pass(1200 * time.Millisecond)
		}
		// A name that only ends or begins like it is another server.
		h.away = fmt.Sprintf("10001=%d 00011=%d ", until.UnixMilli(), until.UnixMilli())
		a := h.start(tok(1))
		until = h.now().Add(time.Hour)
		h.is(a.Spent, 1)
		// The run does not go on with the next call if the server went away meanwhile.
		h.away = fmt.Sprintf("0001=%d ", until.UnixMilli())
		s := h.finish(a, Outcome{Kind: Done}, true)
		h.is(fmt.Sprint(s.Status, s.Reason), "deferredserver")
		h.is(h.states("b1", tok(1), "a", "b"), "su wa ")
		h.is(h.call("b1", tok(1), "b").Attempts, 0)
	})
}

// A call that comes when the time has passed is put off a little, since another worker
// probes the server.
func TestServerThatIsAwayIsNotStormed(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.append("b1", "hold", calls(tok(1), "", "a"))
		h.away = fmt.Sprintf("0001=%d ", h.now().Add(-time.Minute).UnixMilli())
		s := h.begin(h.dispatch(tok(1)))
		h.is(s.Status, Deferred)
		h.is(s.Until.Sub(s.Now), time.Second)
	})
}
