package schedule

import (
	"cmp"
	"context"
	"crypto/rand"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

//go:embed lua/*.lua
var sources embed.FS

// ErrNoSchedule says that there is no schedule of that name.
var ErrNoSchedule = errors.New("no such schedule")

// ErrExists says that there is a schedule of that name already.
var ErrExists = errors.New("there is a schedule of that name")

// Store keeps schedules in Redis. It is safe for concurrent use.
type Store struct {
	rdb    redis.UniversalClient
	prefix string

	scripts map[string]*redis.Script // by the names of their files
}

// NewStore returns a store. "" as prefix is "habilita". It sends nothing to Redis.
func NewStore(rdb redis.UniversalClient, prefix string) *Store {
	s := &Store{rdb: rdb, prefix: cmp.Or(prefix, "habilita"), scripts: map[string]*redis.Script{}}
	source := func(name string) string { return redisconn.Source(sources, name) }
	for _, name := range []string{"put", "claim", "take", "renew", "decided", "finish", "pass", "ask", "pause", "remove", "reseal"} {
		s.scripts[name] = redis.NewScript(source("library") + ledger.Once(source(name)))
	}
	return s
}

// run runs a script on a schedule. It declares the prefix of the schedule's keys, and the name under which its
// answer is kept. Neither is there yet, so that no script runs while a cluster moves the slot (see redisconn.BucketKeys).
func (s *Store) run(ctx context.Context, name, id string, args ...any) *redis.Cmd {
	return s.scripts[name].Run(ctx, s.rdb, []string{s.key(id), s.key(id) + "told:" + rand.Text()}, args...)
}

// ID returns the short name of a schedule in keys. It is made as that of a batch: 12 characters of its name's SHA-256.
func ID(name string) string { return ledger.BatchID(name) }

// key returns the prefix of all keys of a schedule. Its tag is none of the ledger's.
func (s *Store) key(id string) string { return s.prefix + ":{s:" + id + "}:" }

func (s *Store) hash(id string) string { return s.key(id) + "schedule" }

func (s *Store) listKey() string { return s.prefix + ":schedules" }

// Now returns the time of Redis.
func (s *Store) Now(ctx context.Context) (time.Time, error) { return s.rdb.Time(ctx).Result() }

// Get returns a schedule by its name, or ErrNoSchedule.
func (s *Store) Get(ctx context.Context, name string) (State, error) {
	id := ID(name)
	v, err := s.rdb.HGetAll(ctx, s.hash(id)).Result()
	if err != nil {
		return State{}, err
	}
	st, ok := decode(id, v)
	if !ok {
		return State{}, ErrNoSchedule
	}
	if st.Name != name {
		return State{}, fmt.Errorf("schedules %q and %q have the same short name %s: use another name", name, st.Name, id)
	}
	return st, nil
}

// All returns all schedules in the order in which they were added, and the time of Redis: with a
// *redisconn.UnreadError, those that could be read.
func (s *Store) All(ctx context.Context) ([]State, time.Time, error) {
	ids, err := s.rdb.ZRange(ctx, s.listKey(), 0, -1).Result()
	if err != nil {
		return nil, time.Time{}, err
	}
	// Asked by itself: a cluster's client asks any node, and another one if that is away.
	now, err := s.Now(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	var out []State
	unread := &redisconn.UnreadError{What: redisconn.Schedules}
	for part := range slices.Chunk(ids, 200) {
		pipe := s.rdb.Pipeline()
		cmds := make([]*redis.MapStringStringCmd, len(part))
		for i, id := range part {
			cmds[i] = pipe.HGetAll(ctx, s.hash(id))
		}
		redisconn.Exec(ctx, pipe)
		for i, id := range part {
			if err := cmp.Or(cmds[i].Err(), ctx.Err()); err != nil {
				unread.Add(id, err)
				continue
			}
			// A schedule that is just being added, or whose removal was cut off, does not count.
			if st, ok := decode(id, cmds[i].Val()); ok {
				out = append(out, st)
			}
		}
	}
	return out, now, unread.Of(len(ids))
}

// Runs returns the last runs that are over, the newest first, up to 20.
func (s *Store) Runs(ctx context.Context, name string) ([]Run, error) {
	texts, err := s.rdb.LRange(ctx, s.key(ID(name))+"runs", 0, -1).Result()
	if err != nil {
		return nil, err
	}
	out := make([]Run, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), &out[i]); err != nil {
			return nil, fmt.Errorf("run %d of the history: %w", i, err)
		}
	}
	return out, nil
}

