package ledger

import "fmt"

// BatchPolicyError says that a batch exists with another policy.
type BatchPolicyError struct {
	Batch      string
	Have, Want Policy
}

func (e *BatchPolicyError) Error() string {
	return fmt.Sprintf("batch %q was enqueued with --on-failure %s and can't be enqueued again with %s: "+
		"use --on-failure %s, or another name", e.Batch, e.Have, e.Want, e.Have)
}

// BatchCanaryError says that a batch exists with other canaries.
type BatchCanaryError struct {
	Batch      string
	Have, Want int // tokens; 0: none
}

func (e *BatchCanaryError) Error() string {
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

// BatchCancelledError says that a batch was cancelled: it takes no rows.
type BatchCancelledError struct{ Batch string }

func (e *BatchCancelledError) Error() string {
	return fmt.Sprintf("batch %q was cancelled and takes nothing: `enqueue reopen` lets it take rows again "+
		"(what was cancelled before it was sent is then new), or use another name", e.Batch)
}

// BatchPathError says that a batch bears the name of another file.
type BatchPathError struct{ Batch, Have, Want string }

func (e *BatchPathError) Error() string {
	return fmt.Sprintf("batch %q is of the file %s, and not of %s: "+
		"give --batch with another name, or with this one if both files belong together", e.Batch, e.Have, e.Want)
}

// OldBatchError says that an older version made the batch and knows its rows by their place:
// nobody can tell which of them a row is.
type OldBatchError struct{ Batch string }

func (e *OldBatchError) Error() string {
	return fmt.Sprintf("batch %q was enqueued by an older version, which knew rows by their place in the file: "+
		"its calls go on, and it takes no more rows; enqueue what is missing under another name (--batch)", e.Batch)
}

// BatchBusyError says that a run that prunes the batch must be the only one.
type BatchBusyError struct{ Batch string }

func (e *BatchBusyError) Error() string {
	return fmt.Sprintf("another run of batch %q is pruning it: try again when it has ended", e.Batch)
}

// BatchGoneError says that a batch was deleted while its producer stood still. It is an ErrNoBatch.
type BatchGoneError struct{ Batch string }

func (e *BatchGoneError) Error() string {
	return fmt.Sprintf("batch %q was deleted after its retention while its producer stood still: "+
		"give it again, which adds what is missing", e.Batch)
}

func (e *BatchGoneError) Unwrap() error { return ErrNoBatch }
