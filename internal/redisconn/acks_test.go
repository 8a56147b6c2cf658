package redisconn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

// wroteOnce is a script that answers "new" once and then changes nothing.
var wroteOnce = redis.NewScript(`return redis.call('SETNX', KEYS[1], '1') == 1 and 'new' or 'known'`)

// pairs are a primary and a cluster, each with a replica for all of its writes.
func pairs(t *testing.T) map[string]func(t *testing.T) (url string, replica *redistest.Server) {
	t.Helper()
	return map[string]func(t *testing.T) (string, *redistest.Server){
		"one": func(t *testing.T) (string, *redistest.Server) {
			primary, replica := redistest.Start(t), redistest.Start(t)
			replica.Follow(primary)
			return primary.URL, replica
		},
		"cluster": func(t *testing.T) (string, *redistest.Server) {
			url, nodes := redistest.StartCluster(t, 1)
			return url, redistest.StartReplica(t, nodes, nodes[0])
		},
	}
}

func acknowledging(t *testing.T, url string, patient bool) (redis.UniversalClient, *Acks) {
	t.Helper()
	c, err := Open(url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	Pipelined(c)
	if patient {
		MakePatient(c)
	}
	acks := NewAcks(1, "habilita")
	acks.wait = 2 * time.Second // for a busy machine; below the client's read time-out
	if err := acks.On(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := wroteOnce.Load(t.Context(), c).Err(); err != nil {
		t.Fatal(err)
	}
	awaitAck(t, acks, c)
	return c, acks
}

// awaitAck waits until the replica acknowledges writes, which is a little later than its link is up.
func awaitAck(t *testing.T, acks *Acks, c redis.UniversalClient) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; {
		acks.Probe(t.Context(), c)
		node, since := acks.Lacking()
		if since.IsZero() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s lacks replicas since %s", node, since)
		}
	}
}

// A marked write counts as done when the replica has it, alone or in a pipeline. A write that is not
// marked waits for nobody.
func TestReplicasAcknowledge(t *testing.T) {
	t.Parallel()
	for name, start := range pairs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, replica := start(t)
			c, acks := acknowledging(t, url, false)
			ctx := Acknowledged(t.Context())
			if v, err := wroteOnce.Run(ctx, c, []string{"habilita:{a}:1"}).Text(); v != "new" || err != nil {
				t.Errorf("%q, %v", v, err)
			}
			if node, since := acks.Lacking(); !since.IsZero() || acks.Missed() != 0 {
				t.Errorf("%s lacks replicas since %s; missed %d", node, since, acks.Missed())
			}
			replica.Pause()
			acks.wait = 50 * time.Millisecond
			var alone *NotReplicatedError
			// The second time the script writes nothing, but the replica still lacks its write.
			for i, want := range []string{"new", "known"} {
				cmd := wroteOnce.Run(ctx, c, []string{"habilita:{a}:2"})
				if !errors.As(cmd.Err(), &alone) || alone.Want != 1 || alone.Got != 0 || cmd.Val() != want {
					t.Errorf("time %d: %v, %v", i+1, cmd.Val(), cmd.Err())
				}
			}
			if text := Describe(alone); !strings.Contains(text, "WAIT_REPLICAS") {
				t.Error(text)
			}
			pipe := c.Pipeline()
			one, two := pipe.EvalSha(ctx, wroteOnce.Hash(), []string{"habilita:{a}:3"}), pipe.Set(ctx, "habilita:{a}:4", "", 0)
			_, err := pipe.Exec(ctx)
			if !errors.As(err, &alone) || !errors.As(one.Err(), &alone) || !errors.As(two.Err(), &alone) || one.Val() != "new" {
				t.Errorf("pipeline: %v, %v, %v, %v", err, one.Val(), one.Err(), two.Err())
			}
			if v, err := wroteOnce.Run(t.Context(), c, []string{"habilita:{a}:5"}).Text(); v != "new" || err != nil {
				t.Errorf("not marked: %q, %v", v, err)
			}
			if _, since := acks.Lacking(); since.IsZero() || acks.Missed() != 4 {
				t.Errorf("lacks since %s, missed %d", since, acks.Missed())
			}
			acks.nodes = map[string]*attached{}
			acks.Probe(t.Context(), c)
			if _, since := acks.Lacking(); since.IsZero() {
				t.Error("a probe does not find that the replica is gone")
			}
			replica.Resume()
			awaitAck(t, acks, c)
			if _, since := acks.Lacking(); !since.IsZero() {
				t.Errorf("lacks since %s", since)
			}
		})
	}
}

