package e2e

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"habilita/internal/control"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/testkit/redistest"
)

// A bulk goes on and ends well if another node takes over while it runs. A worker that starts just
// then waits. The nodes are real and really fail over.
func TestBulkBearsAFailover(t *testing.T) {
	cases := []struct {
		name  string
		start func(t *testing.T) (url string, dies, replica *redistest.Server)
	}{
		{"cluster", func(t *testing.T) (string, *redistest.Server, *redistest.Server) {
			url, nodes := redistest.StartCluster(t, 3)
			return url, nodes[0], redistest.StartReplica(t, nodes, nodes[0])
		}},
		{"sentinel", func(t *testing.T) (string, *redistest.Server, *redistest.Server) {
			master, replica := redistest.Start(t), redistest.Start(t)
			replica.Follow(master)
			url, _ := redistest.StartSentinel(t, master)
			return url, master, replica
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := New(t)
			l.StartVendor("--latency=0")
			url, dies, replica := c.start(t)
			l.Set("REDIS_URL", url)
			rdb, err := redisconn.Open(url, redisconn.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer rdb.Close()
			op, err := control.Open(rdb, "", quota.Settings{})
			if err != nil {
				t.Fatal(err)
			}

			const rows, tokens = 40_000, 400
			ctx, cancel := context.WithTimeout(t.Context(), 2*Patience)
			defer cancel()
			cmd := exec.CommandContext(ctx, l.bin.Enqueue, "bulk", "-", "--batch", "b", "--json", "--progress", "none")
			cmd.Env, cmd.Dir = l.environ(), l.Dir
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			var out, errw strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &errw
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			give := func(from, to int) {
				var text strings.Builder
				for i := from; i < to; i++ {
					fmt.Fprintf(&text, "1,token-%d\n", i%tokens)
				}
				_, _ = io.WriteString(in, text.String())
			}
			_, _ = io.WriteString(in, "server,token\n")
			give(0, rows/2)
			l.Await("the first rows are enqueued", 0, func(ctx context.Context) (bool, string) {
				st, err := op.Status(ctx, "b")
				return err == nil && st.Total > 0, fmt.Sprintf("%+v %v", st, err)
			})
			// The replica must have all that was acknowledged before the failover. So that this stays true until
			// the master dies, its writes wait: the producer still writes, and gets no answer.
			dies.HoldWrites()
			replica.CatchUp(dies)
			dies.Kill()
			w := l.StartWorker()
			go func() {
				give(rows/2, rows)
				_ = in.Close()
			}()
			err = cmd.Wait()
			var sum Summary
			l.JSON(Result{Stdout: out.String(), Stderr: errw.String()}, &sum)
			if err != nil || sum.Rows != rows || sum.Enqueued+sum.Duplicates != rows {
				t.Errorf("%v: %+v\n%s", err, sum, errw.String())
			}
			w.Ready()
			// This process's own client takes its time to see the new master.
			l.Await("all is there", 0, func(ctx context.Context) (bool, string) {
				st, err := op.Status(ctx, "b")
				return err == nil && st.Total == rows, fmt.Sprintf("%+v, %v", st, err)
			})
		})
	}
}
