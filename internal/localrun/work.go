package localrun

import (
	"context"
	"errors"
	"iter"

	"golang.org/x/sync/errgroup"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/localrun/wal"
)

// Enqueue takes the rows of the file in, those that the journal knows in the state that it
// tells, and writes the results anew. Rows that the file has no more are not made: the summary
// counts them as missing and pruned. Call it once, before Work. The options are those of
// tasks.Producer.EnqueueBatch but the policy; the calls are ranged over twice if the job goes
// on. A file that changes meanwhile is ErrEdited.
func (j *Job) Enqueue(ctx context.Context, calls iter.Seq2[engine.Call, error], o engine.BatchOptions) (engine.Summary, error) {
	sum, err := j.give(ctx, calls, o)
	if err != nil {
		return sum, err
	}
	err = j.openResults(ctx)
	j.memory = nil
	return sum, err
}

// give enqueues the rows, or with dry looks what that would do.
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

// Failed streams the calls that were given up.
func (j *Job) Failed(ctx context.Context) iter.Seq2[control.CallRecord, error] {
	return func(yield func(control.CallRecord, error) bool) {
		for c, err := range j.world.Control.Report(ctx, j.head.Batch) {
			if err == nil && c.State != string(ledger.StateFailed) {
				continue
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// Work makes the calls until nothing more happens without a person, or, with today, until
// nothing more can run before the vendor's next day. When ctx ends, requests in flight
// end first. seen is told how far it is. The error is ctx's, or says what can't be
// written, or why the worker had to stop; the state is the last one in any case. Call it once.
func (j *Job) Work(ctx context.Context, today bool, seen func(State)) (State, error) {
	if s, err := j.Status(ctx); err != nil || s.Settled {
		return State{Progress: control.Progress{Status: s}}, errors.Join(err, j.results.finish(ctx)) // nothing to do
	}
	run, stop := context.WithCancel(ctx)
	defer stop()
	unlink := context.AfterFunc(j.broken, stop)
	defer unlink()
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
	if err == nil {
		err = ctx.Err()
	}
	return state, err
}

// noteEnded writes down what no attempt's outcome tells: that a call was given up whose
// attempt was lost, and was the last of the budget, and that a policy cancelled one.
func (j *Job) noteEnded(c control.CallRecord) (noted bool, err error) {
	if j.memory != nil && j.memory.ended(c.TokenID, c.Key()) {
		return false, nil
	}
	g := &grant{Chain: c.Chain, Key: c.Key()}
	if j.head.Version == version {
		g.of(c)
	}
	at := ms(c.FinishedAt.Time)
	switch ledger.State(c.State) {
	case ledger.StateFailed:
		return true, j.write(record{Type: typeEnd, At: at, Grant: g,
			End: &end{Kind: ledger.GiveUp, Slot: ledger.Keep, Code: c.Code, Msg: c.Msg, Err: c.Error, Reason: c.Reason}}, false)
	case ledger.StateCancelled:
		return true, j.write(record{Type: typeCancel, At: at, Grant: g}, false)
	}
	return false, nil
}

// ErrNotBegun says that no start of the job made a call so far.
var ErrNotBegun = errors.New("the job was not begun")

// Look tells what Enqueue would do, and changes nothing; another process may work on the file. It is
// ErrNotBegun if there is nothing to compare the file with. Its errors are those of Open, but wal.ErrLocked.
// The options are those of Enqueue.
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
		return engine.Summary{}, ErrNotBegun
	}
	if err := j.goOn(ctx); err != nil {
		return engine.Summary{}, err
	}
	return j.give(ctx, calls, o)
}
