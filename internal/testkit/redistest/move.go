package redistest

import (
	"context"
	"net"
	"slices"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Move is a hash slot of a cluster that is being moved from one master to another, as `redis-cli
// --cluster reshard` does it.
type Move struct {
	tb       testing.TB
	nodes    []*Server
	clients  []*redis.Client
	from, to int
	slot     int
}

// OpenSlot begins to move the slot of a key from the node that has it to the next one. It does not
// move any key yet.
func OpenSlot(tb testing.TB, nodes []*Server, key string) *Move {
	tb.Helper()
	m := &Move{tb: tb, nodes: nodes}
	for _, s := range nodes {
		m.clients = append(m.clients, s.Client())
	}
	slot, err := m.clients[0].ClusterKeySlot(tb.Context(), key).Result()
	if err != nil {
		tb.Fatal(err)
	}
	m.slot = int(slot)
	masters, err := Masters(tb.Context(), m.clients[0])
	if err != nil {
		tb.Fatal(err)
	}
	for addr, ranges := range masters {
		if slices.ContainsFunc(ranges, func(r redis.SlotRange) bool { return r.Start <= slot && slot <= r.End }) {
			m.from = slices.IndexFunc(nodes, func(s *Server) bool { return s.Addr == addr })
		}
	}
	m.to = (m.from + 1) % len(nodes)
	m.set(m.to, "importing", m.id(m.from))
	m.set(m.from, "migrating", m.id(m.to))
	return m
}

// Masters returns the masters of a cluster as a node knows them: address to slots.
func Masters(ctx context.Context, c *redis.Client) (map[string][]redis.SlotRange, error) {
	shards, err := c.ClusterShards(ctx).Result()
	if err != nil {
		return nil, err
	}
	masters := map[string][]redis.SlotRange{}
	for _, shard := range shards {
		for _, n := range shard.Nodes {
			if n.Role == "master" && len(shard.Slots) > 0 {
				masters[net.JoinHostPort(n.IP, strconv.FormatInt(n.Port, 10))] = shard.Slots
			}
		}
	}
	return masters, nil
}

// Keys moves up to n keys of the slot, and returns how many. Redis refuses one that is at both nodes.
func (m *Move) Keys(n int) int {
	m.tb.Helper()
	c := m.clients[m.from]
	keys, err := c.ClusterGetKeysInSlot(m.tb.Context(), m.slot, n).Result()
	if err != nil || len(keys) == 0 {
		if err != nil {
			m.tb.Fatal(err)
		}
		return 0
	}
	host, port, _ := net.SplitHostPort(m.nodes[m.to].Addr)
	args := []any{"migrate", host, port, "", 0, 5000, "keys"}
	for _, k := range keys {
		args = append(args, k)
	}
	if err := c.Do(m.tb.Context(), args...).Err(); err != nil {
		m.tb.Fatal(err)
	}
	return len(keys)
}

// Close moves the keys that are left, and tells all nodes who has the slot.
func (m *Move) Close() {
	m.tb.Helper()
	for m.Keys(100) > 0 {
	}
	id := m.id(m.to)
	m.set(m.to, "node", id)
	m.set(m.from, "node", id)
	for s := range m.nodes {
		if s != m.from && s != m.to {
			m.set(s, "node", id)
		}
	}
}

func (m *Move) id(node int) string {
	m.tb.Helper()
	id, err := m.clients[node].Do(m.tb.Context(), "cluster", "myid").Text()
	if err != nil {
		m.tb.Fatal(err)
	}
	return id
}

func (m *Move) set(node int, state, id string) {
	m.tb.Helper()
	if err := m.clients[node].Do(m.tb.Context(), "cluster", "setslot", m.slot, state, id).Err(); err != nil {
		m.tb.Fatal(err)
	}
}
