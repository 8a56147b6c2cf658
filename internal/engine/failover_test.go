package engine

import (
	"context"
	"slices"
	"testing"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/testkit/redistest"
)

// failsOver is a cluster of three masters. The first has a replica.
func failsOver(t *testing.T) (url string, nodes []*redistest.Server, replica *redistest.Server) {
	t.Helper()
	url, nodes = redistest.StartCluster(t, 3)
	return url, nodes, redistest.StartReplica(t, nodes, nodes[0])
}

// awaitMaster waits until a node of a cluster is a master.
func awaitMaster(t *testing.T, s *redistest.Server) {
	t.Helper()
	c := s.Client()
	until(t, "the replica is promoted", func() bool {
		v, err := c.Do(t.Context(), "role").Slice()
		return err == nil && len(v) > 0 && v[0] == "master"
	})
}

// A replica took over while no worker ran: a worker that starts then grants nothing for one lease.
func TestWorkerStartsAfterAFailover(t *testing.T) {
	t.Parallel()
	url, nodes, replica := failsOver(t)
	key := testKey(t)
	first := openWorld(t, url, key, nil)
	if first.stack.notBefore.Load() != 0 {
		t.Error("frozen at first sight")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	replica.CatchUp(nodes[0])
	nodes[0].Kill()
	awaitMaster(t, replica)
	other := nodes[1].Client()
	until(t, "the other nodes know of it", func() bool {
		masters, err := redistest.Masters(t.Context(), other)
		return err == nil && len(masters[replica.Addr]) > 0
	})
	before := time.Now()
	w := openWorld(t, "redis-cluster://"+nodes[1].Addr, key, nil).closing()
	if until := time.UnixMilli(w.stack.notBefore.Load()); until.Before(before.Add(w.stack.settings.Lease)) {
		t.Errorf("grants from %s on", until)
	}
}

// follows makes a worker compare what it remembers with the data, until the test ends.
func (w *world) follows() {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.follow(ctx) }()
	w.t.Cleanup(func() { stop(); <-ended })
}

// hadBy waits until a bucket's data says that the node s has it, and until the worker has judged that.
func (w *world) hadBy(tag string, s *redistest.Server) {
	w.t.Helper()
	c := s.Client()
	until(w.t, "the data says who has it", func() bool {
		info, err := c.InfoMap(w.t.Context(), "server").Result()
		has, err2 := w.stack.rdb.HGet(w.t.Context(), "habilita:{"+tag+"}:epoch", "r").Result()
		return err == nil && err2 == nil && has == info["Server"]["run_id"] && w.stack.doubt.Load() == 0
	})
}

// tagAt is a bucket that a node has.
func (w *world) tagAt(s *redistest.Server) string {
	w.t.Helper()
	shards, err := w.stack.ledger.Shards(w.t.Context())
	for _, tag := range shards {
		if addr, _ := w.stack.ledger.NodeOf(w.t.Context(), tag); addr == s.Addr {
			return tag
		}
	}
	w.t.Fatalf("%s has no bucket: %v", s.Addr, err)
	return ""
}

// plannedFailover makes a replica the master. A busy machine may need several tries: Redis gives up each one
// after 5 s.
func plannedFailover(t *testing.T, to *redistest.Server) {
	t.Helper()
	c := to.Client()
	var last time.Time
	until(t, "the replica is promoted", func() bool {
		v, err := c.Do(t.Context(), "role").Slice()
		if err == nil && len(v) > 0 && v[0] == "master" {
			return true
		}
		if time.Since(last) > 6*time.Second {
			last = time.Now()
			_ = c.ClusterFailover(t.Context()).Err() // it is refused while the link is not up
		}
		return false
	})
}

// A planned failover, and one back, lose nothing and freeze nothing: the node that took over has all that
// the former master had written.
func TestPlannedFailoverFreezesNothing(t *testing.T) {
	t.Parallel()
	url, nodes, replica := failsOver(t)
	for _, s := range append(slices.Clone(nodes), replica) {
		// No node of a busy machine is taken for dead. A failover that fails is tried again after
		// four times as long.
		if err := s.Client().ConfigSet(t.Context(), "cluster-node-timeout", "5000").Err(); err != nil {
			t.Fatal(err)
		}
	}
	w := openWorld(t, url, testKey(t), nil).closing()
	w.prove = soon // a slow machine takes its time
	tag := w.tagAt(nodes[0])
	w.follows()
	for _, to := range []*redistest.Server{replica, nodes[0]} {
		c := to.Client()
		until(t, "the replica follows", func() bool {
			info, err := c.InfoMap(t.Context(), "replication").Result()
			return err == nil && info["Replication"]["master_link_status"] == "up"
		})
		plannedFailover(t, to)
		w.hadBy(tag, to)
		if until := w.stack.notBefore.Load(); until != 0 {
			t.Fatalf("frozen until %s", time.UnixMilli(until))
		}
	}
}

