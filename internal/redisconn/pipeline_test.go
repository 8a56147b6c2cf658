package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

// sentCounter counts the scripts that are sent alone, which it holds back until hold is closed, and the
// pipelines of scripts.
type sentCounter struct {
	hold    chan struct{}
	singles atomic.Int64
	pipes   atomic.Int64
	scripts atomic.Int64 // in pipelines
}

func (*sentCounter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (s *sentCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "evalsha" {
			s.singles.Add(1)
			<-s.hold
		}
		return next(ctx, cmd)
	}
}

func (s *sentCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() == "evalsha" {
			s.pipes.Add(1)
			s.scripts.Add(int64(len(cmds)))
		}
		return next(ctx, cmds)
	}
}

func pipelining(t *testing.T) (redis.UniversalClient, *pipeliner, *sentCounter) {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: redistest.Mini(t).Addr()})
	t.Cleanup(func() { _ = c.Close() })
	g := &pipeliner{client: c}
	c.AddHook(g)
	sent := &sentCounter{hold: make(chan struct{})}
	c.AddHook(sent)
	return c, g, sent
}

// Scripts that wait go out together. Each has its own reply, and its own error.
func TestPipelined(t *testing.T) {
	c, g, sent := pipelining(t)
	echo := redis.NewScript(`if ARGV[1] == '7' then return redis.error_reply('MINE 7') end return ARGV[1]`)
	if err := echo.Load(t.Context(), c).Err(); err != nil {
		t.Fatal(err)
	}
	const scripts = pipelines + 3*pipelineMost
	var wg sync.WaitGroup
	for i := range scripts {
		wg.Go(func() {
			v, err := echo.Run(t.Context(), c, nil, i).Text()
			switch {
			case i == 7 && (err == nil || err.Error() != "MINE 7"):
				t.Errorf("script 7: %q, %v", v, err)
			case i != 7 && (err != nil || v != fmt.Sprint(i)):
				t.Errorf("script %d: %q, %v", i, v, err)
			}
		})
	}
	g.has(t, pipelines, scripts-pipelines)
	if n := sent.singles.Load(); n != pipelines {
		t.Errorf("%d scripts were sent at once, want %d", n, pipelines)
	}
	close(sent.hold)
	wg.Wait()
	if n := sent.pipes.Load(); n < 3 || n > scripts/4 {
		t.Errorf("%d pipelines for %d scripts", n, scripts-pipelines)
	}
	wg.Go(func() { _ = echo.Run(t.Context(), c, nil, "last").Err() })
	wg.Wait()
	g.has(t, 0, 0)
}

// has waits until that many pipelines are taken, and that many scripts wait for one.
func (g *pipeliner) has(t *testing.T, busy, waiting int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; <-time.After(time.Millisecond) {
		g.plain.mu.Lock()
		taken, scripts := g.plain.busy, len(g.plain.waiting)
		g.plain.mu.Unlock()
		if taken == busy && scripts == waiting {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d pipelines are taken and %d scripts wait, want %d and %d", taken, scripts, busy, waiting)
		}
	}
}

// If Redis refuses a new connection (its password changed, or it has as many clients as it takes), every script that
// waited gets that error. Without an error, it would look as if it had run and answered nothing.
func TestPipelinedAndRedisRefuses(t *testing.T) {
	m := redistest.Mini(t)
	m.RequireAuth("another")
	c := redis.NewClient(&redis.Options{Addr: m.Addr(), Password: "the one before"})
	t.Cleanup(func() { _ = c.Close() })
	g, sent := &pipeliner{client: c}, &sentCounter{hold: make(chan struct{})}
	c.AddHook(g)
	c.AddHook(sent)
	const scripts = pipelines + pipelineMost
	var wg sync.WaitGroup
	for i := range scripts {
		ctx := t.Context()
		if i%2 == 0 {
			ctx = Joint(ctx)
		}
		wg.Go(func() {
			if v, err := c.EvalSha(ctx, "0123", []string{"k"}, 0, i).Result(); err == nil || !strings.HasPrefix(err.Error(), "WRONGPASS") {
				t.Errorf("script %d: %v, %v; want WRONGPASS", i, v, err)
			}
		})
	}
	g.has(t, pipelines, scripts-pipelines)
	close(sent.hold)
	wg.Wait()
}

