package schedule

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
	"habilita/internal/testkit/redistest"
)

// The same scripts and pipelines work on a Redis Cluster.
func TestCluster(t *testing.T) {
	url, _ := redistest.StartCluster(t, 3)
	rdb, err := redisconn.Open(url, redisconn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	w := &world{t, NewStore(rdb, ""), key(t, "one"), rdb}
	const n = 20
	for i := range n {
		d := nightly
		d.Name = fmt.Sprint("s", i)
		s := w.mustAdd(d, chunkRows+1)
		c := w.claimIt(s, lease)
		w.must(w.DecidePassed(t.Context(), s.ID, c, chains("a", "b")))
		if got, err := w.Passed(t.Context(), s.ID, c); len(got) != 2 || err != nil {
			t.Fatal(got, err)
		}
		rows := 0
		for _, err := range w.Rows(t.Context(), s.ID, c.Revision, c.Rows, w.keys) {
			w.must(err)
			rows++
		}
		w.must(w.Finish(t.Context(), s.ID, c, Run{Result: ResultMade, Calls: rows}))
		if runs, err := w.Runs(t.Context(), d.Name); err != nil || len(runs) != 1 || runs[0].Calls != chunkRows+1 {
			t.Fatal(runs, err)
		}
	}
	all, now, err := w.All(t.Context())
	if len(all) != n || now.IsZero() || err != nil {
		t.Errorf("%d schedules at %v, %v", len(all), now, err)
	}
	if n, err := w.Reseal(t.Context(), key(t, "second", "one")); n != 2*len(all) || err != nil {
		t.Errorf("%d chunks, %v", n, err)
	}
	for _, s := range all {
		w.must(second(w.Remove(t.Context(), s.Name)))
	}
}

// While a cluster moves a schedule's slot, nothing is written at either node.
func TestNoScriptRunsOnHalfASchedule(t *testing.T) {
	t.Parallel()
	_, nodes := redistest.StartCluster(t, 2)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{nodes[0].Addr}})
	t.Cleanup(func() { _ = rdb.Close() })
	w := &world{t, NewStore(rdb, ""), key(t, "one"), rdb}
	s := w.mustAdd(nightly, 1)
	m := redistest.OpenSlot(t, nodes, w.hash(s.ID))
	for left := -1; left != 0; left = m.Keys(1) {
		if _, err := w.Pause(t.Context(), s.Name); !redis.HasErrorPrefix(err, "TRYAGAIN") {
			t.Fatalf("paused: %v", err)
		}
	}
	m.Close()
	if _, err := w.Pause(t.Context(), s.Name); err != nil {
		t.Fatal(err)
	}
}
