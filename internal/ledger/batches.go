package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
	"habilita/internal/rows"
)

var (
	ensureScript = alone("ensure")
	noteScript   = alone("note")
	setScript    = alone("set")
)

// Policy says what happens to a chain whose head was given up.
type Policy string

// The policies.
const (
	PolicyHold   Policy = "hold"   // wait for a person (the default)
	PolicySkip   Policy = "skip"   // go on with the next call
	PolicyCancel Policy = "cancel" // drop the later calls of its batch in that chain, go on with others
)

// Policies returns all policies, the default first.
func Policies() []string {
	return []string{string(PolicyHold), string(PolicySkip), string(PolicyCancel)}
}

// ParsePolicy reads a policy; "" is PolicyHold.
func ParsePolicy(s string) (Policy, error) {
	if s != "" && !slices.Contains(Policies(), s) {
		return "", fmt.Errorf("policy %q is not one of %s", s, strings.Join(Policies(), ", "))
	}
	return cmp.Or(Policy(s), PolicyHold), nil
}

// MaxBatchName is the longest name of a batch, in characters.
const MaxBatchName = 256

// BatchNameProblem says what is wrong with the name of a batch that is to be enqueued; "" if nothing
// is. Names stand in lists, pages and commands, so a name is one line of text.
func BatchNameProblem(name string) string {
	switch {
	case name == "":
		return "is empty"
	case utf8.RuneCountInString(name) > MaxBatchName:
		return fmt.Sprintf("is longer than %d characters", MaxBatchName)
	case !utf8.ValidString(name):
		return "is no valid UTF-8"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "has a control character"
	case strings.HasPrefix(name, "-"):
		return `begins with "-", as only options of a command do`
	}
	return rows.DotsProblem(name)
}

// ErrNoBatch says that there is no batch of that name.
var ErrNoBatch = errors.New("no such batch")

// Batch is what is known of a batch as a whole.
type Batch struct {
	ID      string // short name in keys and call ids
	Name    string
	Policy  Policy
	Created time.Time
	// Canary is how many tokens go first; 0: none. Given to Ensure, 0 also accepts what the batch has.
	Canary    int
	Released  bool // whether more than the canaries may be enqueued
	Cancelled bool
	// Path is the file that the batch is named after; "" if the batch was given a name.
	Path string
	// Content says that rows without ids are known by what they say. A batch that an older
	// version made knows them by their place.
	Content  bool
	Ran      bool // a run has filled it; false where it has single calls alone
	Complete bool // the last run read its file to the end and left nothing out
	Live     bool // a run that fills it lives
}

// Holds reports whether only the calls of the canaries may be enqueued.
func (m Batch) Holds() bool { return m.Canary > 0 && !m.Released }

// Batches keeps batches in Redis. It is safe for concurrent use.
type Batches struct {
	rdb    redis.UniversalClient
	prefix string
}

// NewBatches returns the batches of a ledger. "" as prefix is "habilita".
func NewBatches(rdb redis.UniversalClient, prefix string) *Batches {
	return &Batches{rdb: rdb, prefix: cmp.Or(prefix, "habilita")}
}

func (s *Batches) metaKey(id string) string { return batchKey(s.prefix, id) }
func (s *Batches) listKey() string          { return s.prefix + ":batches" }

// batchKey is the key of what is known of a batch.
func batchKey(prefix, id string) string { return prefix + ":batch:" + id }

// bucketsKey and runsKey have the whole of metaKey as their hash tag: a cluster keeps the
// three keys of a batch together.
func (s *Batches) bucketsKey(id string) string {
	return s.prefix + ":batchbuckets:{" + s.metaKey(id) + "}"
}
func (s *Batches) runsKey(id string) string { return s.prefix + ":batchruns:{" + s.metaKey(id) + "}" }

// oldBucketsKey is where older versions noted the buckets.
func (s *Batches) oldBucketsKey(id string) string { return s.prefix + ":batchbuckets:" + id }