// A caller that goes while its script waits gets its context's error; the others get their replies.
func TestPipelinedLetsACallerGo(t *testing.T) {
	c, g, sent := pipelining(t)
	one := redis.NewScript(`return 1`)
	if err := one.Load(t.Context(), c).Err(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range pipelines {
		wg.Go(func() { _ = one.Run(t.Context(), c, nil).Err() })
	}
	g.has(t, pipelines, 0)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- one.Run(ctx, c, nil).Err() }()
	wg.Go(func() {
		if n, err := one.Run(t.Context(), c, nil).Int(); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
	g.has(t, pipelines, 2)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller that went got %v", err)
	}
	close(sent.hold)
	wg.Wait()
}

// If Redis is away, every script that waits gets that error, whether it was tried again or not.
func TestPipelinedTellsAllThatRedisIsAway(t *testing.T) {
	t.Parallel()
	for _, retries := range []int{-1, 2} {
		c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: retries, Dialer: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("away")
		}})
		t.Cleanup(func() { _ = c.Close() })
		Pipelined(c)
		var wg sync.WaitGroup
		for range pipelines + 2*pipelineMost {
			wg.Go(func() {
				if err := redis.NewScript("return 1").Run(t.Context(), c, nil).Err(); err == nil {
					t.Errorf("a script ran with no Redis (%d retries)", retries)
				}
			})
		}
		wg.Wait()
	}
}

// Joint scripts that wait go out as one. Each has its own reply, and one that fails has its own error. Scripts of
// another text, or that are not joint, are left alone.
func TestJointScriptsAreJoined(t *testing.T) {
	c, g, sent := pipelining(t)
	both := func(text string) *redis.Script {
		s := redis.NewScript(text)
		if err := s.Load(t.Context(), c).Err(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	const work = `local function each(i, one)
  if one == '7' then error('MINE 7') end
  return { KEYS[i], ARGV[2], one }
end
if not KEYS[2] then return { each(1, ARGV[3]) } end
local all = {}
for i = 1, #KEYS do
  local done, r = pcall(each, i, ARGV[2 + i])
  all[i] = done and r
end
`
	add, other := both(work+"return all"), both(work+"return all -- another")
	var wg sync.WaitGroup
	ask := func(ctx context.Context, s *redis.Script, i int) {
		wg.Go(func() {
			v, err := s.Run(ctx, c, []string{fmt.Sprint("k", i)}, 1, "same", i).Slice()
			switch {
			case i == 7 && (err == nil || !strings.Contains(err.Error(), "MINE 7")):
				t.Errorf("script 7: %v, %v", v, err)
			case i != 7 && (err != nil || fmt.Sprint(v) != fmt.Sprintf("[[k%d same %d]]", i, i)):
				t.Errorf("script %d: %v, %v", i, v, err)
			}
		})
	}
	for i := range pipelines { // each has a pipeline of its own
		ask(t.Context(), add, 100+i)
	}
	g.has(t, pipelines, 0)
	joint := Joint(t.Context())
	for i := range 12 {
		ask(joint, add, i)
	}
	ask(joint, other, 12)
	ask(joint, other, 13)
	ask(t.Context(), add, 14)
	g.has(t, pipelines, 15)
	before := sent.scripts.Load()
	close(sent.hold)
	wg.Wait()
	// One script for the first 12, another for the one of these that failed, one for the next two, and one for the last.
	if n := sent.scripts.Load() - before; n != 4 {
		t.Errorf("%d scripts were sent for 15, want 4", n)
	}
}

// A script that too few replicas acknowledged has its reply and that error, even if it was joined.
func TestJointScriptKeepsItsReplyIfItIsNotReplicated(t *testing.T) {
	lacks := &NotReplicatedError{Want: 1}
	one, two := &pending{cmd: redis.NewCmd(t.Context())}, &pending{cmd: redis.NewCmd(t.Context())}
	j := joined{redis.NewCmd(t.Context()), []*pending{one, two}}
	j.cmd.SetVal([]any{[]any{"a"}, nil})
	j.cmd.SetErr(lacks)
	if failed := j.split(); len(failed) != 1 || failed[0] != two {
		t.Errorf("%v are to be sent alone", failed)
	}
	if v, err := one.cmd.Result(); !Unreplicated(err) || fmt.Sprint(v) != "[[a]]" {
		t.Errorf("%v, %v", v, err)
	}
	j.cmd = redis.NewCmd(t.Context())
	j.cmd.SetErr(context.Canceled)
	if failed := j.split(); len(failed) != 0 || one.cmd.Err() != context.Canceled || two.cmd.Err() != context.Canceled {
		t.Errorf("%v, %v, %v", failed, one.cmd.Err(), two.cmd.Err())
	}
}
