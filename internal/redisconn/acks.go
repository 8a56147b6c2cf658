package redisconn

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// ackWait is how long replicas may take to acknowledge a write. It is below the read time-out of a
// client, since the master answers only then.
const ackWait = 500 * time.Millisecond

// writtenFor is how long the key that is written before each WAIT lasts.
const writtenFor = 10 * time.Second

// Acks makes replicas acknowledge the writes of a client whose context was made by Acknowledged. Each
// pipeline of such writes ends with one WAIT on the same connection, so that the node that did the
// writes answers for them. One Acks may serve several clients of the same Redis.
//
// At least WAIT_REPLICAS replicas must acknowledge, and all that did lately: with Sentinel, a primary that is being
// replaced by one replica may still have another one, which follows it and later loses what it acknowledged. A
// replica that has been missing for as long as gone no longer counts.
//
// A write that too few replicas acknowledge in time fails with a *NotReplicatedError, but keeps its
// reply: the master has carried it out.
type Acks struct {
	replicas int
	prefix   string
	wait     time.Duration // ackWait
	gone     time.Duration // the constant
	missed   atomic.Int64

	mu    sync.Mutex
	nodes map[string]*attached
}

// attached are the replicas of a node.
type attached struct {
	count int       // that acknowledged lately
	short time.Time // since when fewer do, or fewer than WAIT_REPLICAS; zero: enough do
}

// gone is how long a replica may be missing before it no longer counts. Sentinel demotes a former primary within
// that time after a planned failover.
const gone = 10 * time.Second

// MaxReplicas is the most that can be waited for.
const MaxReplicas = 100

// NewAcks returns an Acks that waits for that many replicas, as soon as it is On. The prefix is that of the keys that it writes.
func NewAcks(replicas int, prefix string) *Acks {
	return &Acks{replicas: replicas, prefix: prefix, wait: ackWait, gone: gone, nodes: map[string]*attached{}}
}

// NotReplicatedError says that a write was carried out, but too few replicas acknowledged it in time.
// Another node that takes over may lack it.
type NotReplicatedError struct {
	Node      string // address of the master; "FailoverClient" where Sentinel names it
	Want, Got int    // replicas; Want is WAIT_REPLICAS, or as many as acknowledged lately
	Cause     error  // of WAIT itself; nil: it answered
}

func (e *NotReplicatedError) Error() string {
	s := fmt.Sprintf("%d of %d replicas acknowledged a write at %s within %s (WAIT_REPLICAS)", e.Got, e.Want, e.Node, ackWait)
	if e.Cause != nil {
		s = fmt.Sprintf("the %d replicas that WAIT_REPLICAS asks for could not be waited for at %s: %v", e.Want, e.Node, e.Cause)
	}
	return s + ": see that the replicas run and that their link is up (`redis-cli info replication`)"
}

func (e *NotReplicatedError) Unwrap() error { return e.Cause }

// Unreplicated reports whether an error says that a write was carried out, but that too few replicas have it.
func Unreplicated(err error) bool { return Is[*NotReplicatedError](err) }

type acknowledgedKey struct{}

// Acknowledged marks the writes under the context as in need of acknowledgement.
func Acknowledged(ctx context.Context) context.Context {
	return context.WithValue(ctx, acknowledgedKey{}, true)
}

func needsAck(ctx context.Context) bool {
	need, _ := ctx.Value(acknowledgedKey{}).(bool)
	return need
}

// On makes replicas acknowledge the client's marked writes. Call it after Pipelined and MakePatient. It
// asks a cluster which nodes there are.
func (a *Acks) On(ctx context.Context, c redis.UniversalClient) error {
	add := func(node *redis.Client) { node.AddHook(&acking{acks: a, client: node}) }
	switch c := c.(type) {
	case *redis.Client:
		add(c)
	case *redis.ClusterClient:
		c.OnNewNode(add)
		return c.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
			add(node) // a second hook of one node does nothing
			return nil
		})
	}
	return nil
}

// Missed returns how many writes were not acknowledged in time.
func (a *Acks) Missed() int64 { return a.missed.Load() }

// Lacking returns the node that has had too few replicas for longest, and since when; zero: none.
func (a *Acks) Lacking() (node string, since time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for n, at := range a.nodes {
		if !at.short.IsZero() && (since.IsZero() || at.short.Before(since)) {
			node, since = n, at.short
		}
	}
	return node, since
}

// probes are how many keys are tried to find one at each master of a cluster.
const probes = 256

