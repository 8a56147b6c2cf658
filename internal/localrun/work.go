package localrun

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync"

	"golang.org/x/sync/errgroup"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/localrun/wal"
	"habilita/internal/redisconn"
)

// Enqueue enqueues the rows of the file, and writes the results anew. Rows that the journal knows
// get the state that it gives. Rows that are no longer in the file are not made: the summary
// counts them as missing and pruned. Call it once, before Work. The options are those of
// engine.Producer.EnqueueBatch, except the policy. The calls are ranged over twice if the job
// goes on. If the file changes meanwhile, the error is ErrEdited.
func (j *Job) Enqueue(ctx context.Context, calls iter.Seq2[engine.Call, error], o engine.BatchOptions) (engine.Summary, error) {
	sum, err := j.give(ctx, calls, o)
	if err != nil {
		return sum, err
	}
	err = j.openResults(ctx)
	j.memory = nil
	return sum, err
}

// give enqueues the rows, or with dry finds out what that would do.
func (j *Job) give(ctx context.Context, calls iter.Seq2[engine.Call, error], o engine.BatchOptions) (engine.Summary, error) {
	o.Policy = ledger.Policy(j.head.Policy)
	j.batchID = ledger.BatchID(j.head.Batch)
	if j.memory.old() {
		return j.enqueueOld(ctx, calls, o)
	}
	return j.enqueue(ctx, calls, o)
}

// Status are the job's counts.
func (j *Job) Status(ctx context.Context) (control.Status, error) {
	return j.world.Control.Status(ctx, j.head.Batch)
}

// Report streams the job's calls.
func (j *Job) Report(ctx context.Context) iter.Seq2[control.CallRecord, error] {
	return j.world.Control.Report(ctx, j.head.Batch)
}

