package e2e

import (
	"strings"
	"testing"

	"habilita/internal/testkit/redistest"
)

// A server that does not know HELLO, like some proxies, speaks RESP2. Both commands work with it.
func TestServerSpeaksRESP2(t *testing.T) {
	old := []string{"--rename-command", "HELLO", "NO-HELLO"}
	for name, start := range map[string]func() (string, []*redistest.Server){
		"one": func() (string, []*redistest.Server) {
			s := redistest.Start(t, old...)
			return s.URL, []*redistest.Server{s}
		},
		"cluster": func() (string, []*redistest.Server) { return redistest.StartCluster(t, 2, old...) },
	} {
		t.Run(name, func(t *testing.T) {
			l := New(t)
			url, nodes := start()
			l.Set("REDIS_URL", url)
			l.StartVendor("--latency=0")
			l.Workers(1)
			p := Plan{Batch: "resp2", Rows: Many(20, 3, good)}
			l.MustEnqueue("bulk", l.File("resp2.csv", p.CSV()), "--batch", p.Batch, "--wait", "--wait-timeout", "60s", "--progress", "none")
			for _, s := range nodes {
				clients, err := s.Client().ClientList(t.Context()).Result()
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(clients, "name=habilita") || strings.Contains(clients, "resp=3") {
					t.Errorf("not all clients speak RESP2:\n%s", clients)
				}
			}
			if v := l.MustKeep(Terms{}, p); v.Succeeded != len(p.Rows) {
				t.Errorf("%+v", v)
			}
		})
	}
}
