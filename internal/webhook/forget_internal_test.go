package webhook

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/control"
	"habilita/internal/quota"
	"habilita/internal/testkit/redistest"
)

// listed is a client's hook that calls do when the batches have just been listed.
type listed struct{ do func() }

func (listed) DialHook(next redis.DialHook) redis.DialHook { return next }
func (listed) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h listed) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if strings.HasPrefix(cmd.Name(), "z") && slices.Contains(cmd.Args(), any("habilita:batches")) {
			h.do()
		}
		return err
	}
}

// The marks of batches and schedules that no longer exist are removed. The mark of a batch that came, and was told of,
// while the others were looked at stays: without it the same would be told again.
func TestMarksOfWhatIsGoneGo(t *testing.T) {
	rdb := clientOf(t, redistest.Mini(t).Addr())
	op, err := control.Open(rdb, "", quota.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	hooks, err := New(Options{Redis: rdb, Control: op, URLs: "http://127.0.0.1:1", Secrets: GenerateSecret(), Metrics: prometheus.NewRegistry(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	o := hooks.teller.outbox
	mark := func(fields ...string) {
		for _, f := range fields {
			if _, _, err := o.Tell(t.Context(), Mark{f, "", "1 0 0 0"}, nil, nil); err != nil {
				t.Error(err)
			}
		}
	}
	mark("b:gone", "s:gone", "v:0042", "q")
	rdb.AddHook(listed{sync.OnceFunc(func() { mark("b:new") })})
	if err := hooks.teller.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := rdb.HKeys(t.Context(), o.prefix+"told").Result()
	slices.Sort(left)
	if err != nil || strings.Join(left, " ") != "b:new q v:0042" {
		t.Errorf("the marks are %q, %v", left, err)
	}
}
