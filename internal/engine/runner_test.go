package engine

import (
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/wolkvox"
)

type noVendor struct{ t *testing.T }

func (v noVendor) Do(context.Context, wolkvox.Operation, *wolkvox.Request) (wolkvox.Answer, error) {
	v.t.Error("a request was sent")
	return wolkvox.Answer{}, nil
}

// A restarted Redis gave a grant to a command that knew of no freeze yet. The grant is not
// used: the attempt is given back.
func TestGrantOfARestartedRedisIsNotUsed(t *testing.T) {
	s := &stack{tracer: newTracer(nil), settings: quota.Settings{Lease: time.Minute}, clock: new(quota.Clock)}
	r := &runner{stack: s, vendor: noVendor{t}, meter: newMeter(), log: zerolog.Nop()}
	granted := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	a := ledger.Attempt{Chain: aToken, Batch: "b", Key: "-0", LeaseEnds: granted.Add(time.Minute)}
	for _, hold := range []time.Time{{}, granted.Add(-time.Second), granted} {
		if !hold.IsZero() {
			s.notBefore.Until(hold)
		}
		if r.overtaken(&a) {
			t.Errorf("a hold until %s concerns a grant at %s", hold, granted)
		}
	}
	s.notBefore.Until(granted.Add(time.Millisecond))
	j := r.attempt(t.Context(), a.Chain, &a, time.Now())
	if j.Kind != ledger.Late || j.Slot != ledger.GiveBack || j.Delay != 0 {
		t.Errorf("%+v", j)
	}
}
