package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

// A Redis that restarted may have lost its last writes, and with them slots that are
// held. So nothing is granted for one lease: by then every request that could be in
// flight has ended. Grants go on only if nothing can have been lost: appendfsync is
// always, no replica took over, and the data is the same.
//
// From the ledger's founding on, the epoch of every bucket has, in the data itself, the run_id of the Redis process
// that was seen last. A process that starts later compares it with that of the process that has the bucket now.

// freshStart is the uptime below which another Redis process counts as a restart. One that
// has run for longer is a replica that took over.
const freshStart = time.Minute

// restarted is called before a new connection to another Redis process is used.
func (w *Worker) restarted(ctx context.Context, cn *redis.Conn, c redisconn.Change) {
	w.changes.Add(1)
	if w.durable.Load() && c.Master && c.Uptime < freshStart && w.sameData(ctx, cn) {
		w.log.Warn().Str("node", c.Node).Msg("Redis restarted; it writes every command to disk (appendfsync always), so grants go on")
		return
	}
	if c.Promoted && w.prove > 0 {
		w.undecided()
		w.log.Warn().Str("node", c.Node).Msg("another node of Redis took over: no call is made until it is known whether its last writes were lost")
		return
	}
	until := w.freeze()
	what := "Redis restarted"
	if c.Promoted || c.Uptime >= freshStart {
		what = "another node of Redis took over"
	}
	w.log.Warn().Str("node", c.Node).Dur("uptime", c.Uptime).Time("until", until).
		Msg(what + " and its last writes may be lost: no call is made until every request that could be in flight has ended")
}

// sameData reports whether a Redis has all the data that this worker saw: its count of looks is no
// lower. It asks on the new connection, which is not in use yet. One bucket is enough, since only a
// single Redis counts as durable.
func (w *Worker) sameData(ctx context.Context, cn *redis.Conn) bool {
	tag := ledger.TagAt(0)
	saw := w.stack.memory.looked(tag)
	n, err := cn.HGet(ctx, w.stack.ledger.EpochKey(tag), "n").Int64()
	return err == nil && saw > 0 && n >= saw
}

// freeze lets nothing be granted for one lease from now on.
func (w *Worker) freeze() (until time.Time) {
	until = w.stack.clock.Now().Add(w.stack.settings.Lease)
	if since := w.stack.doubt.Load(); since > 0 {
		until = time.UnixMilli(since).Add(w.stack.settings.Lease) // nothing was sent since then
	}
	w.stack.notBefore.Until(until)
	return until
}

// proofWait is how long a node that took over may take to show that nothing was lost.
const proofWait = time.Second

// undecided reports whether there is still time to show that a take-over lost nothing. Meanwhile no request is sent.
func (w *Worker) undecided() bool {
	if w.prove == 0 {
		return false
	}
	now := w.stack.clock.Now()
	w.stack.doubt.CompareAndSwap(0, now.UnixMilli())
	return now.Sub(time.UnixMilli(w.stack.doubt.Load())) < w.prove
}

// succeeds reports whether the node that has a bucket now has all that the process from had written.
func (w *Worker) succeeds(ctx context.Context, tag, from string) bool {
	c, ok := w.stack.rdb.(*redis.ClusterClient)
	if !ok || from == "" || w.prove == 0 {
		return false
	}
	node, err := c.MasterForKey(ctx, w.stack.ledger.EpochKey(tag))
	return err == nil && w.watch.Succeeds(ctx, c, node, from)
}

// serves reports whether a Redis process has buckets now.
func (w *Worker) serves(ctx context.Context, process string, run func(tag string) string) bool {
	shards, err := w.stack.ledger.Shards(ctx)
	return err == nil && slices.ContainsFunc(shards, func(tag string) bool { return run(tag) == process })
}

// runOf returns a function that gives the run_id of the Redis process that has a bucket; "" if that is not known.
func runOf(ctx context.Context, ledger *ledger.Ledger, runs map[string]string) func(tag string) string {
	return func(tag string) string {
		node, err := ledger.NodeOf(ctx, tag)
		if err != nil {
			return ""
		}
		return runs[node]
	}
}

