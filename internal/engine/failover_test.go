package engine

import (
	"context"
	"testing"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// failsOver is a cluster of three masters, of which the first has a replica.
func failsOver(t *testing.T) (url string, nodes []*redistest.Server, replica *redistest.Server) {
	t.Helper()
	url, nodes = redistest.StartCluster(t, 3)
	return url, nodes, redistest.StartReplica(t, nodes, nodes[0])
}

// awaitMaster waits until a node of a cluster is a master.
func awaitMaster(t *testing.T, s *redistest.Server) {
	t.Helper()
	c := s.Client()
	eventually(t, "the replica is promoted", func() bool {
		v, err := c.Do(t.Context(), "role").Slice()
		return err == nil && len(v) > 0 && v[0] == "master"
	})
}

func eventually(t *testing.T, what string, good func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !good(); wait(t.Context(), 5*time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what + ": not within 30 s")
		}
	}
}

// A replica took over while no worker was there: who starts then grants nothing for one lease.
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
	eventually(t, "the other nodes know of it", func() bool {
		masters, err := redistest.Masters(t.Context(), other)
		return err == nil && len(masters[replica.Addr]) > 0
	})
	before := time.Now()
	w := openWorld(t, "redis-cluster://"+nodes[1].Addr, key, nil).closing()
	if until := time.UnixMilli(w.stack.notBefore.Load()); until.Before(before.Add(w.stack.settings.Lease)) {
		t.Errorf("grants from %s on", until)
	}
}

// A node that was a master before, and has this worker's idle connections, takes over again.
func TestFormerMasterTakesOver(t *testing.T) {
	t.Parallel()
	url, nodes, replica := failsOver(t)
	w := openWorld(t, url, testKey(t), nil).closing()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.follow(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	frozenSince := func(at time.Time) func() bool {
		return func() bool {
			return !time.UnixMilli(w.stack.notBefore.Load()).Before(at.Add(w.stack.settings.Lease))
		}
	}
	before := time.Now()
	if err := replica.Client().ClusterFailover(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	awaitMaster(t, replica)
	eventually(t, "the replica's take-over freezes", frozenSince(before))
	c := nodes[0].Client()
	eventually(t, "the master follows", func() bool {
		info, err := c.InfoMap(t.Context(), "replication").Result()
		return err == nil && info["Replication"]["master_link_status"] == "up"
	})
	before = time.Now()
	if err := c.Do(t.Context(), "cluster", "failover", "takeover").Err(); err != nil {
		t.Fatal(err)
	}
	awaitMaster(t, nodes[0])
	eventually(t, "the former master's take-over freezes", frozenSince(before))
}

// A bucket was moved from one living master to another while no worker was there: nothing was lost.
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

// The data says that another process had it last, and this worker has made no new connection: so it
// is where a node that was a master before takes over again.
func TestAnotherProcessHasTheData(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	w := openWorld(t, s.URL, testKey(t), nil).closing()
	if err := s.Client().HSet(t.Context(), "habilita:{"+ledger.TagAt(0)+"}:epoch", "r", "another").Err(); err != nil {
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
