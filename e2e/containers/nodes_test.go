//go:build linux

package containers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"habilita/e2e"
)

// shortLeases are settings of workers and producers with which a freeze after a failover lasts only seconds.
const shortLeases = `CALL_TIMEOUT: 3s
      VENDOR_TIMEOUT: 3s
      SLOT_MARGIN: 2s`

// With the files for several Redis nodes, a master's container is killed under load, another node takes over, and
// the old one comes back. Only calls that the new master lacks may be made again.
func TestNodes(t *testing.T) {
	for _, c := range []struct {
		name, file string
		// master returns the service that takes the writes: it is killed.
		master func(p *project) string
	}{
		{"sentinel", "deploy/compose-sentinel.yml", func(p *project) string {
			return p.serviceAt(p.redis("sentinel-1", "-p", "26379", "sentinel", "get-master-addr-by-name", "habilita"))
		}},
		{"cluster", "deploy/compose-cluster.yml", func(p *project) string {
			for line := range strings.Lines(p.redis("redis-2", "cluster", "nodes")) {
				if f := strings.Fields(line); len(f) > 8 && strings.Contains(f[2], "master") && !strings.Contains(f[2], "myself") && !strings.Contains(f[2], "fail") {
					return p.serviceAt(f[1])
				}
			}
			return ""
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newProject(t, startEngine(t), shortLeases, c.file)
			p.up(2)
			p.bulk(40, 40)
			await(t, "calls are made", func(context.Context) (bool, string) {
				st := p.status("b1")
				return st.Succeeded > 0, fmt.Sprintf("%+v", st)
			})
			dead := c.master(p)
			if dead == "" {
				t.Fatal("no master")
			}
			killed := time.Now()
			p.e.must(nil, "docker", "kill", "--signal=KILL", p.containers(dead)[0])
			await(t, "another node is the master", func(context.Context) (bool, string) {
				now := c.master(p)
				return now != "" && now != dead, now
			})
			p.status("b1")
			t.Logf("%s was killed; another node had its place and answered after %s", dead, time.Since(killed).Round(time.Second))
			p.compose("up", "-d", "--no-recreate", "--scale", "worker=2", dead)
			terms := e2e.Terms{LostWrites: true, Unsent: 2000, Unrecorded: []e2e.Window{{From: killed.Add(-time.Second), To: time.Now().Add(10 * time.Second)}}}
			again := p.judge(terms)
			if again.MaxInFlight > 2 {
				t.Errorf("%d requests of a token in flight", again.MaxInFlight)
			}
			await(t, "the old master follows", func(context.Context) (bool, string) {
				info := p.redis(dead, "info", "replication")
				return strings.Contains(info, "role:slave") && strings.Contains(info, "master_link_status:up"), info
			})
			// The nodes keep their roles over down and up.
			p.down()
			p.up(1)
			p.bulk(10, 2)
			p.judge(terms)
		})
	}
}

// redis runs redis-cli in a service's container.
func (p *project) redis(service string, args ...string) string {
	p.Helper()
	ids := p.containers(service)
	if len(ids) == 0 {
		p.Fatalf("%s does not run", service)
	}
	out, err := p.e.run(p.Context(), nil, "docker", append([]string{"exec", ids[0], "redis-cli"}, args...)...)
	if err != nil {
		return ""
	}
	return out
}

// serviceAt returns the service at a node's address: .11 is redis, .12 is redis-2.
func (p *project) serviceAt(address string) string {
	for i := range 6 {
		if strings.Contains(address+"\n", fmt.Sprintf("%s.1%d", subnet, i+1)) {
			if i == 0 {
				return "redis"
			}
			return fmt.Sprint("redis-", i+1)
		}
	}
	return ""
}