// Put puts in place a schedule whose rows are written under a revision. If there is one of
// that name, it is replaced; without replace, the error is ErrExists.
func (s *Store) Put(ctx context.Context, d Definition, rows int, revision string, replace bool) error {
	t, err := d.Check()
	if err != nil {
		return err
	}
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	id := ID(d.Name)
	// The list comes first: an entry without a schedule is passed over.
	if err := s.list(ctx, id, now); err != nil {
		return err
	}
	n, err := s.run(ctx, "put", id, replace, revision, millis(t.Next(now)),
		"name", d.Name, "cron", t.Expr, "zone", d.Timezone, "policy", d.OnFailure, "missed", d.Missed,
		"overlap", d.Overlap, "pile_up", d.PileUp, "source", d.Source, "rows", rows).Int()
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrExists
	}
	return s.list(ctx, id, now) // again: one of that name may have been unlisted meanwhile
}

func (s *Store) list(ctx context.Context, id string, now time.Time) error {
	return s.rdb.ZAddNX(ctx, s.listKey(), redis.Z{Score: float64(now.UnixMicro()), Member: id}).Err()
}

// Pause lets no tick be made until Resume; it returns false if the schedule was paused already.
func (s *Store) Pause(ctx context.Context, name string) (bool, error) {
	return s.paused(s.run(ctx, "pause", ID(name), "1", "").Int())
}

// Resume lets a paused schedule go on from its next tick: ticks that passed meanwhile
// are not made. It reports whether it was paused.
func (s *Store) Resume(ctx context.Context, name string) (bool, error) {
	st, err := s.Get(ctx, name)
	if err != nil {
		return false, err
	}
	t, err := NewTimetable(st.Cron, st.Timezone)
	if err != nil {
		return false, err
	}
	now, err := s.Now(ctx)
	if err != nil {
		return false, err
	}
	return s.paused(s.run(ctx, "pause", st.ID, "0", millis(t.Next(now))).Int())
}

func (s *Store) paused(n int, err error) (bool, error) {
	if err == nil && n < 0 {
		err = ErrNoSchedule
	}
	return n > 0, err
}

// Ask asks for a run now, which a worker makes even if the schedule is paused. It returns the
// name of the run's batch. If a run was asked for before and has not begun, that one stands
// for both. With overlap, the run is made even if the last one has not settled.
func (s *Store) Ask(ctx context.Context, name string, overlap bool) (batch string, err error) {
	st, err := s.Get(ctx, name)
	if err != nil {
		return "", err
	}
	now, err := s.Now(ctx)
	if err != nil {
		return "", err
	}
	zone, err := time.LoadLocation(st.Timezone)
	if err != nil {
		return "", err
	}
	batch, err = s.run(ctx, "ask", st.ID, now.UnixMilli(), BatchOfAsked(name, now.In(zone)), overlap).Text()
	if err == nil && batch == "" {
		err = ErrNoSchedule
	}
	return batch, err
}

// Remove removes a schedule with its rows and history; runs that were enqueued stay. If a run
// was being enqueued or had been asked for, it gets no more rows, and stopped is its batch; otherwise stopped is "".
func (s *Store) Remove(ctx context.Context, name string) (stopped string, err error) {
	id := ID(name)
	stopped, removed := s.run(ctx, "remove", id).Text()
	if removed != nil && !errors.Is(removed, redis.Nil) {
		return "", removed
	}
	if err := s.rdb.ZRem(ctx, s.listKey(), id).Err(); err != nil {
		return stopped, err
	}
	// It may have been added again meanwhile.
	st, err := s.Get(ctx, name)
	if err == nil {
		err = s.list(ctx, id, st.Created)
	}
	if err != nil && !errors.Is(err, ErrNoSchedule) {
		return stopped, err
	}
	if removed != nil {
		return "", ErrNoSchedule
	}
	return stopped, nil
}

// millis returns a time as the scripts have it; "" for none.
func millis(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return strconv.FormatInt(t.UnixMilli(), 10)
}

func (r Run) text() string {
	b, _ := json.Marshal(r) // numbers and texts alone: it can't fail
	return string(b)
}
