package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
)

var (
	runScript      = alone("run")
	completeScript = alone("complete")
)

const (
	// RunLease is how long a run counts as alive after its lease was renewed.
	RunLease = 15 * time.Second
	// RenewEvery is how often a run must renew its lease.
	RenewEvery = 5 * time.Second
)

// LeaseStep is what a run does with its lease of a batch.
type LeaseStep string

// The steps, and when one is refused.
const (
	BeginRun LeaseStep = "begin" // takes the lease; refused while another run is alone
	RenewRun LeaseStep = "renew" // keeps it
	RunAlone LeaseStep = "alone" // lets no other run begin until this one ends; refused while another one lives
	EndRun   LeaseStep = "end"   // gives it back
)

// Lease takes, keeps or gives back the lease of a run; done is false if that was refused.
func (s *Batches) Lease(ctx context.Context, step LeaseStep, id, run string) (done bool, err error) {
	v, err := runScript().Run(ctx, s.rdb, []string{s.runsKey(id)}, string(step), run, RunLease.Milliseconds()).Int64Slice()
	return err == nil && v[0] == 1, err
}

// Began notes that this run of the batch is the latest one: the batch is not complete.
func (s *Batches) Began(ctx context.Context, id, run string) error {
	return completeScript().Run(ctx, s.rdb, []string{s.metaKey(id)}, run, 0).Err()
}

// Completed notes that the run has read its file to the end and left nothing out, if no later
// run began.
func (s *Batches) Completed(ctx context.Context, id, run string) error {
	return completeScript().Run(redisconn.Acknowledged(ctx), s.rdb, []string{s.metaKey(id)}, run, 1).Err()
}

var (
	deleteScript = alone("delete")
	unlistScript = alone("unlist")
)

// late is how much later than allowed an append may still come: the buckets of a cluster have
// other clocks than the batch.
const late = 30 * time.Second

// MayPurge reports whether the calls of a batch may be purged: no run of it lives, and no
// producer may append to the buckets that it noted. The mark is for Delete.
//
// A purge asks this first, then reads the buckets, purges and counts them, and deletes the batch
// if none has a call. A producer that noted a bucket before the purge asked can no longer append, and the purge reads
// that bucket too. If a producer notes a bucket after that, Delete refuses. So no call is left behind.
func (s *Batches) MayPurge(ctx context.Context, id string) (mark string, ok bool, err error) {
	mark, err = s.delete(ctx, id, "")
	return mark, mark != "", err
}

// Delete deletes a batch that has no calls, or returns false: it may not be purged any more. If it is
// cut off, Tidy removes what it left in the list.
func (s *Batches) Delete(ctx context.Context, m Batch, mark string) (bool, error) {
	done, err := s.delete(ctx, m.ID, mark)
	if err != nil || done == "" {
		return false, err
	}
	return true, s.forget(ctx, m.ID, entry(m).Score)
}

func (s *Batches) delete(ctx context.Context, id, mark string) (string, error) {
	keys := []string{s.metaKey(id), s.bucketsKey(id), s.runsKey(id)}
	return deleteScript().Run(ctx, s.rdb, keys, late.Milliseconds(), mark).Text()
}

// forget removes what does not share the batch's hash tag. A batch that was made anew uses none of it.
func (s *Batches) forget(ctx context.Context, id string, score float64) error {
	if err := s.rdb.Del(ctx, s.oldBucketsKey(id)).Err(); err != nil {
		return err
	}
	return unlistScript().Run(ctx, s.rdb, []string{s.listKey()}, id, strconv.FormatFloat(score, 'f', -1, 64)).Err()
}

// Tidy removes from the list the batches that were listed before a time and do not exist.
func (s *Batches) Tidy(ctx context.Context, before time.Time) error {
	listed, err := s.rdb.ZRangeByScoreWithScores(ctx, s.listKey(),
		&redis.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(before.UnixMilli(), 10)}).Result()
	if err != nil {
		return err
	}
	for _, z := range listed {
		id, _ := z.Member.(string)
		if _, err := s.Get(ctx, id); err == nil {
			continue
		} else if !errors.Is(err, ErrNoBatch) {
			return err
		}
		if err := s.forget(ctx, id, z.Score); err != nil {
			return err
		}
	}
	return nil
}

// BatchProblem is why a batch takes no rows, for errors.Is.
type BatchProblem string

// The problems of a batch.
const (
	BatchPolicy    BatchProblem = "policy"    // it has calls under another policy
	BatchCanary    BatchProblem = "canary"    // it holds, or began with other canaries
	BatchCancelled BatchProblem = "cancelled" // a person cancelled it
	BatchPath      BatchProblem = "path"      // it bears the name of another file
	BatchOld       BatchProblem = "old"       // an older version made it, and knows its rows by their place
	BatchBusy      BatchProblem = "busy"      // a run that prunes it must be the only one
	BatchGone      BatchProblem = "gone"      // it was deleted while its producer stood still: it is an ErrNoBatch, too
)

// Error returns the problem in one word.
func (p BatchProblem) Error() string { return string(p) }

// BatchError says why a batch takes no rows.
type BatchError struct {
	Batch   string
	Problem BatchProblem
	// Have and Want are the policies, the paths, or how many tokens go first ("0": none).
	Have, Want string
}

var batchWords = map[BatchProblem]string{
	BatchPolicy: "batch %[1]q was enqueued with on-failure %[2]s and can't be enqueued again with %[3]s: use on-failure %[2]s, or another name",
	BatchCanary: "batch %[1]q was enqueued with canary %[2]s and can't go on with %[3]s: use canary %[2]s, or another name",
	BatchCancelled: "batch %[1]q was cancelled and takes nothing: `enqueue reopen` lets it take rows again " +
		"(what was cancelled before it was sent is then new), or use another name",
	BatchPath: "batch %[1]q is of the file %[2]s, and not of %[3]s: give --batch with another name, or with this one if both files belong together",
	BatchOld: "batch %[1]q was enqueued by an older version, which knew rows by their place in the file: " +
		"its calls go on, and it takes no more rows; enqueue what is missing under another name",
	BatchBusy: "another run of batch %[1]q is pruning it: try again when it has ended",
	BatchGone: "batch %[1]q was deleted after its retention while its producer stood still: give it again, which adds what is missing",
}

// Error says what to do.
func (e *BatchError) Error() string {
	words := batchWords[e.Problem]
	switch {
	case e.Problem != BatchCanary:
	case e.Have == "0":
		words = "batch %[1]q was enqueued without a canary and can get none now: leave canary out, or use another name"
	case e.Want == "0":
		words = "batch %[1]q was enqueued with canary %[2]s, and its canaries have not all succeeded: " +
			"give canary %[2]s again, or canary 0 to enqueue the rest all the same"
	}
	return fmt.Sprintf(words, e.Batch, e.Have, e.Want)
}

// Is matches the problem, and ErrNoBatch for a batch that is gone.
func (e *BatchError) Is(target error) bool {
	return target == e.Problem || target == ErrNoBatch && e.Problem == BatchGone
}
