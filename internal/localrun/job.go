package localrun

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/localrun/wal"
	"habilita/internal/redisconn"
	"habilita/internal/vault"
)

// PolicyError says that a job was begun with another policy.
type PolicyError struct{ Have, Want string }

func (e *PolicyError) Error() string {
	return fmt.Sprintf("the job was begun with --on-failure %s and can't go on with %s", e.Have, e.Want)
}

// GivenUp says what is done with calls that were given up at an earlier start.
type GivenUp string

// What is done with calls that were given up.
const (
	Leave GivenUp = ""      // nothing
	Retry GivenUp = "retry" // they are tried again, with a new budget of attempts
	Skip  GivenUp = "skip"  // they are skipped: what stands behind them goes on
)

// Config is a job. All fields but GivenUp are required.
type Config struct {
	File    string // of the operations; JournalOf and ResultsOf it are written
	Batch   string // name of the batch where the job is new: one that goes on keeps its own
	Policy  string // hold, skip or cancel
	GivenUp GivenUp
	// Worker has the limits and how calls are made. The job sets its Keys, RedisURL,
	// RedisDialer and hooks itself.
	Worker engine.WorkerOptions

	disk func(wal.Disk) wal.Disk // of the journal, for tests; nil: as it is
}

// JournalOf is the path of a file's journal.
func JournalOf(file string) string { return file + ".journal" }

// ResultsOf is the path of a file's results.
func ResultsOf(file string) string { return file + ".results.csv" }

// Job is a file whose calls are made. Open it, Enqueue, Work, Close.
type Job struct {
	c       Config
	journal *wal.File
	memory  *memory       // at the start; nil after Enqueue
	gone    []*remembered // calls that were made, or tried, and whose rows the file has no more
	head    head
	batchID string
	worked  bool // there were a journal and results before
	resumed bool
	dry     bool // nothing is written

	world   *World
	results *results
	granted sync.Map // nonces of grants in the journal, whose outcomes have their room

	broken context.Context // ends when the journal or the results can't be written
	stop   context.CancelCauseFunc
	ends   []func() error // of what is open
}

func newJob(c Config) *Job {
	_, journal := os.Stat(JournalOf(c.File))
	_, results := os.Stat(ResultsOf(c.File))
	j := &Job{c: c, worked: journal == nil && results == nil}
	j.broken, j.stop = context.WithCancelCause(context.Background())
	return j
}

// Open locks the file's journal for this process and reads it. The error is wal.ErrLocked if another process works
// on the file, and an *OldError if the file was changed since an older version began its job. It is a *PolicyError
// if the policy is not the job's, and a *wal.DamageError if the journal can't be trusted. Nothing was changed then.
func Open(ctx context.Context, c Config) (_ *Job, err error) {
	j := newJob(c)
	// Before there is a journal: a file that can't be read leaves none.
	readable, err := os.Open(c.File)
	if err != nil {
		return nil, err
	}
	_ = readable.Close()
	var raw [][]byte
	if j.journal, raw, err = wal.Open(JournalOf(c.File), c.disk); err != nil {
		return nil, err
	}
	j.ends = append(j.ends, j.journal.Close)
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close())
		}
	}()
	if err := j.remember(raw); err != nil {
		return nil, err
	}
	if j.resumed {
		err = j.goOn(ctx)
	} else {
		err = j.begin(ctx)
	}
	if err != nil {
		return nil, err
	}
	j.syncOften()
	return j, nil
}

func (j *Job) remember(records [][]byte) (err error) {
	// Results are written only after the journal's first record: it was lost. A journal without results may be one
	// whose process died before that record.
	if j.worked && len(records) == 0 {
		return &wal.DamageError{Path: JournalOf(j.c.File), Line: 1}
	}
	if j.memory, err = remember(records); err != nil {
		return err
	}
	if len(j.memory.calls) == 0 {
		j.memory.forget() // nothing was called: the file may be another one
	}
	j.resumed = j.memory.head != nil
	return nil
}

// Resumed reports whether the job was begun at an earlier start.
func (j *Job) Resumed() bool { return j.resumed }