// A producer's write that waits for its replica tells what it did the first time.
func TestPatientWriteKeepsItsFirstReply(t *testing.T) {
	t.Parallel()
	for name, start := range pairs(t) {
		for _, piped := range []bool{false, true} {
			t.Run(fmt.Sprint(name, piped), func(t *testing.T) {
				t.Parallel()
				url, replica := start(t)
				c, acks := acknowledging(t, url, true)
				acks.wait = ackWait
				replica.Pause()
				said := make(chan string, 1)
				go func() {
					ctx := Acknowledged(context.Background())
					pipe := c.Pipeline()
					cmd := pipe.EvalSha(ctx, wroteOnce.Hash(), []string{"habilita:{a}:1"})
					if piped {
						_, _ = pipe.Exec(ctx)
					} else {
						cmd = wroteOnce.Run(ctx, c, []string{"habilita:{a}:1"})
					}
					said <- fmt.Sprint(cmd.Val(), cmd.Err())
				}()
				tick, end := time.NewTicker(time.Millisecond), time.After(time.Minute)
				defer tick.Stop()
				for acks.Missed() < 2 {
					select {
					case <-tick.C:
					case <-end:
						t.Fatal("it is not tried again")
					}
				}
				replica.Resume()
				if got := <-said; got != "new<nil>" {
					t.Error(got)
				}
			})
		}
	}
}

// Scripts that wait for replicas hold up no others.
func TestAcknowledgedScriptsHavePipelinesOfTheirOwn(t *testing.T) {
	t.Parallel()
	primary, replica := redistest.Start(t), redistest.Start(t)
	replica.Follow(primary)
	c, err := Open(primary.URL, Options{ReadTimeout: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	Pipelined(c)
	acks := NewAcks(1, "habilita")
	acks.wait = 5 * time.Minute
	if err := errors.Join(acks.On(t.Context(), c), wroteOnce.Load(t.Context(), c).Err()); err != nil {
		t.Fatal(err)
	}
	awaitAck(t, acks, c)
	replica.Pause()
	var wg sync.WaitGroup
	for i := range 4 * pipelines {
		wg.Go(func() {
			if v, err := wroteOnce.Run(Acknowledged(t.Context()), c, []string{fmt.Sprintf("habilita:{a}:%d", i)}).Text(); v != "new" || err != nil {
				t.Errorf("script %d: %q, %v", i, v, err)
			}
		})
	}
	admin := primary.Client()
	look, end := time.NewTicker(5*time.Millisecond), time.After(30*time.Second)
	defer look.Stop()
	for blocked := false; !blocked; {
		select {
		case <-look.C:
		case <-end:
			t.Fatal("the pipelines do not wait")
		}
		clients, err := admin.Info(t.Context(), "clients").Result()
		if err != nil {
			t.Fatal(err)
		}
		blocked = strings.Contains(clients, fmt.Sprintf("blocked_clients:%d\r", pipelines))
	}
	if err := wroteOnce.Run(t.Context(), c, []string{"habilita:{a}:other"}).Err(); err != nil {
		t.Fatal(err)
	}
	replica.Resume()
	wg.Wait()
}

// All replicas that are there must acknowledge, and not only as many as are asked for: a replica that did not
// acknowledge may take over. One that is missing for long no longer counts.
func TestAllReplicasThatAreThereAcknowledge(t *testing.T) {
	t.Parallel()
	primary, other := redistest.Start(t), redistest.Start(t)
	other.Follow(primary)
	replica := redistest.Start(t)
	replica.Follow(primary)
	c, acks := acknowledging(t, primary.URL, false)
	for acks.want(primary.Addr) < 2 { // the other one is about to be known
		awaitAck(t, acks, c)
	}
	ctx := Acknowledged(t.Context())
	replica.Pause()
	var alone *NotReplicatedError
	if err := wroteOnce.Run(ctx, c, []string{"habilita:{a}:1"}).Err(); !errors.As(err, &alone) || alone.Want != 2 || alone.Got != 1 {
		t.Errorf("%v", err)
	}
	acks.gone = 0
	if err := wroteOnce.Run(ctx, c, []string{"habilita:{a}:2"}).Err(); err != nil {
		t.Errorf("without the replica that is gone: %v", err)
	}
	replica.Resume()
}

// A check names what WAIT_REPLICAS needs and Redis lacks.
func TestTooFewReplicas(t *testing.T) {
	primary, replica := redistest.Start(t), redistest.Start(t)
	c := primary.Client()
	look := func(n int) string {
		found, err := TooFewReplicas(t.Context(), c, n)
		if err != nil {
			t.Fatal(err)
		}
		_, refusal := Split(found)
		return fmt.Sprint(refusal)
	}
	if got := look(1); !strings.HasPrefix(got, "0 replicas are online, and WAIT_REPLICAS is 1") {
		t.Error(got)
	}
	replica.Follow(primary)
	if got := look(1); got != "<nil>" {
		t.Error(got)
	}
	if got := look(2); !strings.HasPrefix(got, "1 replicas are online, and WAIT_REPLICAS is 2") {
		t.Error(got)
	}
	if err := c.Do(t.Context(), "acl", "setuser", "default", "-wait").Err(); err != nil {
		t.Fatal(err)
	}
	if got := look(1); !strings.Contains(got, "`ACL SETUSER default +wait`") {
		t.Error(got)
	}
}
