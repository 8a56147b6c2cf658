package localrun

import (
	"context"
	"errors"
	"iter"

	"habilita/internal/engine"
	"habilita/internal/localrun/wal"
)

// ErrNotBegun says that no start of the job made a call so far.
var ErrNotBegun = errors.New("the job was not begun")

// Look tells what Enqueue would do, and changes nothing; another process may work on the file. It is
// ErrNotBegun if there is nothing to compare the file with. Its errors are those of Open, but ErrBusy.
// The options are those of Enqueue.
func Look(ctx context.Context, c Config, calls iter.Seq2[engine.Call, error], opts ...engine.BatchOption) (_ engine.Summary, err error) {
	j := &Job{c: c, dry: true, done: make(chan struct{})}
	j.broken, j.stop = context.WithCancelCause(context.Background())
	defer func() { err = errors.Join(err, j.Close()) }()
	records, err := wal.Read(JournalOf(c.File))
	if err != nil {
		return engine.Summary{}, err
	}
	if err := j.remember(records); err != nil {
		return engine.Summary{}, err
	}
	if !j.resumed {
		return engine.Summary{}, ErrNotBegun
	}
	if err := j.goOn(ctx); err != nil {
		return engine.Summary{}, err
	}
	return j.give(ctx, calls, opts)
}