// While it is not known whether a take-over lost something, no request is sent.
func TestNoRequestWhileATakeOverIsInDoubt(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	w := openWorld(t, s.URL, testKey(t), nil)
	w.prove = soon
	if !w.undecided() {
		t.Fatal("it is decided")
	}
	id := w.append("token", "a")
	if !w.runner.overtaken(&ledger.Attempt{LeaseEnds: time.Now().Add(time.Hour)}) {
		t.Error("a grant of that time is used")
	}
	// The run checks again and again whether it may begin.
	looked, current := make(chan struct{}), w.runner.current
	w.runner.current = func() bool {
		select {
		case looked <- struct{}{}:
		default:
		}
		return current()
	}
	ended, f := make(chan error, 1), w.dispatch(id)
	go func() { ended <- w.runner.run(t.Context(), f) }()
	for range 3 {
		<-looked
	}
	if n := w.vendor.made.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
	w.stack.doubt.Store(0)
	w.made("when it is known")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	_ = w.Close()
}

// A node that was a master before, and has this worker's idle connections, takes over again and lacks what
// the other one wrote last.
func TestFormerMasterTakesOver(t *testing.T) {
	t.Parallel()
	url, nodes, replica := failsOver(t)
	w := openWorld(t, url, testKey(t), nil).closing()
	tag := w.tagAt(nodes[0])
	w.follows()
	plannedFailover(t, replica)
	c := nodes[0].Client()
	until(t, "the master follows", func() bool {
		info, err := c.InfoMap(t.Context(), "replication").Result()
		return err == nil && info["Replication"]["master_link_status"] == "up"
	})
	w.hadBy(tag, replica)
	// It gets no more writes, and is a master again when the other one is gone.
	nodes[0].Pause()
	if err := replica.Client().ClientKillByFilter(t.Context(), "type", "replica").Err(); err != nil {
		t.Fatal(err)
	}
	if err := w.stack.rdb.Incr(t.Context(), "habilita:{"+tag+"}:test").Err(); err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	replica.Kill()
	nodes[0].Resume()
	awaitMaster(t, nodes[0])
	until(t, "the former master's take-over freezes", func() bool {
		return !time.UnixMilli(w.stack.notBefore.Load()).Before(before.Add(w.stack.settings.Lease))
	})
}

// A bucket was moved from one living master to another while no worker ran: nothing was lost.
func TestReshardingFreezesNothing(t *testing.T) {
	t.Parallel()
	url, nodes := redistest.StartCluster(t, 2)
	key := testKey(t)
	first := openWorld(t, url, key, nil)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// It is then the first one of the node that gets it, too.
	redistest.OpenSlot(t, nodes, "habilita:{"+ledger.TagAt(0)+"}:epoch").Close()
	w := openWorld(t, url, key, nil).closing()
	if until := w.stack.notBefore.Load(); until != 0 {
		t.Errorf("frozen until %s", time.UnixMilli(until))
	}
}

// The data says that another process had it last, and this worker has made no new connection. That is
// so if a former master takes over again.
func TestAnotherProcessHasTheData(t *testing.T) {
	t.Parallel()
	s := redistest.Shared(t)
	w := openWorld(t, s.URL, testKey(t), nil).closing()
	if err := s.Client.HSet(t.Context(), "habilita:{"+ledger.TagAt(0)+"}:epoch", "r", "another").Err(); err != nil {
		t.Fatal(err)
	}
	before, changes := time.Now(), w.changes.Load()
	if err := w.remember(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	until := w.stack.notBefore.Load()
	if time.UnixMilli(until).Before(before.Add(w.stack.settings.Lease-time.Second)) || w.changes.Load() != changes {
		t.Errorf("grants from %s on", time.UnixMilli(until))
	}
	if err := w.remember(t.Context(), false); err != nil || w.stack.notBefore.Load() != until {
		t.Errorf("%v, and the second look freezes again", err)
	}
}

// A shard of a cluster is away. A worker starts all the same, and sees what happens to the data of
// the other shards.
func TestWorkerWhileAShardIsAway(t *testing.T) {
	t.Parallel()
	url, nodes := redistest.StartCluster(t, 3, "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000")
	key := testKey(t)
	running := openWorld(t, url, key, nil).closing()
	tags, err := running.stack.ledger.Shards(t.Context())
	if err != nil || len(tags) != 3 {
		t.Fatal(tags, err)
	}
	nodes[2].Kill() // the first has what all processes share, the second asynq's queue
	until(t, "a shard can't be read", func() bool {
		some := len(redisconn.Unread(running.remember(t.Context(), false))) > 0
		return some
	})
	late := openWorld(t, url, key, nil).closing()
	if late.stack.notBefore.Load() != 0 || running.stack.notBefore.Load() != 0 {
		t.Error("frozen with nothing lost")
	}
	if err := nodes[1].Client().FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]*world{"running": running, "late": late} {
		if err := w.remember(t.Context(), false); !redisconn.Partly(err) {
			t.Errorf("%s: %v", name, err)
		}
		if w.stack.notBefore.Load() == 0 {
			t.Errorf("%s: grants go on after the data of a shard is gone", name)
		}
	}
	nodes[2].Restart()
	until(t, "the shard that is back knows of the loss", func() bool {
		if err := running.remember(t.Context(), false); err != nil {
			return false
		}
		epochs, err := running.stack.ledger.LookAt(t.Context(), ledger.AllTags())
		if err != nil {
			return false
		}
		for _, e := range epochs {
			if e.Missing || e.Lost.IsZero() {
				return false
			}
		}
		return true
	})
}