// begin starts a new job.
func (j *Job) begin(ctx context.Context) error {
	keys, err := vault.GenerateKey("run")
	if err != nil {
		return err
	}
	j.head = head{Version: version, Batch: j.c.Batch, Policy: j.c.Policy, Keys: keys}
	if err := j.open(ctx); err != nil {
		return err
	}
	if j.head.TokenIDKey, err = vault.SealedTokenIDKey(ctx, j.world.Client, tokenIDKeyName); err != nil {
		return err
	}
	return j.write(record{Type: typeHead, At: redisconn.Millis(time.Now()), Head: &j.head}, true)
}

// goOn takes a job up again.
func (j *Job) goOn(ctx context.Context) error {
	j.head = *j.memory.head
	if j.memory.old() {
		same, err := unchanged(j.c.File, *j.memory.content)
		if err != nil {
			return err
		}
		if !same {
			return &OldError{File: j.c.File}
		}
	}
	if j.head.Policy != j.c.Policy {
		return &PolicyError{Have: j.head.Policy, Want: j.c.Policy}
	}
	if err := j.open(ctx); err != nil {
		return err
	}
	return j.takeUp()
}

// takeUp retries or skips the calls that were given up, if that was asked for.
func (j *Job) takeUp() error {
	// With another policy nothing is held: there is nothing to skip.
	asked := j.c.GivenUp == Retry || j.c.GivenUp == Skip && j.head.Policy == string(ledger.PolicyHold)
	if !asked || !j.memory.givenUp() {
		return nil
	}
	r := record{Type: string(j.c.GivenUp), At: redisconn.Millis(time.Now())}
	if !j.dry {
		if err := j.write(r, true); err != nil {
			return err
		}
	}
	return j.memory.apply(r)
}

// write appends a record, and with sync waits until it is on the disk. After a failure
// the job ends.
func (j *Job) write(r record, sync bool) error {
	mark, err := j.journal.Append(r.encode())
	if err == nil && sync {
		err = j.journal.Sync(mark)
	}
	return j.stopOn(err)
}

// stopOn ends the job if there is an error, and returns it.
func (j *Job) stopOn(err error) error {
	if err != nil {
		j.stop(err)
	}
	return err
}

// syncOften syncs until the job is closed, which bounds what a loss of power can make unknown. So the outcomes of a broken
// job get to the disk too.
func (j *Job) syncOften() {
	stop := engine.Every(context.Background(), 100*time.Millisecond, func(context.Context) {
		_ = j.stopOn(j.journal.SyncAll())
	})
	j.ends = append(j.ends, func() error {
		stop()
		return nil
	})
}

// beforeSend writes a grant down, and reserves room for its outcome. The request may be sent
// only when both are on the disk.
func (j *Job) beforeSend(ctx context.Context, a *ledger.Attempt, at time.Time) error {
	r := grantRecord(a, at)
	if a.Number <= 1 && j.head.Version == version { // who reads it later may have no such row
		c, err := j.world.Control.Record(ctx, j.batchID, a.TokenID(), a.Key)
		if err != nil {
			return err
		}
		r.Grant.of(c)
	}
	mark, err := j.journal.AppendReserving(r.encode(), endRoom)
	if err == nil {
		j.granted.Store(a.Nonce, nil)
		err = j.journal.Sync(mark)
	}
	return j.stopOn(err)
}

// afterOutcome writes an outcome down, and a result if the call has ended.
func (j *Job) afterOutcome(r engine.Recorded) {
	_, reserved := j.granted.LoadAndDelete(r.Nonce)
	ended := r.Kind == ledger.Done || r.Kind == ledger.GiveUp
	if !reserved && !ended {
		return // there was no room for its grant, so it was not sent
	}
	text := endRecord(r).encodeEnd()
	mark, err := int64(0), error(nil)
	if reserved {
		mark, err = j.journal.AppendReserved(text, endRoom)
	} else {
		mark, err = j.journal.Append(text)
	}
	_ = j.stopOn(err) // the outcome is unknown to the next start
	if ended {
		j.results.ended(result{rowKey: rowKey{r.TokenID(), r.Key}, mark: mark, err: err})
	}
}

// Close ends what is open and lets others have the file. The journal stays.
func (j *Job) Close() (err error) {
	j.stop(nil)
	for _, end := range slices.Backward(j.ends) {
		err = errors.Join(err, end())
	}
	j.ends = nil
	return err
}
