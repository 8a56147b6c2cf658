package redisconn

import (
	"context"
	"testing"
	"time"

	"habilita/internal/testkit/redistest"
)

// A master that was killed refuses connections, and tells nobody who took its place.
func TestClusterClientFindsTheNewMaster(t *testing.T) {
	t.Parallel()
	url, nodes := redistest.StartCluster(t, 3)
	redistest.StartReplica(t, nodes, nodes[0])
	c, err := Open(url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const key = "{b}" // slot 3300, of the first node
	if slot, err := c.ClusterKeySlot(t.Context(), key).Result(); err != nil || slot > 16384/3 {
		t.Fatalf("slot %d, %v", slot, err)
	}
	if err := c.Set(t.Context(), key, "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	nodes[0].Kill()
	// Far more than the nodes need to promote the replica, and less than the minute in which go-redis
	// would ask by itself.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for err = c.Set(ctx, key, "w", 0).Err(); err != nil; err = c.Set(ctx, key, "w", 0).Err() {
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-tick.C:
		}
	}
}
