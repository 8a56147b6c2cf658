package tasks

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
)

// A Redis that restarted may have lost its last writes, and with them slots that are
// held. So there are no grants for one lease, by which every request that could be in
// flight has ended, unless nothing can have been lost: appendfsync is always, and no
// replica took over.

// freshStart is the uptime below which another Redis process is one that restarted; one
// that ran before is a replica that took over.
const freshStart = time.Minute

// restarted is called before a new connection to another Redis process is used.
func (w *Worker) restarted(c redisconn.Change) {
	w.changes.Add(1)
	if w.durable.Load() && c.Uptime < freshStart && !c.Promoted {
		w.log.Warn().Str("node", c.Node).Msg("Redis restarted; it writes every command to disk (appendfsync always), so grants go on")
		return
	}
	until := w.stack.clock.Now().Add(w.stack.settings.Lease)
	w.stack.holdUntil(until)
	what := "Redis restarted"
	if c.Promoted || c.Uptime >= freshStart {
		what = "another node of Redis took over"
	}
	w.log.Warn().Str("node", c.Node).Dur("uptime", c.Uptime).Time("until", until).
		Msg(what + " and its last writes may be lost: no call is made until every request that could be in flight has ended")
}

func (w *Worker) holdKey() string { return w.stack.prefix + ":hold" }
func (w *Worker) runsKey() string { return w.stack.prefix + ":runs" }

// remember compares the Redis processes that were seen with those that the ledger
// remembers, for a restart that happened while no worker was there, and takes over a
// hold that is under way. The hold is written before the run_id, so that a crash
// between the two leaves the next worker to see the change.
//
// A worker that runs has seen a restart itself (restarted), and only writes it down.
func (w *Worker) remember(ctx context.Context, starting bool) error {
	rdb := w.stack.rdb
	known, err := rdb.HGetAll(ctx, w.runsKey()).Result()
	if err != nil {
		return err
	}
	fresh := map[string]any{}
	changed := false
	for _, s := range w.watch.Seen() {
		if known[s.Node] == s.RunID {
			continue
		}
		fresh[s.Node] = s.RunID
		// A node that joined a cluster that is known has no history that could be lost.
		changed = changed || known[s.Node] != ""
	}
	if starting && changed && !w.durable.Load() {
		until := w.stack.clock.Now().Add(w.stack.settings.Lease)
		w.stack.holdUntil(until)
		w.log.Warn().Time("until", until).Msg("Redis restarted, or another node took over, while no worker was there: no call is made before")
	}
	if own := w.stack.notBefore.Load(); own > 0 {
		if left := time.UnixMilli(own).Sub(w.stack.clock.Now()); left > 0 {
			if err := rdb.Set(ctx, w.holdKey(), own, left+time.Second).Err(); err != nil {
				return err
			}
		}
	}
	held, err := rdb.Get(ctx, w.holdKey()).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	if ms, err := strconv.ParseInt(held, 10, 64); err == nil {
		w.stack.holdUntil(time.UnixMilli(ms))
	}
	if len(fresh) == 0 {
		return nil
	}
	return rdb.HSet(ctx, w.runsKey(), fresh).Err()
}

// learnDurability asks whether Redis syncs every write. Where it does not tell, and
// where a replica may take over (Sentinel, Cluster), it is taken as not.
func (w *Worker) learnDurability(ctx context.Context) {
	if redisconn.Several(w.o.RedisURL) {
		return
	}
	v, err := w.stack.rdb.ConfigGet(ctx, "append*").Result()
	w.durable.Store(err == nil && v["appendonly"] == "yes" && v["appendfsync"] == "always")
}
