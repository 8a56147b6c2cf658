package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
	"habilita/internal/vault"
)

// A process remembers what it saw of the ledger's data, and compares at intervals. Data that is
// gone (FLUSHALL, deleted keys) or went back to an older state (a restored file, a node that took
// over) may lack slots that are held. Then nothing is granted for one lease: every bucket's epoch
// says so to all processes (internal/ledger/lua/epoch.lua). The scripts that grant and append read
// the epoch, so nothing slips in before a process looks.
//
// The token-ID key is in memory, too. If Redis loses it, a living process puts the same one back, so
// that tokens keep their names. A process that starts while others may live waits for that (openKey).

const (
	lookAtData = 400 * time.Millisecond
	keyReturns = 2 * time.Second // five looks
)

// KeyLostError says that Redis has lost the token-ID key but not the calls. Under a new key, a
// token's new calls would not share slots with its calls that are there.
type KeyLostError struct{ Key, Prefix string }

// Error says what to do.
func (e *KeyLostError) Error() string {
	return fmt.Sprintf("Redis has lost the token-ID key (%s) but not the calls that were named under it: "+
		"put the key back from a backup; or delete all keys of %s:* and asynq:*, and enqueue the calls again", e.Key, e.Prefix)
}

// memory is what a process remembers of the ledger's data.
type memory struct {
	mu     sync.Mutex
	sealed []byte           // the token-ID key, as it rests in Redis
	looks  map[string]int64 // of the bucket that was looked at, by its tag
}

// looked is how often a bucket's epoch had been looked at when this process last looked; 0: it has not.
func (m *memory) looked(tag string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.looks[tag]
}

// seen notes a look, and reports whether the bucket's data went back since the look before.
func (m *memory) seen(e ledger.Epoch) (older bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	older = e.Looks <= m.looks[e.Tag]
	m.looks[e.Tag] = e.Looks
	return older
}

func (s *stack) keyName() string    { return s.prefix + ":naming" }
func (s *stack) ledgerName() string { return s.prefix + ":ledger" }

// openKey opens the token-ID key, or makes it if nobody has it. If Redis has been used before and
// lacks it, openKey waits, for patience at most, until a living process puts it back.
func (s *stack) openKey(ctx context.Context, patience time.Duration) (err error) {
	for end := time.Now().Add(patience); ; wait(ctx, 50*time.Millisecond) {
		n, err := s.rdb.Exists(ctx, s.keyName()).Result()
		if err != nil {
			return err
		}
		if n > 0 {
			break
		}
		used, err := s.registry.Used(ctx)
		if err != nil {
			return err
		}
		if used && time.Now().Before(end) && ctx.Err() == nil {
			continue
		}
		if n, err = s.rdb.Exists(ctx, s.ledgerName()).Result(); err == nil && n > 0 {
			err = &KeyLostError{s.keyName(), s.prefix}
		}
		if err != nil {
			return err
		}
		break
	}
	if s.tokenIDs, err = vault.EnsureTokenIDKey(ctx, s.rdb, s.keyName(), s.keys); err != nil {
		return err
	}
	s.memory.sealed, err = vault.SealedTokenIDKey(ctx, s.rdb, s.keyName())
	return err
}

// found gives every bucket its epoch if the ledger is new. It writes the ledger's own key
// last, so that a start that was cut off is done again.
func (s *stack) found(ctx context.Context) error {
	n, err := s.rdb.Exists(ctx, s.ledgerName()).Result()
	if err != nil || n > 0 {
		return err
	}
	runs, err := redisconn.RunIDs(ctx, s.rdb)
	if err != nil {
		return err
	}
	if err := s.ledger.Found(ctx, runOf(ctx, s.ledger, runs)); err != nil {
		return err
	}
	return s.rdb.Set(ctx, s.ledgerName(), s.tokenIDs.Fingerprint(), 0).Err()
}

// lookout is what a look at the data found.
type lookout struct {
	lost  string         // what happened to the data; "": nothing
	noted bool           // another process has found a loss
	stale bool           // the epochs do not say all that this process knows
	other bool           // the token-ID key is another one
	all   []ledger.Epoch // of one bucket of each shard
}

