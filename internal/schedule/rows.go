package schedule

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
	"habilita/internal/rows"
	"habilita/internal/vault"
)

// Bounds of a chunk of rows: what is sealed, sent and opened together.
const (
	chunkRows  = 500
	chunkBytes = 128 << 10
	// draft is how long rows stay if no schedule is made of them.
	draft = 24 * time.Hour
)

// ErrRowsGone says that the rows of a schedule are not all there.
var ErrRowsGone = errors.New("the rows of the schedule are gone: add it again with --replace")

// Writer writes the rows of a schedule that is to be put, chunk by chunk. It is for one
// goroutine. If no schedule is made of the rows, they go after a day.
type Writer struct {
	store    *Store
	keys     *vault.Keys
	id       string
	revision string
	chunk    []byte // JSON arrays, one a line
	inChunk  int
	chunks   int
	rows     int
}

// NewWriter returns a Writer of the rows of a schedule that will have this name.
func (s *Store) NewWriter(name string, keys *vault.Keys) *Writer {
	return &Writer{store: s, keys: keys, id: ID(name), revision: rand.Text()[:12]}
}

// Revision returns the revision of the rows, for Put.
func (w *Writer) Revision() string { return w.revision }

// Rows returns how many rows were added.
func (w *Writer) Rows() int { return w.rows }

// Add adds a row behind the others. Older versions did not keep the line of a row.
func (w *Writer) Add(ctx context.Context, r rows.Row) error {
	line, _ := json.Marshal([]any{r.Server, r.Token, r.Licenses, r.Chain, r.Ref, r.ID, r.Line}) // texts and numbers alone: it can't fail
	w.chunk = append(append(w.chunk, line...), '\n')
	w.rows++
	if w.inChunk++; w.inChunk < chunkRows && len(w.chunk) < chunkBytes {
		return nil
	}
	return w.flush(ctx)
}

// Close writes what is left.
func (w *Writer) Close(ctx context.Context) error { return w.flush(ctx) }

func (w *Writer) flush(ctx context.Context) error {
	if w.inChunk == 0 {
		return nil
	}
	sealed := w.keys.Seal(string(w.chunk), purpose(w.id, w.revision, w.chunks))
	key := w.store.rowsKey(w.id, w.revision)
	pipe := w.store.rdb.Pipeline()
	pipe.HSet(ctx, key, strconv.Itoa(w.chunks), sealed)
	pipe.PExpire(ctx, key, draft)
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	clear(w.chunk)
	w.chunk, w.inChunk = w.chunk[:0], 0
	w.chunks++
	return nil
}

// purpose binds a sealed chunk to its place.
func purpose(id, revision string, chunk int) string {
	return "schedule " + id + " " + revision + " " + strconv.Itoa(chunk)
}

func (s *Store) rowsKey(id, revision string) string { return s.key(id) + "rows:" + revision }

// Rows streams the count rows of a revision in their order, a chunk at a time. An error, such
// as ErrRowsGone, comes last.
func (s *Store) Rows(ctx context.Context, id, revision string, count int, keys *vault.Keys) iter.Seq2[rows.Row, error] {
	return func(yield func(rows.Row, error) bool) {
		seen := 0
		for n := 0; seen < count; n++ {
			chunk, err := s.chunk(ctx, id, revision, n, keys)
			if err != nil {
				yield(rows.Row{}, err)
				return
			}
			for _, r := range chunk {
				if seen++; !yield(r, nil) {
					return
				}
			}
		}
	}
}

func (s *Store) chunk(ctx context.Context, id, revision string, n int, keys *vault.Keys) (all []rows.Row, err error) {
	sealed, err := s.rdb.HGet(ctx, s.rowsKey(id, revision), strconv.Itoa(n)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, ErrRowsGone
	}
	if err != nil {
		return nil, err
	}
	plain, err := keys.Open(sealed, purpose(id, revision, n))
	if err != nil {
		return nil, fmt.Errorf("rows of the schedule: %w", err)
	}
	for line := range strings.Lines(plain) {
		var r rows.Row
		rec := [...]any{&r.Server, &r.Token, &r.Licenses, &r.Chain, &r.Ref, &r.ID, &r.Line}
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			return nil, errors.New("rows of the schedule: a row can't be read") // the error could have its values
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, ErrRowsGone
	}
	return all, nil
}

// Reseal seals the rows of all schedules under the first key. It returns how many chunks
// were replaced. If it was cut off, call it again to go on; with a *redisconn.UnreadError, those that
// could be read are sealed.
func (s *Store) Reseal(ctx context.Context, keys *vault.Keys) (int, error) {
	all, _, unread := s.All(ctx)
	if !redisconn.Partly(unread) {
		return 0, unread
	}
	replaced := 0
	for _, st := range all {
		revisions := []string{st.Revision}
		if r := st.Claim.Revision; r != "" && r != st.Revision {
			revisions = append(revisions, r) // replaced, and being enqueued still
		}
		for _, revision := range revisions {
			n, err := s.resealRows(ctx, st.ID, revision, keys)
			replaced += n
			if err != nil {
				return replaced, fmt.Errorf("schedule %q: %w", st.Name, err)
			}
		}
	}
	return replaced, unread
}

func (s *Store) resealRows(ctx context.Context, id, revision string, keys *vault.Keys) (int, error) {
	replaced := 0
	for n := 0; ; n++ {
		sealed, err := s.rdb.HGet(ctx, s.rowsKey(id, revision), strconv.Itoa(n)).Bytes()
		if errors.Is(err, redis.Nil) {
			return replaced, nil
		}
		if err != nil {
			return replaced, err
		}
		anew, changed, err := keys.ReSeal(sealed, purpose(id, revision, n))
		if err != nil {
			return replaced, err
		}
		if !changed {
			continue
		}
		done, err := s.run(ctx, "reseal", id, revision, strconv.Itoa(n), sealed, anew).Int()
		if err != nil {
			return replaced, err
		}
		replaced += done
	}
}