// Ensure creates the batch, or returns the one that exists, and says whether it is new. It does not say whether that one
// takes rows: Takes does. The error is of Redis, or says that another batch has the same ID.
func (s *Batches) Ensure(ctx context.Context, m Batch) (have Batch, created bool, err error) {
	m.Policy = cmp.Or(m.Policy, PolicyHold)
	have, err = s.Get(ctx, m.ID)
	if err != nil {
		if !errors.Is(err, ErrNoBatch) {
			return Batch{}, false, err
		}
		// The list comes first, so that no batch is missing there. Purge removes an entry only
		// if it still has the score that Purge saw.
		if err := s.rdb.ZAdd(redisconn.Acknowledged(ctx), s.listKey(), entry(m)).Err(); err != nil {
			return Batch{}, false, err
		}
	}
	takes := m.Canary == 0 || have.Canary > 0 // only a new batch gets canaries
	if err != nil || m.Path != "" && have.Path == "" && takes {
		n, err := ensureScript().Run(redisconn.Acknowledged(ctx), s.rdb, []string{s.metaKey(m.ID)},
			m.Name, string(m.Policy), m.Created.UnixMilli(), m.Canary, m.Path).Int()
		if err != nil {
			return Batch{}, false, err
		}
		created = n == 1
		if have, err = s.Get(ctx, m.ID); err != nil {
			return Batch{}, created, err
		}
	}
	if have.Name != m.Name {
		return have, created, have.Takes(m)
	}
	return have, created, s.rdb.ZAddNX(ctx, s.listKey(), entry(have)).Err()
}

// entry returns the batch's entry in the list.
func entry(m Batch) redis.Z { return redis.Z{Score: float64(m.Created.UnixMilli()), Member: m.ID} }

// Takes returns why a batch does not take the rows of want, or nil. want must have a policy and the same ID.
func (m Batch) Takes(want Batch) error {
	switch {
	case m.Name != want.Name:
		return fmt.Errorf("batches %q and %q have the same short name %s: use another name", m.Name, want.Name, m.ID)
	case want.Path != "" && m.Path != "" && m.Path != want.Path:
		return &BatchError{m.Name, BatchPath, m.Path, want.Path}
	case m.Policy != want.Policy:
		return &BatchError{m.Name, BatchPolicy, string(m.Policy), string(want.Policy)}
	case want.Canary > 0 && m.Canary != want.Canary && (m.Holds() || m.Canary == 0):
		return m.otherCanaries(want.Canary)
	}
	return nil
}

// Held returns the error with which a batch that holds refuses rows.
func (m Batch) Held() error { return m.otherCanaries(0) }

func (m Batch) otherCanaries(want int) error {
	return &BatchError{m.Name, BatchCanary, strconv.Itoa(m.Canary), strconv.Itoa(want)}
}

// SetPolicy changes the policy of a batch that has no calls.
func (s *Batches) SetPolicy(ctx context.Context, id string, p Policy) error {
	return s.set(ctx, id, "policy", string(p))
}

// SetContent notes that no row of a batch, which an older version made, is known by its place.
// First it notes again the buckets that the older version noted.
func (s *Batches) SetContent(ctx context.Context, m Batch) error {
	tags, err := s.Tags(ctx, m.ID)
	if err != nil {
		return err
	}
	if len(tags) > 0 {
		if _, err := s.Note(ctx, m, tags); err != nil {
			return err
		}
	}
	return s.set(ctx, m.ID, "keys", "content")
}

// set changes a field of a batch. A batch that is gone stays gone.
func (s *Batches) set(ctx context.Context, id, field, value string) error {
	return setScript().Run(redisconn.Acknowledged(ctx), s.rdb, []string{s.metaKey(id)}, field, value).Err()
}

// Release notes that more than the canaries of a batch may be enqueued.
func (s *Batches) Release(ctx context.Context, id string) error {
	return s.set(ctx, id, "released", "1")
}

// Get returns a batch by its ID, or ErrNoBatch.
func (s *Batches) Get(ctx context.Context, id string) (Batch, error) {
	pipe := s.rdb.Pipeline()
	look := s.look(ctx, pipe, id)
	redisconn.Exec(ctx, pipe)
	m, ok, err := look()
	switch {
	case err != nil:
		return Batch{}, err
	case !ok:
		return Batch{}, ErrNoBatch
	case m.Created.IsZero():
		return Batch{}, fmt.Errorf("batch %q lacks the time when it was created", m.Name)
	}
	return m, nil
}

// look asks for a batch; the function that it returns reads the replies.
func (s *Batches) look(ctx context.Context, pipe redis.Pipeliner, id string) func() (m Batch, ok bool, err error) {
	have, live := pipe.HMGet(ctx, s.metaKey(id), fields...), pipe.Exists(ctx, s.runsKey(id))
	return func() (Batch, bool, error) {
		if err := cmp.Or(have.Err(), live.Err()); err != nil {
			return Batch{}, false, err
		}
		m, ok := meta(id, have.Val())
		m.Live = live.Val() == 1
		return m, ok, nil
	}
}

// fields are the fields of a batch's hash, in the order in which meta reads them.
var fields = []string{"name", "policy", "created", "canary", "released", "cancelled", "path", "keys", "complete", "run"}

