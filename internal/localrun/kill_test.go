package localrun

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"habilita/internal/engine"
	"habilita/internal/testkit/wolkvoxtest"
)

// If a process is killed at any request, and then the corrected file is given, no row of it is
// lost, and only what was in flight is made again.
func TestKilledThenCorrected(t *testing.T) {
	const before = "1 a; 2 a; 3 bad; 4 bad; 5 b; !6 b; 7 b; 8 c; 8 c"
	const after = "8 c; 1 a; 2 a; 3 d; 4 d; 5 b; 6 b; 7 b; 8 c; 8 c"
	const chains = 5
	for _, at := range []int32{1, 2, 3, 5, 6} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			var dead atomic.Bool
			reached, release := make(chan struct{}), make(chan struct{})
			once := sync.OnceFunc(func() { close(reached) })
			sim := wolkvoxtest.Start(t, wolkvoxtest.Options{Script: func(r wolkvoxtest.Record) wolkvoxtest.Fault {
				if !dead.Load() && n.Add(1) >= at {
					once()
					<-release
				}
				if r.Token == "bad" {
					return wolkvoxtest.Fault{Kind: wolkvoxtest.BadToken}
				}
				return wolkvoxtest.Fault{}
			}})
			c := hasty(config(newFile(t, "x"), sim))
			j, err := Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := j.Enqueue(t.Context(), file(before), engine.BatchOptions{OnReject: func(error) error { return nil }}); err != nil {
				t.Fatal(err)
			}
			ctx, kill := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = j.Work(ctx, false, func(State) {})
			}()
			<-reached
			left, err := os.ReadFile(JournalOf(c.File)) // what a kill leaves now
			dead.Store(true)
			kill()
			close(release)
			<-ended
			_ = j.Close()
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(JournalOf(c.File), left, 0o600); err != nil {
				t.Fatal(err)
			}
			if said, s := given(t, c, after); !s.AllSucceeded() || s.Total != 10 {
				t.Errorf("%s: %+v", said, s.Status)
			}
			if said, _ := given(t, c, after); said != "0 new, 10 made" {
				t.Errorf("again: %s", said)
			}
			made, extra := map[string]int{}, -10
			for _, r := range sim.Account().Records {
				if r.Success {
					made[r.Call]++
					extra++
				}
			}
			if len(made) != 10 || extra > chains {
				t.Errorf("%d calls, %d more requests: %v", len(made), extra, made)
			}
		})
	}
}
