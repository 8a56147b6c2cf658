package ledger

import "fmt"

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

// Error is the problem in one word.
func (p BatchProblem) Error() string { return string(p) }

// BatchError says why a batch takes no rows.
type BatchError struct {
	Batch   string
	Problem BatchProblem
	// Have and Want are the policies, the paths, or how many tokens go first ("0": none).
	Have, Want string
}

var batchWords = map[BatchProblem]string{
	BatchPolicy: "batch %[1]q was enqueued with --on-failure %[2]s and can't be enqueued again with %[3]s: use --on-failure %[2]s, or another name",
	BatchCanary: "batch %[1]q was enqueued with --canary %[2]s and can't go on with %[3]s: use --canary %[2]s, or another name",
	BatchCancelled: "batch %[1]q was cancelled and takes nothing: `enqueue reopen` lets it take rows again " +
		"(what was cancelled before it was sent is then new), or use another name",
	BatchPath: "batch %[1]q is of the file %[2]s, and not of %[3]s: give --batch with another name, or with this one if both files belong together",
	BatchOld: "batch %[1]q was enqueued by an older version, which knew rows by their place in the file: " +
		"its calls go on, and it takes no more rows; enqueue what is missing under another name (--batch)",
	BatchBusy: "another run of batch %[1]q is pruning it: try again when it has ended",
	BatchGone: "batch %[1]q was deleted after its retention while its producer stood still: give it again, which adds what is missing",
}

// Error says what to do.
func (e *BatchError) Error() string {
	words := batchWords[e.Problem]
	switch {
	case e.Problem != BatchCanary:
	case e.Have == "0":
		words = "batch %[1]q was enqueued without --canary and can get none now: leave --canary out, or use another name"
	case e.Want == "0":
		words = "batch %[1]q was enqueued with --canary %[2]s, and its canaries have not all succeeded: " +
			"give --canary %[2]s again, or --canary 0 to enqueue the rest all the same"
	}
	return fmt.Sprintf(words, e.Batch, e.Have, e.Want)
}

// Is matches the problem, and ErrNoBatch for a batch that is gone.
func (e *BatchError) Is(target error) bool {
	return target == e.Problem || target == ErrNoBatch && e.Problem == BatchGone
}
