package api

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
)

// A key is not known for longer than the ledger keeps a call that was made under it.
func TestAKeyDoesNotOutliveItsCall(t *testing.T) {
	for retention, life := range map[time.Duration]time.Duration{0: IdempotencyLife, time.Hour: time.Hour, 1000 * time.Hour: IdempotencyLife} {
		m := miniredis.RunT(t)
		client := redis.NewClient(&redis.Options{Addr: m.Addr()})
		t.Cleanup(func() { _ = client.Close() })
		keys := New(Options{Redis: client, Control: &control.Control{}, Retention: retention}).keys
		claim := func(fresh bool) string {
			t.Helper()
			c, err := keys.claim(t.Context(), "ana", "key", "what")
			if err != nil || c.fresh != fresh {
				t.Fatalf("retention %v: %+v %v, want fresh %v", retention, c, err, fresh)
			}
			keys.keep(t.Context(), c, answerNew) // leaves its time as it is
			return c.id
		}
		first := claim(true)
		m.FastForward(life - time.Second)
		if again := claim(false); again != first {
			t.Errorf("retention %v: another call %s, want %s", retention, again, first)
		}
		m.FastForward(time.Second)
		claim(true)
	}
}