// look compares the data with what this process remembers. With a *redisconn.UnreadError,
// the result is about the shards that could be read.
func (s *stack) look(ctx context.Context) (out lookout, err error) {
	shards, err := s.ledger.Shards(ctx)
	if err != nil {
		return out, err
	}
	var unread error
	if out.all, unread = s.ledger.LookAt(ctx, shards); !redisconn.Partly(unread) {
		return out, unread
	}
	sealed, err := s.rdb.Get(ctx, s.keyName()).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		out.lost = "the token-ID key is gone"
	case err != nil:
		return out, err
	default:
		if out.other, err = s.otherKey(sealed); err != nil {
			return out, err
		}
	}
	known := s.lostAt()
	for _, e := range out.all {
		older := s.memory.seen(e)
		switch {
		case e.Missing, e.Key == "": // a grant that met it has noted only when
			out.lost = "the data is gone (FLUSHALL, FLUSHDB, or its keys were deleted)"
		case e.Lost.After(known):
			out.noted = true
		case older:
			out.lost = "the data went back to an older state (an older file, or another node)"
		case e.Key != s.tokenIDs.Fingerprint():
			out.stale = true
		}
		if !e.Lost.IsZero() {
			s.notBefore.Until(e.Lost.Add(s.settings.Lease))
		}
		out.stale = out.stale || e.Lost.Before(s.lostAt())
	}
	return out, unread
}

// lostAt is the time of the last loss that this process knows of; zero: it knows of none.
func (s *stack) lostAt() time.Time {
	if ms := s.notBefore.Load(); ms > 0 {
		return time.UnixMilli(ms).Add(-s.settings.Lease)
	}
	return time.Time{}
}

// otherKey reports whether the key in Redis is not the one that this process has. One that was
// only sealed anew is the same.
func (s *stack) otherKey(sealed []byte) (bool, error) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if bytes.Equal(sealed, s.memory.sealed) {
		return false, nil
	}
	ids, err := vault.OpenSealedTokenIDKey(sealed, s.keyName(), s.keys)
	if err != nil {
		return false, err
	}
	if ids.Fingerprint() != s.tokenIDs.Fingerprint() {
		return true, nil
	}
	s.memory.sealed = sealed
	return false, nil
}

// raise writes what this process knows into every bucket. The buckets that others look at come
// last: after a crash in between, another process still finds the old state there.
func (s *stack) raise(ctx context.Context, lost time.Time, run func(tag string) string) error {
	last, err := s.ledger.Shards(ctx)
	if err != nil {
		return err
	}
	first := slices.DeleteFunc(ledger.AllTags(), func(tag string) bool { return slices.Contains(last, tag) })
	unread := s.ledger.Raise(ctx, first, lost, run)
	if !redisconn.Partly(unread) {
		return unread
	}
	if err := s.ledger.Raise(ctx, last, lost, run); err != nil {
		return err
	}
	return unread
}

// restore does what can be done after data was lost. It stops grants for one lease, renews the
// membership so that nobody joins with other settings, and puts the same token-ID key back unless
// there is one.
func (s *stack) restore(ctx context.Context, member *membership.Membership, run func(tag string) string) error {
	unread := s.raise(ctx, time.Time{}, run)
	if !redisconn.Partly(unread) {
		return unread
	}
	if member != nil {
		if err := member.Renew(ctx); err != nil {
			return err
		}
	}
	s.memory.mu.Lock()
	sealed := s.memory.sealed
	s.memory.mu.Unlock()
	if err := vault.RestoreTokenIDKey(ctx, s.rdb, s.keyName(), sealed); err != nil {
		return err
	}
	now, err := vault.SealedTokenIDKey(ctx, s.rdb, s.keyName())
	if err != nil {
		return err
	}
	if other, err := s.otherKey(now); err != nil || other {
		return errors.Join(err, ledger.ErrOtherKey)
	}
	if err := s.rdb.Set(ctx, s.ledgerName(), s.tokenIDs.Fingerprint(), 0).Err(); err != nil {
		return err
	}
	return unread
}

// nobody knows the run_id of no bucket. It is for a process that does not watch its connections.
func nobody(string) string { return "" }

// fail makes a producer enqueue no more.
func (p *Producer) fail(err error) { p.failed.Store(&err) }

// follow compares the data with what the producer remembers, until ctx ends. It puts back what
// all processes share, if Redis lost it.
func (p *Producer) follow(ctx context.Context) {
	for ctx.Err() == nil {
		wait(ctx, lookAtData)
		out, err := p.look(ctx)
		if redisconn.Partly(err) && out.other {
			// Requests under this producer's token names may be in flight, and processes with the other
			// key don't know of them.
			_ = p.raise(ctx, time.Time{}, nobody)
			err = ledger.ErrOtherKey
		}
		switch {
		case !redisconn.Partly(err):
		case out.lost != "":
			err = p.restore(ctx, p.member, nobody)
		case out.noted:
			err = p.member.Renew(ctx) // it may be among what was lost
		}
		if errors.Is(err, ledger.ErrOtherKey) {
			p.fail(err)
			return
		}
	}
}
