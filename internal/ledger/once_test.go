package ledger

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// twice sends each command again, as a client does if its first reply was lost.
type twice struct{}

func (twice) DialHook(next redis.DialHook) redis.DialHook { return next }
func (twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		_ = next(ctx, c)
		return next(ctx, c)
	}
}
func (twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		_ = next(ctx, cmds)
		return next(ctx, cmds)
	}
}

// A decision whose reply was lost, and that was sent again, answers what it did.
func TestLostReplyOfADecision(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(h *harness) (int, error)
		want int
	}{
		"retry": {func(h *harness) (int, error) {
			return h.l.Decide(h.ctx, []string{tok(1), tok(2)}, DecisionRetry, Meant{})
		}, 2},
		"skip one": {func(h *harness) (int, error) { return h.l.Decide(h.ctx, []string{tok(1)}, DecisionSkip, Meant{}) }, 1},
		"skip": {func(h *harness) (int, error) {
			return h.l.Decide(h.ctx, []string{tok(1), tok(2)}, DecisionSkip, Meant{})
		}, 2},
		"cancel a chain":   {func(h *harness) (int, error) { return h.l.CancelChains(h.ctx, []string{tok(1)}, Meant{}, false) }, 2},
		"cancel chains":    {func(h *harness) (int, error) { return h.l.CancelChains(h.ctx, []string{tok(1), tok(2)}, Meant{}, true) }, 4},
		"cancel a batch":   {func(h *harness) (int, error) { return h.l.CancelBatch(h.ctx, "b1", []string{testTag}) }, 5},
		"cancel scheduled": {func(h *harness) (int, error) { return h.l.CancelScheduled(h.ctx, tok(3)) }, 1},
		"prune": {func(h *harness) (int, error) {
			return h.l.Prune(h.ctx, "b1", NeverSent, []string{tok(1) + GivenKey("b"), tok(2) + GivenKey("b")})
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				later := calls(tok(3), "", "later")
				later[0].At = h.now().Add(24 * time.Hour)
				h.append("b1", "hold", calls(tok(1), "", "a", "b"), calls(tok(2), "", "a", "b"), later)
				for _, id := range []string{tok(1), tok(2)} {
					h.end(h.start(id), GiveUp)
				}
				h.rdb.AddHook(twice{})
				n, err := c.do(h)
				h.no(err)
				h.is(n, c.want)
				h.check()
			})
		})
	}
}
