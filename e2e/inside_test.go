package e2e

import (
	"fmt"
	"testing"

	"habilita/internal/engine"
	"habilita/internal/testkit/redistest"
	"habilita/internal/testkit/wolkvoxtest"
)

// The same main job in one process, on miniredis and on a real Redis.
func TestInside(t *testing.T) {
	redistest.Both(t, func(t *testing.T, b redistest.Backend) {
		sim := wolkvoxtest.Start(t, wolkvoxtest.Options{Script: wolkvoxtest.EachCall(wolkvoxtest.Fault{Kind: wolkvoxtest.Status503})})
		in := StartInside(t, b.URL, sim.URL, engine.WorkerOptions{})
		const tokens, each = 10, 5
		in.EnqueueAll(t, "inside", tokens*each, func(i int) engine.Call {
			return engine.Call{Server: "1", Token: engine.Token(good(i % tokens)), ID: fmt.Sprint("call-", i)}
		})
		receipt, err := in.Producer.Enqueue(t.Context(), engine.Call{Server: "1", Token: engine.Token(good(0)), Batch: "inside"})
		if err != nil || receipt.Duplicate {
			t.Errorf("%+v %v", receipt, err)
		}
		if st := in.Settled(t, "inside"); st.Succeeded != tokens*each+1 {
			t.Errorf("%+v", st)
		}
		a := sim.Account()
		var chains [][]string
		for token := range tokens {
			var ids []string
			for i := token; i < tokens*each; i += tokens {
				ids = append(ids, fmt.Sprint("call-", i))
			}
			chains = append(chains, ids)
		}
		if s := a.Summarize(chains); len(s.Broken()) > 0 || s.Requests != 2*(tokens*each+1) || s.Extra != 0 {
			t.Errorf("%v %+v", s.Broken(), s)
		}
		if err := in.Stop(); err != nil {
			t.Error(err)
		}
	})
}
