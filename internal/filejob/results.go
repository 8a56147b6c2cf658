package filejob

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"habilita/internal/operator"
)

// results writes a row for each call that has ended, in a goroutine of its own.
type results struct {
	job     *Job
	file    *os.File
	buf     *bufio.Writer
	row     func(*operator.CallRecord) error
	written map[rowKey]struct{}
	news    chan rowKey
	done    chan struct{} // closed when the goroutine has ended
}

type rowKey struct{ token, key string }

// openResults writes the file anew, with what has ended already, and begins to append.
func (j *Job) openResults(ctx context.Context) (err error) {
	path := ResultsOf(j.c.File)
	fresh := path + ".new"
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	r := &results{
		job: j, file: f, buf: bufio.NewWriterSize(f, 64<<10), written: map[rowKey]struct{}{},
		news: make(chan rowKey, 4096), done: make(chan struct{}),
	}
	if r.row, err = j.c.Row(r.buf); err == nil {
		err = r.row(nil)
	}
	if err == nil {
		err = r.sweep(ctx, false)
	}
	if err == nil {
		err = r.buf.Flush()
	}
	// Renamed while it is open: readers of the old one lose nothing, and there is no
	// moment without results.
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("results: %w", err)
	}
	j.results = r
	go r.run()
	return nil
}

// ended is told of a call that has ended.
func (r *results) ended(token, key string) { r.news <- rowKey{token, key} }

// run writes until news is closed. What was written is with the operating system before
// it waits for more.
func (r *results) run() {
	defer close(r.done)
	for k := range r.news {
		err := r.one(context.Background(), k)
		if err == nil && len(r.news) == 0 {
			err = r.buf.Flush()
		}
		if err != nil {
			r.job.stop(fmt.Errorf("results: %w", err))
		}
	}
}

func (r *results) one(ctx context.Context, k rowKey) error {
	c, err := r.job.world.op.Record(ctx, r.job.batchID, k.token, k.key)
	if err != nil {
		return err
	}
	return r.write(c)
}

func (r *results) write(c operator.CallRecord) error {
	k := rowKey{c.TokenID, c.Key()}
	if _, have := r.written[k]; have || c.Open() {
		return nil
	}
	r.written[k] = struct{}{}
	return r.row(&c)
}

// sweep writes what has ended and was not told: calls that a policy cancelled, and those
// that were given up with no attempt's outcome. note writes the latter down in the journal.
func (r *results) sweep(ctx context.Context, note bool) error {
	for c, err := range r.job.world.op.Report(ctx, r.job.head.Batch) {
		if err != nil {
			return err
		}
		if _, have := r.written[rowKey{c.TokenID, c.Key()}]; have || c.Open() {
			continue
		}
		if note {
			if err := r.job.noteEnded(c); err != nil {
				return err
			}
		}
		if err := r.write(c); err != nil {
			return err
		}
	}
	return nil
}

// finish ends the goroutine and writes what is left.
func (r *results) finish(ctx context.Context) error {
	close(r.news)
	<-r.done
	err := r.sweep(ctx, true)
	return errors.Join(err, r.buf.Flush())
}

// close syncs the file.
func (r *results) close() error {
	select {
	case <-r.done:
	default:
		close(r.news)
		<-r.done
	}
	return errors.Join(r.buf.Flush(), r.file.Sync(), r.file.Close())
}
