package redisconn

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// TheNode is the name under which a Redis that isn't a cluster is watched:
// whichever address answers is the same Redis to its users.
const TheNode = "redis"

// Change says that a Redis isn't the process that it was: it restarted, or
// another node took its place. Writes of its last moments may be lost.
type Change struct {
	Sight // of the process that is there now
	// Promoted says that it is no restart: a replica of the master that was seen took over.
	Promoted bool
}

// Sight is what was last seen of a node.
type Sight struct {
	Node   string        // "redis"; in a cluster the node's host:port
	RunID  string        // 40 hex digits
	Uptime time.Duration // when it was seen, whole seconds
	Master bool          // it never was a replica since it started
}

// BlindError says that a Redis does not tell which process it is (INFO renamed away or
// forbidden), so that a restart, which may lose slots that are held, can't be seen. A
// connection to it isn't used. It has no Unwrap: go-redis would report the cause alone.
type BlindError struct {
	Cause error // what INFO was answered with; nil: an answer without run_id
}

// Error says what to do.
func (e *BlindError) Error() string {
	why := "its answer has no run_id"
	if e.Cause != nil {
		why = e.Cause.Error()
	}
	return "INFO can't be read (" + why + "), so a restart of Redis, which may lose requests in flight, would not be seen: " +
		"allow INFO (`ACL SETUSER <user> +info`; in redis.conf, no rename-command for INFO)"
}

// RestartWatch looks at each new connection, before any other command uses it,
// for the run_id of the Redis at its other end, and reports a change. Give it to
// Options.Watch; one watch may serve several clients of the same Redis.
//
// The first sight of a node is no change, with one exception: a cluster's node
// that was promoted from a replica of a node seen before. A connection on which the question
// fails isn't used: a Redis that does not tell its run_id is a *BlindError. If a server answers
// INFO without a version (miniredis), it is no Redis that could restart on its own, and nothing
// is reported.
//
// What it can't see: a cluster's replica that is promoted while this process has
// idle connections to it, until there is a new one.
type RestartWatch struct {
	changed func(context.Context, *redis.Conn, Change)

	mu      sync.Mutex
	nodes   map[string]Sight
	history map[string]string // replication ids of the masters that were seen -> their run_id
}

// NewRestartWatch makes a watch that calls changed once for each change, by one
// goroutine at a time; nil reports nothing. Every new connection waits until changed
// returns, so that nothing is sent to the new process before. So changed must be quick
// and must not use a client that is watched, but may ask on the connection that it is
// given.
func NewRestartWatch(changed func(context.Context, *redis.Conn, Change)) *RestartWatch {
	return &RestartWatch{changed: changed, nodes: map[string]Sight{}, history: map[string]string{}}
}

// Seen returns what is known of the nodes, in the order of their names. It is empty
// before the first connection, and if nothing can be known.
func (w *RestartWatch) Seen() []Sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.SortedFunc(maps.Values(w.nodes), func(a, b Sight) int { return strings.Compare(a.Node, b.Node) })
}

// RunIDs returns the run_ids of the nodes that were seen, as the function RunIDs does.
func (w *RestartWatch) RunIDs() map[string]string {
	runs := map[string]string{}
	for _, s := range w.Seen() {
		runs[s.Node] = s.RunID
		if s.Node == TheNode {
			runs[""] = s.RunID
		}
	}
	return runs
}

// Succeeds reports whether the master of a cluster took over from the process with a run_id and has all that
// that one had written, as after a planned CLUSTER FAILOVER. The proof is what the former master tells: it is now
// a replica of this one, and went on with its own stream of writes where this one took over. If it had written
// more, Redis would have given it all data anew, and it would have forgotten its stream.
func (w *RestartWatch) Succeeds(ctx context.Context, c *redis.ClusterClient, master *redis.Client, from string) bool {
	is, err := askInfo(ctx, master, "replication")
	if err != nil || is["role"] != "master" {
		return false
	}
	w.mu.Lock()
	stream := is["master_replid2"]
	own := stream != "" && w.history[stream] == from
	w.mu.Unlock()
	end, err := strconv.ParseInt(is["second_repl_offset"], 10, 64)
	if !own || err != nil {
		return false
	}
	var all atomic.Bool
	_ = c.ForEachSlave(ctx, func(ctx context.Context, node *redis.Client) error {
		server, err := askInfo(ctx, node, "server")
		if err != nil || server["run_id"] != from {
			return nil
		}
		was, err := askInfo(ctx, node, "replication")
		if err != nil {
			return nil
		}
		ended, err := strconv.ParseInt(was["second_repl_offset"], 10, 64)
		all.Store(err == nil && was["master_link_status"] == "up" && was["master_replid"] == is["master_replid"] &&
			was["master_replid2"] == stream && ended <= end)
		return nil
	})
	return all.Load()
}