// meta reads the values of fields; not ok: the batch has no name.
func meta(id string, v []any) (m Batch, ok bool) {
	text := func(i int) string { s, _ := v[i].(string); return s }
	m = Batch{ID: id, Policy: Policy(text(1)), Created: redisconn.Time(redisconn.Int(text(2))), Released: text(4) != "", Cancelled: text(5) != "",
		Path: text(6), Content: text(7) == "content", Complete: text(8) != "", Ran: text(9) != ""}
	m.Name, ok = v[0].(string)
	m.Canary, _ = strconv.Atoi(text(3))
	return m, ok
}

// AppendFor is how long calls may be appended to the buckets of a batch after a Note.
const AppendFor = 30 * time.Second

// Note notes that the batch, as Ensure returned it, has calls in the buckets of tags, before they
// are appended. Until the returned time, by the clock of Redis, calls may be appended to these
// buckets and to all that were noted before. Until then, and some time longer, nobody deletes the
// batch. If the batch was deleted, Note returns ErrNoBatch: Ensure makes it anew. A BatchCancelled
// says that the batch takes nothing: the cancellation would miss a bucket that is noted after it.
func (s *Batches) Note(ctx context.Context, m Batch, tags []string) (until time.Time, err error) {
	args := []any{m.Created.UnixMilli(), AppendFor.Milliseconds()}
	for _, tag := range tags {
		args = append(args, TagIndex(tag))
	}
	v, err := noteScript().Run(redisconn.Acknowledged(ctx), s.rdb, []string{s.metaKey(m.ID), s.bucketsKey(m.ID)}, args...).Int64Slice()
	switch {
	case err != nil:
		return time.Time{}, err
	case v[0] == 0:
		return time.Time{}, ErrNoBatch
	case v[0] < 0:
		return time.Time{}, &BatchError{Batch: m.Name, Problem: BatchCancelled}
	}
	return time.UnixMilli(v[1]), nil
}

// Cancel notes that the batch was cancelled. Call it before Tags, so that no bucket is noted after that.
func (s *Batches) Cancel(ctx context.Context, id string) error {
	return s.set(ctx, id, "cancelled", "1")
}

// Reopen lets a batch that was cancelled take rows again. Reopen its buckets first (Ledger.Reopen).
func (s *Batches) Reopen(ctx context.Context, id string) error {
	return s.rdb.HDel(ctx, s.metaKey(id), "cancelled").Err()
}

// Tags returns the tags of the buckets that may hold calls of the batch, in order. For NoBatch it returns all, since
// nobody notes its buckets.
func (s *Batches) Tags(ctx context.Context, id string) ([]string, error) {
	if id == NoBatch {
		return AllTags(), nil
	}
	pipe := s.rdb.Pipeline()
	now, old := pipe.Get(ctx, s.bucketsKey(id)), pipe.Get(ctx, s.oldBucketsKey(id))
	keys := pipe.HGet(ctx, s.metaKey(id), "keys")
	redisconn.Exec(ctx, pipe)
	needed := []error{now.Err(), keys.Err()}
	if keys.Val() != "content" { // the old key may be on a node of a cluster that is away
		needed = append(needed, old.Err())
	}
	for _, err := range needed {
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
	}
	var out []string
	for i := range Buckets {
		if bit(now.Val(), i) || bit(old.Val(), i) {
			out = append(out, TagAt(i))
		}
	}
	return out, nil
}

func bit(bits string, i int) bool { return i/8 < len(bits) && bits[i/8]&(0x80>>(i%8)) != 0 }

// List returns all batches, the newest first. With a *redisconn.UnreadError it returns those that could be read.
func (s *Batches) List(ctx context.Context) ([]Batch, error) {
	ids, err := s.rdb.ZRevRange(ctx, s.listKey(), 0, -1).Result()
	if err != nil {
		return nil, err
	}
	out := make([]Batch, 0, len(ids))
	unread := &redisconn.UnreadError{What: redisconn.Batches}
	for part := range slices.Chunk(ids, 500) {
		pipe := s.rdb.Pipeline()
		looks := make([]func() (Batch, bool, error), len(part))
		for i, id := range part {
			looks[i] = s.look(ctx, pipe, id)
		}
		redisconn.Exec(ctx, pipe)
		for i, look := range looks {
			m, ok, err := look()
			if err != nil {
				unread.Add(part[i], err)
			} else if ok {
				out = append(out, m)
			}
		}
	}
	return out, unread.Of(len(ids))
}
