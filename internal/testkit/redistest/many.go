package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	slots       = 16384
	clusterTime = 20 * time.Second // until the nodes know each other
)

// StartCluster starts a Redis Cluster of n masters without replicas, with further arguments, and
// waits until every node says that the cluster is ok. The URL is redis-cluster://.
func StartCluster(tb testing.TB, n int, args ...string) (url string, nodes []*Server) {
	tb.Helper()
	return StartClusterAt(tb, make([]*Place, n), args...)
}

// StartClusterAt is StartCluster with a master on each host.
func StartClusterAt(tb testing.TB, places []*Place, args ...string) (url string, nodes []*Server) {
	tb.Helper()
	n := len(places)
	var addrs []string
	for _, at := range places {
		s := startNode(tb, at, args...)
		nodes, addrs = append(nodes, s), append(addrs, s.Addr)
	}
	ctx, cancel := context.WithTimeout(context.Background(), clusterTime)
	defer cancel()
	for i, s := range nodes {
		c := s.Client()
		if err := c.ClusterAddSlotsRange(ctx, i*slots/n, (i+1)*slots/n-1).Err(); err != nil {
			tb.Fatal(err)
		}
		if i == 0 {
			continue
		}
		host, port, _ := net.SplitHostPort(nodes[0].Addr)
		if err := c.Do(ctx, "cluster", "meet", host, port, nodes[0].bus).Err(); err != nil {
			tb.Fatal(err)
		}
	}
	for _, s := range nodes {
		s.waitInfo(ctx, func(info string) bool {
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", n))
		})
	}
	return "redis-cluster://" + strings.Join(addrs, ","), nodes
}

// startNode starts a node of a cluster. It knows no other node yet.
func startNode(tb testing.TB, at *Place, args ...string) *Server {
	tb.Helper()
	s := &Server{tb: tb, args: args, Dir: tb.TempDir(), at: at, cluster: true}
	s.begin()
	return s
}

// waitInfo waits until CLUSTER INFO is as wanted.
func (s *Server) waitInfo(ctx context.Context, good func(string) bool) {
	s.tb.Helper()
	c := s.Client()
	s.await(ctx, "the cluster does not come up", func() (bool, string, error) {
		info, err := c.ClusterInfo(ctx).Result()
		return good(info), info, err
	})
}

// await asks again and again until the answer is good, or ends the test.
func (s *Server) await(ctx context.Context, what string, ask func() (good bool, answer string, err error)) {
	s.tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		good, answer, err := ask()
		if err == nil && good {
			return
		}
		select {
		case <-ctx.Done():
			s.tb.Fatalf("%s: %s: %v\n%s", s.Addr, what, err, answer)
		case <-tick.C:
		}
	}
}

// StartSentinel starts a Sentinel (a quorum of one) that watches the master under the
// name "mymaster", and considers it down after a second without an answer. The URL is
// redis-sentinel://.
func StartSentinel(tb testing.TB, master *Server) (url string, s *Server) {
	tb.Helper()
	return StartSentinelAt(tb, nil, master)
}