// onConnect returns the go-redis hook for one node; nil for no watch.
func (w *RestartWatch) onConnect(node string) func(context.Context, *redis.Conn) error {
	if w == nil {
		return nil
	}
	return func(ctx context.Context, cn *redis.Conn) error {
		server, err := askInfo(ctx, cn, "server")
		if err != nil || isSentinel(server) {
			return err
		}
		if server["run_id"] == "" {
			return blind(ctx, cn)
		}
		replication, err := askInfo(ctx, cn, "replication")
		if err != nil {
			return err
		}
		w.saw(ctx, cn, node, server, replication)
		return nil
	}
}

// blind returns the error of a server that did not tell its run_id.
func blind(ctx context.Context, cn redis.Cmdable) error {
	all, err := infoFields(cn.Info(ctx).Result())
	if err != nil {
		return err
	}
	if all != nil && all["redis_version"] == "" {
		return nil
	}
	return &BlindError{Cause: cn.Info(ctx, "server").Err()}
}

func (w *RestartWatch) saw(ctx context.Context, cn *redis.Conn, node string, server, replication map[string]string) {
	seconds, _ := strconv.ParseInt(server["uptime_in_seconds"], 10, 64)
	now := Sight{
		Node: node, RunID: server["run_id"], Uptime: time.Duration(seconds) * time.Second,
		Master: replication["role"] == "master" && strings.Trim(replication["master_replid2"], "0") == "",
	}

	w.mu.Lock()
	defer w.mu.Unlock() // held while changed runs: other connections wait for it
	before, known := w.nodes[node]
	w.nodes[node] = now
	// A promoted replica keeps its old master's replication id as its second.
	master := replication["role"] == "master"
	id, second := replication["master_replid"], replication["master_replid2"]
	promoted := master && w.history[id] == "" && w.history[second] != ""
	if master && id != "" {
		w.history[id] = now.RunID
	}
	if (promoted || known && before.RunID != now.RunID) && w.changed != nil {
		w.changed(ctx, cn, Change{now, promoted})
	}
}

// RunIDs asks each master of a cluster, or the one Redis, for its run_id. Its keys are the masters' addresses, or "" for
// the one Redis. It leaves out those that do not tell, such as to a user without +info.
func RunIDs(ctx context.Context, rdb redis.UniversalClient) (map[string]string, error) {
	var mu sync.Mutex
	runs := map[string]string{}
	err := eachMaster(ctx, rdb, func(ctx context.Context, node redis.UniversalClient, name string) error {
		server, err := askInfo(ctx, node, "server")
		mu.Lock()
		defer mu.Unlock()
		if server["run_id"] != "" {
			runs[name] = server["run_id"]
		}
		return err
	})
	return runs, err
}

// askInfo reads a section of INFO. If the server will never tell (an ACL, a section
// that it lacks), the map is empty. A refusal that may pass, and every failure of the
// connection, is an error.
func askInfo(ctx context.Context, c redis.Cmdable, section ...string) (map[string]string, error) {
	return infoFields(c.Info(ctx, section...).Result())
}

// infoFields reads the answer to INFO, as askInfo says.
func infoFields(text string, err error) (map[string]string, error) {
	later := begins(err, "LOADING", "BUSY", "MASTERDOWN", "NOAUTH") // they say nothing of what the server would tell then
	if Is[redis.Error](err) && !later {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields, nil
}
