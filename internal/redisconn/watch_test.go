package redisconn

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/testkit/redistest"
)

// changes collects what a watch reports.
type changes struct {
	mu   sync.Mutex
	list []Change
}

func (c *changes) add(_ context.Context, _ *redis.Conn, ch Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, ch)
}

func (c *changes) get() []Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list)
}

func watched(t *testing.T, url string) (redis.UniversalClient, *RestartWatch, *changes) {
	t.Helper()
	seen := &changes{}
	w := NewRestartWatch(seen.add)
	c, err := Open(url, Options{Watch: w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, w, seen
}

func runID(t *testing.T, c redis.UniversalClient) string {
	t.Helper()
	info, err := askInfo(t.Context(), c, "server")
	if err != nil {
		t.Fatal(err)
	}
	return info["run_id"]
}

func TestWatchSeesARestart(t *testing.T) {
	s := redistest.Start(t)
	c, w, seen := watched(t, s.URL)
	if len(w.Seen()) != 0 {
		t.Error("something was seen without a connection")
	}
	first := runID(t, c)
	if got := w.Seen(); len(got) != 1 || got[0].RunID != first || got[0].Node != "redis" || len(seen.get()) != 0 {
		t.Fatalf("at first sight: %v, %v", got, seen.get())
	}
	s.Kill()
	s.Restart()
	second := runID(t, c)
	want := []Change{{Sight: Sight{Node: "redis", RunID: second, Master: true}}}
	got := seen.get()
	for i := range got {
		if got[i].Uptime > time.Minute {
			t.Errorf("uptime %v", got[i].Uptime)
		}
		got[i].Uptime = 0
	}
	if !slices.Equal(got, want) || first == second {
		t.Fatalf("got %v, want %v", got, want)
	}
}

// Many connections are made at once after a restart: one change is reported, and
// no command is sent before the report is over.
func TestWatchReportsBeforeAnyCommand(t *testing.T) {
	s := redistest.Start(t)
	entered, release := make(chan struct{}), make(chan struct{})
	reports := 0
	w := NewRestartWatch(func(context.Context, *redis.Conn, Change) {
		reports++
		close(entered)
		<-release
	})
	c, err := Open(s.URL, Options{Watch: w, PoolSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.Restart()
	probe := s.Client() // not watched
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := c.Incr(t.Context(), "n").Err(); err != nil {
				t.Error(err)
			}
		})
	}
	<-entered
	if n, err := probe.Exists(t.Context(), "n").Result(); err != nil || n != 0 {
		t.Errorf("a command was sent before the report was over: %d, %v", n, err)
	}
	close(release)
	wg.Wait()
	if n, err := probe.Get(t.Context(), "n").Int(); err != nil || n != 8 || reports != 1 {
		t.Errorf("%d commands, %d reports, %v", n, reports, err)
	}
}

func TestWatchKnowsNothingOfMiniredis(t *testing.T) {
	m := redistest.Mini(t)
	c, w, seen := watched(t, "redis://"+m.Addr())
	if err := c.Info(t.Context(), "server").Err(); err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("miniredis answers INFO server with %v: it can be watched now", err)
	}
	m.Close()
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
	if len(w.Seen())+len(seen.get()) != 0 {
		t.Errorf("%v %v", w.Seen(), seen.get())
	}
}

// A Redis that does not tell which process it is isn't used, and the preflight names it.
func TestWatchOfARedisThatDoesNotTellItsRunID(t *testing.T) {
	forbidden, renamed := redistest.Start(t), redistest.Start(t, "--rename-command", "INFO", "hidden")
	if err := forbidden.Client().Do(t.Context(), "acl", "setuser", "app", "on", ">pw", "~*", "+@all", "-info").Err(); err != nil {
		t.Fatal(err)
	}
	for name, url := range map[string]string{"an ACL without INFO": "redis://app:pw@" + forbidden.Addr, "INFO renamed away": renamed.URL} {
		t.Run(name, func(t *testing.T) {
			c, w, _ := watched(t, url)
			var blind *BlindError
			if err := c.Ping(t.Context()).Err(); !errors.As(err, &blind) || blind.Cause == nil {
				t.Errorf("a watched connection: %v", err)
			}
			if len(w.Seen()) != 0 {
				t.Error(w.Seen())
			}
			plain, err := Open(url, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			got, err := Preflight(t.Context(), plain, Worker)
			if err != nil {
				t.Fatal(err)
			}
			if _, refusal := Split(got); refusal == nil || !strings.Contains(strings.ToLower(refusal.Error()), "info") {
				t.Errorf("Preflight of a worker: %v", got)
			}
		})
	}
}

// A CONFIG that can't be read is named: durability is not known, so every restart freezes.
func TestPreflightNamesCONFIGThatCantBeRead(t *testing.T) {
	s := redistest.Start(t, "--rename-command", "CONFIG", "hidden")
	got, err := Preflight(t.Context(), s.Client(), Worker)
	if err != nil {
		t.Fatal(err)
	}
	if warnings, refusal := Split(got); refusal != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "CONFIG GET") {
		t.Errorf("%v, %v", warnings, refusal)
	}
}

