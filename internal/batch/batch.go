package batch

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/cancel.lua
var cancelSource string

var cancelScript = redis.NewScript(cancelSource)

// Policy says what happens to a chain whose head was given up.
type Policy string

// The policies.
const (
	Hold   Policy = "hold"   // wait for a person (the default)
	Skip   Policy = "skip"   // go on with the next call
	Cancel Policy = "cancel" // drop the later calls of its batch in that chain, go on with others
)

// ParsePolicy reads a policy; "" is Hold.
func ParsePolicy(s string) (Policy, error) {
	switch p := Policy(s); p {
	case "":
		return Hold, nil
	case Hold, Skip, Cancel:
		return p, nil
	}
	return "", fmt.Errorf("policy %q is none of hold, skip, cancel", s)
}

// MaxName is the longest name of a batch, in bytes.
const MaxName = 256

// NameProblem says what is wrong with the name of a batch that is to be enqueued; "" for
// nothing. It stands in lists, pages and commands, so it is one line of text.
func NameProblem(name string) string {
	switch {
	case name == "":
		return "is empty"
	case len(name) > MaxName:
		return fmt.Sprintf("is longer than %d bytes", MaxName)
	case !utf8.ValidString(name):
		return "is no valid UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "has a control character"
	}
	return ""
}

// ErrNoBatch says that there is no batch of that name.
var ErrNoBatch = errors.New("no such batch")

// PolicyError says that a batch exists with another policy.
type PolicyError struct {
	Batch      string
	Have, Want Policy
}

func (e *PolicyError) Error() string {
	return fmt.Sprintf("batch %q was enqueued with --on-failure %s and can't be enqueued again with %s: "+
		"use --on-failure %s, or another name", e.Batch, e.Have, e.Want, e.Have)
}

// CanaryError says that a batch exists with other canaries.
type CanaryError struct {
	Batch      string
	Have, Want int // tokens; 0: none
}

func (e *CanaryError) Error() string {
	switch {
	case e.Have == 0:
		return fmt.Sprintf("batch %q was enqueued without --canary and can get none now: leave --canary out, or use another name", e.Batch)
	case e.Want == 0:
		return fmt.Sprintf("batch %q was enqueued with --canary %d, and its canaries have not all succeeded: "+
			"give --canary %d again, or --canary 0 to enqueue the rest all the same", e.Batch, e.Have, e.Have)
	}
	return fmt.Sprintf("batch %q was enqueued with --canary %d and can't go on with %d: use --canary %d, or another name",
		e.Batch, e.Have, e.Want, e.Have)
}

// Meta is what is known of a batch as a whole.
type Meta struct {
	ID      string // short name in keys and call ids
	Name    string
	Policy  Policy
	Created time.Time
	// Canary is how many tokens go first; 0: none, or as Ensure is given it, as the batch has it.
	Canary    int
	Released  bool // whether more than the canaries may be enqueued
	Cancelled bool
}

// Holds reports whether the calls of the canaries alone may be enqueued.
func (m Meta) Holds() bool { return m.Canary > 0 && !m.Released }

// Store keeps batches in Redis. It is safe for concurrent use.
type Store struct {
	rdb     redis.UniversalClient
	prefix  string
	buckets int
}

// NewStore returns a store for a ledger of so many buckets. "" as prefix is "habilita".
func NewStore(rdb redis.UniversalClient, prefix string, buckets int) *Store {
	if prefix == "" {
		prefix = "habilita"
	}
	return &Store{rdb: rdb, prefix: prefix, buckets: buckets}
}

func (s *Store) metaKey(id string) string    { return s.prefix + ":batch:" + id }
func (s *Store) bucketsKey(id string) string { return s.prefix + ":batchbuckets:" + id }
func (s *Store) listKey() string             { return s.prefix + ":batches" }

// Ensure creates the batch, or returns the one that exists. Another policy is refused
// with a *PolicyError, other canaries (while it holds, or where it has none) with a
// *CanaryError.
func (s *Store) Ensure(ctx context.Context, m Meta) (Meta, error) {
	if m.Policy == "" {
		m.Policy = Hold
	}
	// The name is written last: a batch without one was cut off while it was created. (No
	// transaction: where Redis refuses a write, that one's reply is the reason.)
	key := s.metaKey(m.ID)
	if m.Canary > 0 {
		// Only a new batch gets canaries. The other one who creates it this very moment,
		// with none, is refused below.
		if have, err := s.Get(ctx, m.ID); err == nil && have.Canary == 0 {
			return have, &CanaryError{Batch: have.Name, Want: m.Canary}
		} else if err != nil && !errors.Is(err, ErrNoBatch) {
			return have, err
		}
	}
	pipe := s.rdb.Pipeline()
	if m.Canary > 0 {
		pipe.HSetNX(ctx, key, "canary", m.Canary)
	}
	pipe.HSetNX(ctx, key, "policy", string(m.Policy))
	pipe.HSetNX(ctx, key, "created", m.Created.UnixMilli())
	pipe.HSetNX(ctx, key, "name", m.Name)
	if _, err := pipe.Exec(ctx); err != nil {
		return Meta{}, err
	}
	have, err := s.Get(ctx, m.ID)
	if err != nil {
		return Meta{}, err
	}
	if have.Name != m.Name {
		return Meta{}, fmt.Errorf("batches %q and %q have the same short name %s: use another name", have.Name, m.Name, m.ID)
	}
	if have.Policy != m.Policy {
		return have, &PolicyError{Batch: m.Name, Have: have.Policy, Want: m.Policy}
	}
	if m.Canary > 0 && have.Canary != m.Canary && (have.Holds() || have.Canary == 0) {
		return have, &CanaryError{Batch: m.Name, Have: have.Canary, Want: m.Canary}
	}
	err = s.rdb.ZAddNX(ctx, s.listKey(), redis.Z{Score: float64(have.Created.UnixMilli()), Member: m.ID}).Err()
	return have, err
}