// remember compares the data with what this worker, and the data itself, remember. So it finds a
// restart or a failover while no worker ran, and a loss that nobody has seen yet, and writes down
// what it found. With a *redisconn.UnreadError, it did so for the shards that can be read: another
// is compared when it comes back.
func (w *Worker) remember(ctx context.Context, starting bool) error {
	before := w.stack.notBefore.Load()
	out, unread := w.stack.look(ctx)
	if !redisconn.Partly(unread) {
		return unread
	}
	run := runOf(ctx, w.stack.ledger, w.watch.RunIDs())
	doubt := w.stack.doubt.Load()
	moved, pending := false, unread != nil && doubt != 0
	for _, e := range out.all {
		now := run(e.Tag)
		switch {
		case now == "":
			pending = pending || doubt != 0
			continue
		case now == e.Run:
			continue
		}
		moved = true
		// A worker that runs sees most changes itself, at a new connection (restarted). It makes none
		// to a former master that took over again if it has idle ones to it. If a process still serves
		// other buckets, nothing is lost: this bucket was moved from it.
		switch {
		case e.Run == "" && doubt == 0, e.Run != "" && (w.nothingLost() || w.serves(ctx, e.Run, run)):
		case w.succeeds(ctx, e.Tag, e.Run):
			w.log.Info().Msg("another node of Redis took over and has all that the one before had written: calls go on")
		case !starting && w.undecided():
			pending = true
		default:
			w.log.Warn().Time("until", w.freeze()).
				Msg("Redis restarted, or another node took over: no call is made until every request that could be in flight has ended")
		}
	}
	if pending && !w.undecided() {
		pending = false
		w.log.Warn().Time("until", w.freeze()).
			Msg("another node of Redis took over and can't be reached: no call is made until every request that could be in flight has ended")
	}
	switch {
	case out.other:
		// Requests under this worker's token names may be in flight, and processes with the other key
		// don't know of them.
		return errors.Join(w.stack.raise(ctx, time.Time{}, run), ledger.ErrOtherKey)
	case out.lost != "":
		until := w.freeze()
		w.log.Error().Time("until", until).Msg("Redis lost what it knew of calls: " + out.lost +
			"; no call is made until every request that could be in flight has ended. Give batches that were enqueued again")
		return w.stack.restore(ctx, w.member, run)
	case out.noted && !starting:
		if err := w.member.Renew(ctx); err != nil { // it may be among what was lost
			return err
		}
		w.log.Warn().Time("until", time.UnixMilli(w.stack.notBefore.Load())).
			Msg("another process found that Redis lost data: no call is made until every request that could be in flight has ended")
	}
	if pending && w.stack.notBefore.Load() == before {
		return unread // the data still says who had it before
	}
	if moved || out.stale || starting && w.stack.notBefore.Load() != before {
		known := w.stack.lostAt()
		if known.IsZero() {
			known = time.UnixMilli(0) // which raises nothing
		}
		if err := w.stack.raise(ctx, known, run); !redisconn.Partly(err) {
			return err
		}
	}
	w.stack.doubt.CompareAndSwap(doubt, 0) // unless another take-over has been seen since
	return unread
}

// nothingLost reports whether the Redis that is there now has all that it had: it writes every
// command to disk, and was never a replica.
func (w *Worker) nothingLost() bool {
	return w.durable.Load() && !slices.ContainsFunc(w.watch.Seen(), func(s redisconn.Sight) bool { return !s.Master })
}

// learnDurability asks whether Redis syncs every write. If Redis does not tell, or if a
// replica may take over (Sentinel, Cluster), the answer is no.
func (w *Worker) learnDurability(ctx context.Context) {
	if w.o.severalNodes() {
		return
	}
	v, err := w.stack.rdb.ConfigGet(ctx, "append*").Result()
	w.durable.Store(err == nil && v["appendonly"] == "yes" && v["appendfsync"] == "always")
}

// frozen says why nothing is granted now, or nil.
func (s *stack) frozen() error {
	until := time.UnixMilli(s.notBefore.Load())
	if !s.clock.Now().Before(until) {
		return nil
	}
	return fmt.Errorf("no call is made until %s: Redis restarted or lost data, and requests may be in flight that it does not know of",
		until.UTC().Format(time.RFC3339))
}

// follow compares the data with what this worker remembers, until ctx ends. The error says that
// another token-ID key is there: the worker must stop.
func (w *Worker) follow(ctx context.Context) error {
	noted := w.changes.Load()
	for ctx.Err() == nil {
		wait(ctx, lookAtData)
		if n := w.changes.Load(); n != noted {
			w.learnDurability(ctx)
			noted = n
		}
		if err := w.remember(ctx, false); errors.Is(err, ledger.ErrOtherKey) && ctx.Err() == nil {
			return err
		}
	}
	return nil
}
