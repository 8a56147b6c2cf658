package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"habilita/internal/testkit/redistest"
)

// A cluster speaks TLS, and its users have the least rights: both commands work, over RESP3, and Redis
// refuses nothing.
func TestClusterOverTLSWithLeastACL(t *testing.T) {
	l := New(t)
	ca, cert, key := certificates(t, l)
	var nodes []*redistest.Server
	var tls, bus []string
	for range 2 {
		ports := freePorts(t, 2)
		tls, bus = append(tls, ports[0]), append(bus, ports[1])
		nodes = append(nodes, redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", ports[1], "--tls-port", ports[0], "--tls-cluster", "yes",
			"--tls-auth-clients", "no", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", ca))
	}
	ctx := t.Context()
	const half = 16384 / 2
	for i, s := range nodes {
		if err := s.Client().ClusterAddSlotsRange(ctx, i*half, (i+1)*half-1).Err(); err != nil {
			t.Fatal(err)
		}
		for _, role := range []string{"worker", "producer", "reader"} {
			line := []any{"acl", "setuser", role, "reset", "on", ">pw"}
			for _, word := range append(leastACL(t, role), clusterACL()...) {
				line = append(line, word)
			}
			if err := s.Client().Do(ctx, line...).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := nodes[1].Client().Do(ctx, "cluster", "meet", "127.0.0.1", tls[0], bus[0]).Err(); err != nil {
		t.Fatal(err)
	}
	for _, s := range nodes {
		l.Await("the nodes know each other", 0, func(ctx context.Context) (bool, string) {
			info, err := s.Client().ClusterInfo(ctx).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:2"), info
		})
	}
	url := func(user string) string {
		return fmt.Sprintf("rediss-cluster://%s:pw@127.0.0.1:%s,127.0.0.1:%s", user, tls[0], tls[1])
	}
	l.Set("SSL_CERT_FILE", ca)
	l.StartVendor("--latency=0")
	p := Plan{Batch: "tls", Rows: Many(20, 3, good)}
	file := l.File("tls.csv", p.CSV())
	t.Cleanup(func() {
		for _, s := range nodes {
			nothingRefused(t, s.Client())
		}
	})
	l.Workers(1, "REDIS_URL", url("worker"))
	if r := l.EnqueueWith([]string{"REDIS_URL", url("producer")}, "", "bulk", file, "--batch", "tls", "--wait", "--wait-timeout", "60s", "--progress", "none"); r.Exit != 0 {
		t.Fatalf("%s", r)
	}
	r := l.EnqueueWith([]string{"REDIS_URL", url("reader")}, "", "status", "tls", "--json")
	if r.Exit != 0 || !strings.Contains(r.Stdout, `"succeeded":60`) {
		t.Errorf("%s", r)
	}
	for _, s := range nodes {
		clients, err := s.Client().ClientList(ctx).Result()
		if err != nil {
			t.Fatal(err)
		}
		ours := 0
		for line := range strings.Lines(clients) {
			if strings.Contains(line, "user=worker") {
				ours++
				if !strings.Contains(line, "resp=3") {
					t.Errorf("a client does not speak RESP3: %s", line)
				}
			}
		}
		if ours == 0 {
			t.Error("the worker has no connections")
		}
	}
}

// freePorts returns ports that nothing uses now.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer free.Close()
		_, port, _ := net.SplitHostPort(free.Addr().String())
		ports = append(ports, port)
	}
	return ports
}
