package membership_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/membership"
	"habilita/internal/testkit/redistest"
)

// One process leads until its lease has ended, however often others ask. It goes on leading if it asks again.
func TestOneLeads(t *testing.T) {
	m := redistest.Mini(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	for i, step := range []struct {
		who    string
		leads  bool
		passes time.Duration
	}{
		{"a", true, 0}, {"b", false, 6 * time.Second}, {"a", true, 6 * time.Second}, {"b", false, 5 * time.Second},
		{"b", true, 0}, {"a", false, 0},
	} {
		leads, err := membership.Lead(t.Context(), rdb, "leader", step.who, 10*time.Second)
		if leads != step.leads || err != nil {
			t.Errorf("step %d: %s leads: %v, %v", i, step.who, leads, err)
		}
		m.FastForward(step.passes)
	}
	m.SetError("LOADING for a while")
	if leads, err := membership.Lead(t.Context(), rdb, "leader", "b", time.Second); leads || err == nil {
		t.Errorf("without Redis: %v, %v", leads, err)
	}
}
