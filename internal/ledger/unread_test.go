package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

// What can't be read is named, even behind something that is not there: a chain that is not held has
// no time since when it is, and a call that was purged has no record.
func TestWhatCantBeReadIsTold(t *testing.T) {
	p := "habilita:{" + testTag + "}:"
	for name, c := range map[string]struct {
		spoilt string
		read   func(h *harness) error
	}{
		"a chain": {p + "chain:" + tok(2), func(h *harness) error {
			var err error
			for _, err = range h.l.ChainsAfter(h.ctx, []string{testTag}, "", false) {
			}
			return err
		}},
		"its head": {p + "calls:b2", func(h *harness) error {
			h.no(h.rdb.HDel(h.ctx, p+"calls:b1", tok(1)+GivenKey("a")).Err())
			_, err := h.l.Sample(h.ctx, []string{testTag}, 10)
			return err
		}},
		"a scheduled call": {p + "calls:b3", func(h *harness) error {
			h.no(h.rdb.ZAdd(h.ctx, p+"delayed", redis.Z{Score: float64(future.UnixMilli()), Member: tok(3) + " b1 =gone"}).Err())
			_, err := h.l.CancelScheduled(h.ctx, tok(3))
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			mini(t, setup{}, func(h *harness) {
				later := calls(tok(3), "", "later")
				later[0].At = h.now().Add(time.Hour)
				for i, list := range [][]NewCall{calls(tok(1), "", "a"), calls(tok(2), "", "b"), later} {
					h.append(fmt.Sprint("b", i+1), "hold", list)
				}
				h.no(redistest.Spoil(h.b.Mini, c.spoilt))
				if err := c.read(h); !redis.HasErrorPrefix(err, "WRONGTYPE") {
					t.Errorf("read: %v", err)
				}
			})
		})
	}
}
