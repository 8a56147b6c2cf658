package localrun

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"habilita/internal/control"
	"habilita/internal/ledger"
)

// results writes a row for each call that has ended, in a goroutine of its own, and only
// when the journal has its outcome on the disk: who reads that a call is done may rely on it.
type results struct {
	job     *Job
	file    *os.File
	buf     *bufio.Writer
	csv     *control.CSV // into buf: it has no buffer of its own
	written map[rowKey]struct{}
	news    chan result
	mu      sync.RWMutex
	over    bool          // news is closed
	done    chan struct{} // closed when the goroutine has ended
	// untold are calls whose outcomes the journal has not got: the next start does not know
	// them. Read it when done is closed.
	untold map[rowKey]struct{}
}

type rowKey struct{ token, key string }

// result is that a call has ended.
type result struct {
	rowKey
	mark int64 // of its outcome in the journal
	err  error // the journal has not got it
}

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
		news: make(chan result, 4096), done: make(chan struct{}), untold: map[rowKey]struct{}{},
	}
	if r.csv, err = control.NewCSV(r.buf, false); err == nil {
		err = r.writeEnded(ctx)
	}
	for _, c := range j.gone {
		if err == nil {
			err = r.csv.Write(j.goneRecord(c))
		}
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
		_ = os.Remove(fresh) // on a full disk it is in the way
		return fmt.Errorf("results: %w", err)
	}
	j.results = r
	go r.run()
	return nil
}

// ended is told of a call that has ended. One that comes after finish, of a worker that did not wait for
// it, is in the journal alone.
func (r *results) ended(n result) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if !r.over {
		r.news <- n
	}
}

// end closes news, once.
func (r *results) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.over = true
		close(r.news)
	}
	<-r.done
}

// run writes until news is closed. What was written is with the operating system before
// it waits for more.
func (r *results) run() {
	defer close(r.done)
	for n := range r.news {
		err := n.err
		if err == nil {
			err = r.job.journal.Await(n.mark)
		}
		if err != nil {
			r.untold[n.rowKey] = struct{}{}
			continue // the job has been stopped for it
		}
		err = r.one(context.Background(), n.rowKey)
		if err == nil && len(r.news) == 0 {
			err = r.buf.Flush()
		}
		if err != nil {
			r.job.stop(fmt.Errorf("results: %w", err))
		}
	}
}

func (r *results) one(ctx context.Context, k rowKey) error {
	c, err := r.job.world.Control.Record(ctx, r.job.batchID, k.token, k.key)
	if err != nil {
		return err
	}
	return r.write(c)
}

func (r *results) write(c control.CallRecord) error {
	k := rowKey{c.TokenID, c.Key()}
	if _, have := r.written[k]; have || c.Open() {
		return nil
	}
	r.written[k] = struct{}{}
	return r.csv.Write(c)
}

// writeEnded writes what has ended and was not told: calls that a policy cancelled, and those
// that were given up with no attempt's outcome. The journal has these first.
func (r *results) writeEnded(ctx context.Context) error {
	var rows []control.CallRecord
	noted := false
	for c, err := range r.job.world.Control.Report(ctx, r.job.head.Batch) {
		if err != nil {
			return err
		}
		k := rowKey{c.TokenID, c.Key()}
		_, have := r.written[k]
		_, untold := r.untold[k]
		if have || untold || c.Open() {
			continue
		}
		note, err := r.job.noteEnded(c)
		if err != nil {
			return err
		}
		noted = noted || note
		rows = append(rows, c)
	}
	if noted {
		if err := r.job.journal.SyncAll(); err != nil {
			r.job.stop(err)
			return err
		}
	}
	for _, c := range rows {
		if err := r.write(c); err != nil {
			return err
		}
	}
	return nil
}

// told are the counts without outcomes that the journal has not got. Ask after finish.
func (r *results) told(s control.Status) control.Status {
	for k := range r.untold {
		c, err := r.job.world.Control.Record(context.Background(), r.job.batchID, k.token, k.key)
		if err != nil {
			continue
		}
		switch ledger.State(c.State) {
		case ledger.StateSucceeded:
			s.Succeeded--
		case ledger.StateFailed:
			s.Failed--
		default:
			continue
		}
		s.Open, s.Settled = s.Open+1, false
	}
	return s
}

// finish ends the goroutine and writes what is left.
func (r *results) finish(ctx context.Context) error {
	r.end()
	err := r.writeEnded(ctx)
	return errors.Join(err, r.buf.Flush())
}

// close syncs the file.
func (r *results) close() error {
	r.end()
	return errors.Join(r.buf.Flush(), r.file.Sync(), r.file.Close())
}