// Work makes the calls until nothing more happens without a person, or, with today, until
// nothing more can run before the vendor's next day. When ctx ends, requests in flight
// end first. seen gets the state at each look. The error is ctx's, or says what can't be
// written, or why the worker had to stop; the state is the last one in any case. Call it once.
func (j *Job) Work(ctx context.Context, today bool, seen func(State)) (State, error) {
	if s, err := j.Status(ctx); err != nil || s.Settled {
		return State{Progress: control.Progress{Status: s}}, errors.Join(err, j.results.finish(ctx)) // nothing to do
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(j.broken, stop)()
	var state State
	var both errgroup.Group
	both.Go(func() error {
		defer stop()
		return j.world.Run(run)
	})
	both.Go(func() (err error) {
		defer stop()
		if state, err = j.world.Follow(run, j.head.Batch, today, seen); run.Err() != nil && errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	})
	err := both.Wait()
	// The outcomes of requests that were in flight are in by now.
	after := context.WithoutCancel(ctx)
	err = errors.Join(err, j.results.finish(after))
	if cause := context.Cause(j.broken); cause != nil {
		err = cause
	}
	if s, serr := j.Status(after); serr == nil {
		state.Status = j.results.told(s)
	}
	return state, cmp.Or(err, ctx.Err())
}

// noteEnded writes down what no attempt's outcome says: that a call was given up because the
// last attempt of its budget was lost, or that a policy cancelled a call.
func (j *Job) noteEnded(c control.CallRecord) (noted bool, err error) {
	if j.memory != nil && j.memory.ended(c.TokenID, c.Key) {
		return false, nil
	}
	g := &grant{Chain: c.Chain, Key: c.Key}
	if j.head.Version == version {
		g.of(c)
	}
	at := redisconn.Millis(c.FinishedAt.Time)
	switch c.State {
	case ledger.StateFailed:
		return true, j.write(record{Type: typeEnd, At: at, Grant: g,
			End: &end{Kind: ledger.GiveUp, Slot: ledger.Keep, Code: c.Code, Msg: c.Msg, Err: c.Error, Reason: c.Reason}}, false)
	case ledger.StateCancelled:
		return true, j.write(record{Type: typeCancel, At: at, Grant: g}, false)
	}
	return false, nil
}

// Look says what Enqueue would do, and changes nothing; another process may work on the file. Its errors are those of
// Open, except wal.ErrLocked. The options are those of Enqueue.
func Look(ctx context.Context, c Config, calls iter.Seq2[engine.Call, error], o engine.BatchOptions) (_ engine.Summary, err error) {
	j := newJob(c)
	j.dry = true
	defer func() { err = errors.Join(err, j.Close()) }()
	records, err := wal.Read(JournalOf(c.File))
	if err != nil {
		return engine.Summary{}, err
	}
	if err := j.remember(records); err != nil {
		return engine.Summary{}, err
	}
	if !j.resumed {
		o.Policy = ledger.Policy(c.Policy)
		return engine.Preview(ctx, c.Batch, calls, o)
	}
	if err := j.goOn(ctx); err != nil {
		return engine.Summary{}, err
	}
	return j.give(ctx, calls, o)
}

// results writes a row for each call that has ended, in a goroutine of its own, and only
// when the journal has its outcome on the disk: a reader may rely on every row.
type results struct {
	job     *Job
	file    *os.File
	buf     *bufio.Writer
	csv     *control.CSV // into buf: it has no buffer of its own
	written map[rowKey]struct{}
	news    chan result
	end     func()        // ends the goroutine, once
	done    chan struct{} // closed when it has ended
	// untold are calls whose outcomes are not in the journal: the next start does not know
	// them. Read it when done is closed.
	untold map[rowKey]struct{}
}

type rowKey struct{ token, key string }

// result says that a call has ended.
type result struct {
	rowKey
	mark int64 // of its outcome in the journal
	err  error // the journal has not got it
	last bool  // this is not a result: the goroutine ends
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
	r.end = sync.OnceFunc(func() {
		r.news <- result{last: true}
		<-r.done
	})
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
	j.ends = append(j.ends, r.close)
	go r.run()
	return nil
}

// ended takes a call that has ended. If it comes after finish, from a worker that did not wait for the call,
// only the journal has it.
func (r *results) ended(n result) {
	select {
	case r.news <- n:
	case <-r.done:
	}
}

// run writes until the last of the news. It hands what it wrote to the operating system before it
// waits for more.
func (r *results) run() {
	defer close(r.done)
	for n := <-r.news; !n.last; n = <-r.news {
		err := n.err
		if err == nil {
			err = r.job.journal.Await(n.mark)
		}
		if err != nil {
			r.untold[n.rowKey] = struct{}{}
			continue // the job has been stopped for it
		}
		c, err := r.job.world.Control.Record(context.Background(), r.job.batchID, n.token, n.key)
		if err == nil {
			err = r.write(c)
		}
		if err == nil && len(r.news) == 0 {
			err = r.buf.Flush()
		}
		if err != nil {
			r.job.stop(fmt.Errorf("results: %w", err))
		}
	}
}

func (r *results) write(c control.CallRecord) error {
	k := rowKey{c.TokenID, c.Key}
	if _, have := r.written[k]; have || c.Open() {
		return nil
	}
	r.written[k] = struct{}{}
	return r.csv.Write(c)
}

// writeEnded writes the calls that have ended and have no row yet. Those that a policy cancelled, or
// that were given up without an attempt's outcome, go into the journal first.
func (r *results) writeEnded(ctx context.Context) error {
	var rows []control.CallRecord
	noted := false
	for c, err := range r.job.Report(ctx) {
		if err != nil {
			return err
		}
		k := rowKey{c.TokenID, c.Key}
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
		if err := r.job.stopOn(r.job.journal.SyncAll()); err != nil {
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

// told returns the counts without outcomes that are not in the journal. Call it after finish.
func (r *results) told(s control.Status) control.Status {
	for k := range r.untold {
		c, err := r.job.world.Control.Record(context.Background(), r.job.batchID, k.token, k.key)
		if err != nil {
			continue
		}
		switch c.State {
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