// StartSentinelAt is StartSentinel on a host of its own.
func StartSentinelAt(tb testing.TB, at *Place, master *Server) (url string, s *Server) {
	tb.Helper()
	s = &Server{tb: tb, Dir: tb.TempDir(), at: at}
	s.conf = filepath.Join(s.Dir, "sentinel.conf")
	host, port, _ := net.SplitHostPort(master.Addr)
	text := fmt.Sprintf("sentinel monitor mymaster %s %s 1\nsentinel down-after-milliseconds mymaster 1000\n", host, port)
	if err := os.WriteFile(s.conf, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.begin()
	return "redis-sentinel://" + s.Addr + "/mymaster/0", s
}

// StartReplica starts a replica of a node of a cluster that StartCluster made, and waits until it
// has the node's data. From then on the nodes consider a node dead if it is silent for a second.
func StartReplica(tb testing.TB, nodes []*Server, of *Server) *Server {
	tb.Helper()
	return StartReplicaAt(tb, nil, nodes, of)
}

// StartReplicaAt is StartReplica on a host of its own.
func StartReplicaAt(tb testing.TB, at *Place, nodes []*Server, of *Server) *Server {
	tb.Helper()
	r := startNode(tb, at)
	ctx, cancel := context.WithTimeout(context.Background(), clusterTime)
	defer cancel()
	id, err := of.Client().Do(ctx, "cluster", "myid").Text()
	if err != nil {
		tb.Fatal(err)
	}
	all := append([]*Server{r}, nodes...)
	for _, s := range all {
		if err := s.Client().ConfigSet(ctx, "cluster-node-timeout", "1000").Err(); err != nil {
			tb.Fatal(err)
		}
	}
	host, clients, _ := net.SplitHostPort(of.Addr)
	if err := r.Client().Do(ctx, "cluster", "meet", host, clients, of.bus).Err(); err != nil {
		tb.Fatal(err)
	}
	for _, s := range all {
		s.waitInfo(ctx, func(info string) bool {
			return strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", len(all)))
		})
	}
	if err := r.Client().Do(ctx, "cluster", "replicate", id).Err(); err != nil {
		tb.Fatal(err)
	}
	r.awaitLink(ctx, of)
	// The nodes that vote for it must know whose replica it is.
	mine, err := r.Client().Do(ctx, "cluster", "myid").Text()
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range nodes {
		c := s.Client()
		s.await(ctx, "it does not know the replica", func() (bool, string, error) {
			all, err := c.ClusterNodes(ctx).Result()
			return slices.ContainsFunc(strings.Split(all, "\n"), func(line string) bool {
				f := strings.Fields(line)
				return len(f) > 3 && f[0] == mine && f[3] == id
			}), all, err
		})
	}
	return r
}

// Follow makes the server a replica of another one, and waits until it has its data.
func (s *Server) Follow(master *Server) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clusterTime)
	defer cancel()
	host, port, _ := net.SplitHostPort(master.Addr)
	if err := s.Client().Do(ctx, "replicaof", host, port).Err(); err != nil {
		s.tb.Fatal(err)
	}
	s.awaitLink(ctx, master)
}

// awaitLink waits until both ends say that the server follows the master.
func (s *Server) awaitLink(ctx context.Context, master *Server) {
	s.tb.Helper()
	c, of := s.Client(), master.Client()
	_, port, _ := net.SplitHostPort(s.Addr)
	s.await(ctx, "the replica does not follow", func() (bool, string, error) {
		info, err := c.Info(ctx, "replication").Result()
		if err != nil || !strings.Contains(info, "master_link_status:up") {
			return false, info, err
		}
		there, err := of.Info(ctx, "replication").Result()
		return strings.Contains(there, "port="+port+",state=online"), there, err
	})
}

// CatchUp waits until the server, a replica, has all that its master had written when CatchUp was
// called. WAIT can't tell: it answers only for what its own connection wrote.
func (s *Server) CatchUp(master *Server) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clusterTime)
	defer cancel()
	wrote, err := offset(ctx, master.Client(), "master_repl_offset")
	if err != nil {
		s.tb.Fatal(err)
	}
	c := s.Client()
	s.await(ctx, "the replica lags", func() (bool, string, error) {
		has, err := offset(ctx, c, "slave_repl_offset")
		return has >= wrote, fmt.Sprintf("it is at %d of %d", has, wrote), err
	})
}

// HoldWrites makes the server leave what clients write unanswered and undone for clusterTime, so that
// its replicas can get all that it has acknowledged.
func (s *Server) HoldWrites() {
	s.tb.Helper()
	if err := s.Client().Do(context.Background(), "client", "pause", clusterTime.Milliseconds(), "write").Err(); err != nil {
		s.tb.Fatal(err)
	}
}

// offset reads how far a node has come in the stream of writes.
func offset(ctx context.Context, c *redis.Client, field string) (int64, error) {
	info, err := c.InfoMap(ctx, "replication").Result()
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(info["Replication"][field], 10, 64)
}