func TestWatchCluster(t *testing.T) {
	t.Parallel()
	url, nodes := redistest.StartCluster(t, 3)
	c, w, seen := watched(t, url)
	touch := func() {
		t.Helper()
		err := c.(*redis.ClusterClient).ForEachMaster(t.Context(), func(ctx context.Context, n *redis.Client) error {
			return n.Ping(ctx).Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	touch()
	var names []string
	for _, s := range w.Seen() {
		names = append(names, s.Node)
	}
	want := []string{nodes[0].Addr, nodes[1].Addr, nodes[2].Addr}
	slices.Sort(want)
	if !slices.Equal(names, want) || len(seen.get()) != 0 {
		t.Fatalf("seen %v, changes %v", names, seen.get())
	}
	nodes[1].Restart()
	touch()
	if got := seen.get(); len(got) != 1 || got[0].Node != nodes[1].Addr {
		t.Errorf("changes %v, want one of %s", got, nodes[1].Addr)
	}
	if got, err := Preflight(t.Context(), c, 0); err != nil || len(got) != 0 {
		t.Errorf("Preflight: %v, %v", got, err)
	}
}

func TestWatchSentinelFailover(t *testing.T) {
	t.Parallel()
	master, replica := redistest.Start(t), redistest.Start(t)
	host, port, _ := strings.Cut(master.Addr, ":")
	if err := replica.Client().Do(t.Context(), "replicaof", host, port).Err(); err != nil {
		t.Fatal(err)
	}
	url, _ := redistest.StartSentinel(t, master)
	c, w, seen := watched(t, url)
	first := runID(t, c)
	if got := w.Seen(); len(got) != 1 || got[0].RunID != first || len(seen.get()) != 0 {
		t.Fatalf("at first: %v, %v (a Sentinel's own run_id does not count)", got, seen.get())
	}
	// Sentinel's failover takes several seconds; a promotion that it did not
	// order is the same to the watch, and quicker by hand.
	if err := replica.Client().Do(t.Context(), "replicaof", "no", "one").Err(); err != nil {
		t.Fatal(err)
	}
	second := runID(t, replica.Client())
	hook := w.onConnect(TheNode)
	direct := redis.NewClient(&redis.Options{Addr: replica.Addr, OnConnect: hook})
	defer direct.Close()
	if err := direct.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if got := seen.get(); len(got) != 1 || got[0].RunID != second {
		t.Errorf("changes %v, want %s to %s", got, first, second)
	}
}

func TestWatchPromotionAtFirstSight(t *testing.T) {
	seen := &changes{}
	w := NewRestartWatch(seen.add)
	info := func(id string) map[string]string { return map[string]string{"run_id": id, "uptime_in_seconds": "7"} }
	master := func(id, second string) map[string]string {
		return map[string]string{"role": "master", "master_replid": id, "master_replid2": second}
	}
	zero := strings.Repeat("0", 40)
	w.saw(t.Context(), nil, "a", info("ra"), master("A", zero))
	w.saw(t.Context(), nil, "b", info("rb"), master("B", "Z")) // promoted before our time
	w.saw(t.Context(), nil, "c", info("rc"), map[string]string{"role": "slave", "master_replid": "A", "master_replid2": zero})
	w.saw(t.Context(), nil, "b", info("rb"), master("B", "Z"))
	if got := seen.get(); len(got) != 0 {
		t.Fatalf("too early: %v", got)
	}
	w.saw(t.Context(), nil, "d", info("rd"), master("D", "A"))
	w.saw(t.Context(), nil, "d", info("rd"), master("D", "A"))
	if got := seen.get(); len(got) != 1 || got[0] != (Change{Sight: Sight{Node: "d", RunID: "rd", Uptime: 7 * time.Second}, Promoted: true}) {
		t.Errorf("changes %v", got)
	}
}
