package ledger

import (
	"fmt"
	"testing"
)

// A simple record is changed as text; any other is decoded and encoded. Both ways must say the same, and list a call
// whose end is to be told.
func TestRecordSaysWhatBecameOfTheCall(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		for i, given := range []NewCall{
			{},
			{Row: 7},
			{Ref: "order 4711"},
			{Ref: `[1]`, Row: 7},
			{Ref: `"r",0,"","",""]`, Row: 7},
			{Ref: `,1,2,0,"","",""]`},
			{Ref: "a\\\"\n\t/ü"},
			{Ref: `,1],2`, Row: 7},
			{Row: 7, Notify: true},
			{Ref: `,1],2`, Row: 7, Notify: true},
			{Chain: "other", Row: 3},
			{Chain: "other [2]", Ref: "x"},
		} {
			for _, failures := range []int{0, 1} {
				for _, batch := range []string{"b1", NoBatch} {
					n := given
					n.Token, n.Key = tok(i), GivenKey(fmt.Sprint(batch, failures))
					n.Server, n.Sealed = "0001", "sealed"
					h.append(batch, "hold", []NewCall{n})
					a := h.start(ChainID(n.Token, n.Chain))
					began := a.LeaseEnds.Add(-h.settings.Lease)
					for range failures {
						h.finishOn(a, Outcome{Kind: Fail, Code: "500", Msg: "no", Err: "the vendor said no", Reason: "server"}, Stop)
						a = h.start(ChainID(n.Token, n.Chain))
					}
					id := fmt.Sprint(batch, failures)
					want := Call{
						ID: CallID(batch, n.Token, n.Key), Batch: batch, TokenID: n.Token, Chain: ChainID(n.Token, n.Chain), Key: n.Key, Server: "0001", Ref: n.Ref, Row: n.Row, State: StateRunning,
						Attempts: 1 + failures, EnqueuedAt: Time{a.Enqueued}, StartedAt: Time{began},
					}
					if failures > 0 {
						want.Code, want.Msg, want.Error, want.Reason = "500", "no", "the vendor said no", "server"
					}
					h.is(h.call(batch, n.Token, id), want)
					ended := h.finishOn(a, Outcome{Kind: Done, Code: "200", Msg: `made "it" [1]/`}, Stop)
					want.State, want.FinishedAt = StateSucceeded, Time{ended.Now}
					want.Code, want.Msg, want.Error, want.Reason = "200", `made "it" [1]/`, "", ""
					h.is(h.call(batch, n.Token, id), want)
					told, err := h.l.Finished(h.ctx, 10)
					h.no(err)
					h.is(len(told) == 1, n.Notify)
					for _, end := range told {
						h.is(CallID(end.Batch, end.Token, end.Key), want.ID)
						h.no(h.l.Told(h.ctx, end))
					}
				}
			}
		}
	})
}