// Probe writes to every master and waits for its replicas, so that Lacking is up to date.
func (a *Acks) Probe(ctx context.Context, c redis.UniversalClient) {
	if one, ok := c.(*redis.Client); ok {
		a.ask(ctx, one, a.prefix+":written")
	}
	cluster, several := c.(*redis.ClusterClient)
	if !several {
		return
	}
	masters := map[string]bool{}
	for i := range probes {
		key := fmt.Sprintf("%s:written:{%d}", a.prefix, i)
		node, err := cluster.MasterForKey(ctx, key)
		if err != nil {
			return
		}
		if addr := node.Options().Addr; !masters[addr] {
			masters[addr] = true
			a.ask(ctx, node, key)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.nodes, func(node string, _ *attached) bool { return !masters[node] }) // no masters any more
}

func (a *Acks) ask(ctx context.Context, node *redis.Client, key string) {
	addr := node.Options().Addr
	if info, err := askInfo(ctx, node, "replication"); err == nil {
		a.has(addr, onlineReplicas(info))
	}
	pipe := node.Pipeline()
	pipe.Set(ctx, key, "", writtenFor)
	wait := pipe.Do(ctx, "wait", a.want(addr), a.wait.Milliseconds())
	Exec(ctx, pipe) // WAIT has its own error
	got, err := wait.Int()
	_ = a.note(addr, got, err)
}

// at returns what is known of a node's replicas. The caller must hold mu.
func (a *Acks) at(node string) *attached {
	if a.nodes[node] == nil {
		a.nodes[node] = &attached{}
	}
	return a.nodes[node]
}

// has notes that a node has replicas.
func (a *Acks) has(node string, replicas int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if has := a.at(node); has.short.IsZero() {
		has.count = max(has.count, replicas)
	}
}

// want returns how many replicas must acknowledge a write at a node.
func (a *Acks) want(node string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(a.replicas, a.at(node).count)
}

// note keeps how a WAIT ended, and returns an error if too few replicas acknowledged.
func (a *Acks) note(node string, got int, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	has := a.at(node)
	want := max(a.replicas, has.count)
	enough := err == nil && got >= a.replicas
	left := !has.short.IsZero() && time.Since(has.short) >= a.gone // one that acknowledged before
	if enough && (got >= want || left) {
		has.count, has.short = got, time.Time{}
		return nil
	}
	if has.short.IsZero() {
		has.short = time.Now()
	}
	return &NotReplicatedError{Node: node, Want: want, Got: got, Cause: err}
}

// acking is the go-redis hook of one node.
type acking struct {
	PlainHook
	acks   *Acks
	client *redis.Client
}

// ProcessHook sends a marked command as a pipeline, so that its WAIT follows on the same connection.
func (h *acking) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !needsAck(ctx) {
			return next(ctx, cmd)
		}
		pipe := h.client.Pipeline()
		_ = pipe.Process(ctx, cmd) // queues it
		Exec(ctx, pipe)
		return cmd.Err()
	}
}

// ProcessPipelineHook ends a marked pipeline with a write and a WAIT. The write is there for commands
// that are sent again: they change nothing the second time, and WAIT answers only for what its own
// connection wrote. If Redis refuses the write, since it is full, WAIT answers for the commands alone.
func (h *acking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !needsAck(ctx) || len(cmds) == 0 || cmds[0].Name() == "multi" {
			return next(ctx, cmds)
		}
		ctx = context.WithValue(ctx, acknowledgedKey{}, false) // another hook of this kind has nothing to add
		all := cmds[:len(cmds):len(cmds)]
		if cmds[0].Name() == "asking" {
			all = append(all, redis.NewCmd(ctx, "asking"))
		}
		wait := redis.NewCmd(ctx, "wait", h.acks.want(h.client.Options().Addr), h.acks.wait.Milliseconds())
		all = append(all, redis.NewStatusCmd(ctx, "set", h.writtenKey(cmds), "", "px", writtenFor.Milliseconds()), wait)
		err := next(ctx, all)
		if failed := failedAll(cmds); failed != nil {
			return failed // nothing was written
		}
		if err != nil && wait.Err() == nil && wait.Val() == nil {
			return err // no server was reached, and the commands do not say so
		}
		got, waitErr := wait.Int()
		lacks := h.acks.note(h.client.Options().Addr, got, waitErr)
		if lacks == nil {
			return FirstError(cmds)
		}
		for _, c := range cmds {
			if c.Err() == nil {
				h.acks.missed.Add(1)
				c.SetErr(lacks)
			}
		}
		return cmp.Or(FirstError(cmds), err)
	}
}

// failedAll returns the first error if all of the commands failed.
func failedAll(cmds []redis.Cmder) error {
	if slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return c.Err() == nil }) {
		return nil
	}
	return cmds[0].Err()
}

// writtenKey returns a key in the hash slot of the last command's key.
func (h *acking) writtenKey(cmds []redis.Cmder) string {
	args := cmds[len(cmds)-1].Args()
	at := 1
	if name := cmds[len(cmds)-1].Name(); name == "evalsha" || name == "eval" {
		at = 3
	}
	key := ""
	if at < len(args) {
		key, _ = args[at].(string)
	}
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, closed := strings.Cut(rest, "}"); closed && tag != "" {
			key = tag
		}
	}
	return h.acks.prefix + ":written:{" + key + "}"
}