// Release notes that more than the canaries of a batch may be enqueued.
func (s *Store) Release(ctx context.Context, id string) error {
	return s.rdb.HSet(ctx, s.metaKey(id), "released", "1").Err()
}

// Get returns a batch by its ID, or ErrNoBatch.
func (s *Store) Get(ctx context.Context, id string) (Meta, error) {
	v, err := s.rdb.HMGet(ctx, s.metaKey(id), fields...).Result()
	if err != nil {
		return Meta{}, err
	}
	m, created, ok := meta(id, v)
	if !ok {
		return Meta{}, ErrNoBatch
	}
	if m.Created.IsZero() {
		return Meta{}, fmt.Errorf("batch %q: created at %q, which is no time", m.Name, created)
	}
	return m, nil
}

// fields are those of a batch's hash, as meta reads them.
var fields = []string{"name", "policy", "created", "canary", "released", "cancelled"}

// meta reads the values of fields; false where the batch has no name.
func meta(id string, v []any) (m Meta, created string, ok bool) {
	text := func(i int) string { s, _ := v[i].(string); return s }
	m = Meta{ID: id, Policy: Policy(text(1)), Released: text(4) != "", Cancelled: text(5) != ""}
	m.Name, ok = v[0].(string)
	m.Canary, _ = strconv.Atoi(text(3))
	created = text(2)
	if ms, err := strconv.ParseInt(created, 10, 64); err == nil {
		m.Created = time.UnixMilli(ms)
	}
	return m, created, ok
}

// Note notes that the batch has calls in these buckets, before they are appended. It
// reports whether the batch was cancelled: a bucket that is noted after that is unknown
// to the one who cancelled, so that the producer must cancel there itself.
func (s *Store) Note(ctx context.Context, id string, buckets []int) (cancelled bool, err error) {
	pipe := s.rdb.Pipeline()
	for _, b := range buckets {
		pipe.SetBit(ctx, s.bucketsKey(id), int64(b), 1)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return false, err
	}
	// Asked after the buckets were noted: Cancel does it the other way round, and so at
	// least one of the two sees the other.
	return s.rdb.HExists(ctx, s.metaKey(id), "cancelled").Result()
}

// Cancel notes that the batch was cancelled, before its buckets are read for it.
func (s *Store) Cancel(ctx context.Context, id string) error {
	return cancelScript.Run(ctx, s.rdb, []string{s.metaKey(id)}).Err()
}

// Buckets returns the buckets that may hold calls of the batch, in order.
func (s *Store) Buckets(ctx context.Context, id string) ([]int, error) {
	bits, err := s.rdb.Get(ctx, s.bucketsKey(id)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []int
	for i := range s.buckets {
		if i/8 < len(bits) && bits[i/8]&(0x80>>(i%8)) != 0 {
			out = append(out, i)
		}
	}
	return out, nil
}

// List returns all batches, the newest first.
func (s *Store) List(ctx context.Context) ([]Meta, error) {
	ids, err := s.rdb.ZRevRange(ctx, s.listKey(), 0, -1).Result()
	if err != nil {
		return nil, err
	}
	out := make([]Meta, 0, len(ids))
	for part := range slices.Chunk(ids, 500) {
		pipe := s.rdb.Pipeline()
		cmds := make([]*redis.SliceCmd, len(part))
		for i, id := range part {
			cmds[i] = pipe.HMGet(ctx, s.metaKey(id), fields...)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, err
		}
		for i, id := range part {
			if m, _, ok := meta(id, cmds[i].Val()); ok {
				out = append(out, m)
			}
		}
	}
	return out, nil
}

// Delete forgets a batch whose calls were purged. The list is last, so that a delete
// that was cut off is found and done again.
func (s *Store) Delete(ctx context.Context, id string) error {
	for _, key := range []string{s.bucketsKey(id), s.metaKey(id)} {
		if err := s.rdb.Del(ctx, key).Err(); err != nil {
			return err
		}
	}
	if err := s.rdb.ZRem(ctx, s.listKey(), id).Err(); err != nil {
		return err
	}
	// A producer that created it anew meanwhile found it in the list still.
	again, err := s.Get(ctx, id)
	if errors.Is(err, ErrNoBatch) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.rdb.ZAddNX(ctx, s.listKey(), redis.Z{Score: float64(again.Created.UnixMilli()), Member: id}).Err()
}
