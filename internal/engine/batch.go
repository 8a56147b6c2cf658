package engine

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"time"

	"go.opentelemetry.io/otel/trace"

	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/say"
	"habilita/internal/vault"
)

// Summary is what an EnqueueBatch did. If there was no error, Rows = Enqueued + Duplicates +
// Conflicts + Rejected + Withheld.
type Summary struct {
	Batch      string        `json:"batch"`
	Rows       int           `json:"rows"`         // calls and errors that the sequence gave
	Enqueued   int           `json:"enqueued"`     // new
	Duplicates int           `json:"duplicates"`   // were in the ledger already: Made + Waiting + Held + Ended
	Made       int           `json:"made"`         // of Duplicates: succeeded
	Waiting    int           `json:"waiting"`      // of Duplicates: wait or run
	Held       int           `json:"held"`         // of Duplicates: given up, and hold their chain
	Ended      int           `json:"ended"`        // of Duplicates: ended otherwise
	Conflicts  int           `json:"conflicts"`    // left out: see ConflictError
	Rejected   int           `json:"rejected"`     // left out: see OnReject, TwinError
	Withheld   int           `json:"withheld"`     // left out: see WithheldError, Canary
	Unplaced   int           `json:"unplaced"`     // of Rejected: their token can't be told, so nothing was withheld behind them
	Missing    int           `json:"missing"`      // calls of the batch that are no longer in the sequence, and have not ended
	Pruned     int           `json:"pruned"`       // of these, cancelled (Prune)
	Replaced   int           `json:"replaced"`     // of Enqueued: in the place of a call that conflicted (Prune)
	OutOfOrder int           `json:"out_of_order"` // of Enqueued: joined their chain behind calls that stand after them in the sequence
	Tokens     int           `json:"tokens"`       // of the calls that were read
	Edited     bool          `json:"edited"`       // the sequence gave other calls when it was ranged over again
	NotPruned  error         `json:"-"`            // why Prune did nothing; nil: it did, or was not asked for
	NotBefore  time.Time     `json:"-"`            // to when calls without a time of their own were put off; zero: they were not
	Kept       bool          `json:"-"`            // calls that wait were given another time than NotBefore, and keep it
	Elapsed    time.Duration `json:"-"`
}

// SummaryJSON is a Summary as `enqueue bulk --json` and the HTTP API give it.
type SummaryJSON struct {
	Summary
	Seconds   float64 `json:"seconds"`              // Elapsed, to the millisecond
	NotPruned string  `json:"not_pruned,omitempty"` // why nothing was pruned, though that was asked for
}

// JSON is the summary for programs. prune is what the caller calls its option to prune.
func (s Summary) JSON(prune string) SummaryJSON {
	out := SummaryJSON{Summary: s, Seconds: float64(s.Elapsed.Round(time.Millisecond).Milliseconds()) / 1000}
	if s.NotPruned != nil {
		out.NotPruned = NotPrunedWords(s.NotPruned, prune)
	}
	return out
}

// Complete reports whether nothing was left out.
func (s Summary) Complete() bool { return s.Conflicts+s.Rejected+s.Withheld == 0 }

// BatchOptions say how a batch is enqueued. With the zero value, a chain whose head was given up is held, the first
// invalid call stops the batch, and calls that conflict are left out.
type BatchOptions struct {
	// Policy is what happens to a chain whose head was given up; "": ledger.PolicyHold. A batch keeps the policy
	// under which it got its first call.
	Policy ledger.Policy
	// NotBefore puts off all calls of the batch that have no time of their own. A past time means
	// now; a time more than MaxAhead from now stops the batch with a *CallError. Zero: as all calls of the
	// batch so far, if they were put off to the same time and that has not come; else now.
	NotBefore time.Time
	// Notify asks for the webhook call.finished of each new call, as Call.Notify does. A call that is there already
	// stays as it is.
	Notify bool
	// OnProgress is called as calls are acknowledged, by the goroutine that called
	// EnqueueBatch. Rows can be tens of thousands ahead of what is acknowledged.
	OnProgress func(Summary)
	// OnReject is called with every error that the sequence gives, and with a *CallError for
	// every invalid call. It returns nil to count the row as rejected and go on, or an error to
	// stop with. nil: the first such error stops the batch.
	//
	// Unless the policy is skip, later new calls of a rejected call's chain are withheld. If the
	// sequence gives an error, the Call beside it tells what is known of the row's token and
	// chain (see ErrChainUnknown).
	OnReject func(error) error
	// OnLeftOut is called with a *ConflictError, *WithheldError or *TwinError for each call that is left out for
	// that reason, by the goroutine that called EnqueueBatch. If it returns an error, the batch stops.
	OnLeftOut func(error) error
	// Path is the absolute path of the file that the batch is named after. A batch of the same
	// name from another file is refused (ledger.BatchPath). "": the name was given.
	Path string
	// PartIf reports whether the sequence is only a part of the batch's rows, such as those that were
	// left out before. Then no call counts as missing, and Prune is refused (ErrPart). A call without ID
	// that says the same as a known one is rejected (*TwinError), since nobody can tell whether it is
	// another. PartIf is called once, when the sequence has given its first call. nil: it is the whole.
	PartIf func() bool
	// PassedOver is how many rows the sequence did not give, once it has ended; if any, the batch is not complete. nil: none.
	PassedOver func() int
	// Look tells what would be done, and does nothing.
	Look bool
	// Strict enqueues nothing if any call is rejected or conflicts: the error is a *StrictError, or the
	// one that stops the batch (OnReject). The sequence is ranged over twice.
	Strict bool
	// Prune cancels the batch's calls that are no longer in the sequence, once all of it was read. It
	// also replaces a call that conflicts and was never sent. It leaves calls that run, and single calls
	// that joined the batch. It does nothing (Summary.NotPruned) if a row was left out, or if another run
	// of the batch lives. Nor does it cancel more than 20 calls that are more than a tenth of the batch.
	// The sequence is ranged over twice.
	Prune bool
	// PruneExactly prunes if exactly this many calls are missing, however many that is; 0: no number; below 0: none.
	PruneExactly int
	// Canary is how many tokens of the sequence go first; 0: none. EnqueueBatch enqueues the calls of
	// these tokens, waits until they have a result, and enqueues the others only if all of them
	// succeeded. Otherwise the batch holds: the error is a *CanaryError, and none of the others was
	// enqueued. A single call that joins the batch meanwhile is no canary. The sequence is ranged
	// over twice and must give the same calls each time.
	//
	// What was enqueued stays, whatever happens to the producer. The same EnqueueBatch, called
	// again, goes on where it was: it waits for the canaries, or adds the others that are missing.
	// While a batch holds, another number is refused. Only a new batch gets canaries.
	Canary int
	// Release enqueues the other calls of a batch that holds, whatever the result of its canaries.
	Release bool
	// OnCanary is called with the canaries' counts, about every second while EnqueueBatch
	// waits for them.
	OnCanary func(Canaries)

	// Recall and Known are for a program that keeps the outcomes of its calls itself, because its ledger ends
	// with the program (`enqueue run`). Recall sees each call in order, before it is appended. It may change
	// the call, and returns false to pass over it. Known gets each call that is new to the ledger (the token's
	// name followed by the call's key) and returns how to count it.
	Recall func(*ledger.NewCall) bool
	Known  func(field string) ledger.Landing
}

// EnqueueBatch appends the calls of a sequence under the batch's name, in order for
// each chain. The same sequence can be enqueued again after an error or a crash, or corrected
// and in another order: that adds only what is new. A call is known by its ID, or by what it
// says. The summary tells what was acknowledged, after an error too.
//
// A *ledger.BatchError says why the batch takes no rows, a *CanaryError that it holds. A sequence that gives nothing
// makes no batch.
func (p *Producer) EnqueueBatch(ctx context.Context, name string, calls iter.Seq2[Call, error], o BatchOptions) (Summary, error) {
	started := time.Now()
	ctx, span := p.tracer.Start(ctx, "enqueue batch", trace.WithSpanKind(trace.SpanKindProducer))
	job := &batchJob{p: p, name: name, o: o, calls: calls, seed: maphash.MakeSeed(), lease: &batchLease{p: p, id: ledger.BatchID(name), run: newID()}}
	sum, err := job.do(ctx)
	job.lease.end(ctx)
	sum.Elapsed = time.Since(started)
	endBatch(span, sum, err)
	return sum, err
}

// Preview is EnqueueBatch with Look, as if the batch did not exist. It needs no Redis.
func Preview(ctx context.Context, name string, calls iter.Seq2[Call, error], o BatchOptions) (Summary, error) {
	return previewJob(vault.NewTokenIDs(vault.NewKey()), name, calls, o).do(ctx)
}

func previewJob(n *vault.TokenIDs, name string, calls iter.Seq2[Call, error], o BatchOptions) *batchJob {
	p := &Producer{stack: &stack{tokenIDs: n, clock: new(quota.Clock)}}
	o.Look = true
	return &batchJob{p: p, name: name, o: o, calls: calls, seed: maphash.MakeSeed(), lease: &batchLease{p: p, id: ledger.BatchID(name)}, alone: true}
}

// batchJob is an EnqueueBatch: one run over the sequence or several, under one lease.
type batchJob struct {
	p     *Producer
	name  string
	o     BatchOptions
	calls iter.Seq2[Call, error]
	lease *batchLease

	alone   bool // there is no Redis
	atOnce  bool // NotBefore has passed
	created bool // the batch
	seed    maphash.Seed
	digest  uint64 // of what the sequence gave first
	read    bool   // to its end
	edited  bool
	told    []uint64 // what was rejected and told, of the runs before
}

func (j *batchJob) do(ctx context.Context) (Summary, error) {
	if err := j.check(); err != nil {
		return Summary{Batch: j.name}, err
	}
	b := j.run()
	strict := b.Strict && !b.Look
	if strict || b.Prune && !j.alone {
		l := j.run()
		l.Look, l.replace, l.OnProgress = true, b.Prune, nil
		if !strict {
			l.OnLeftOut = nil
		}
		err := l.do(ctx)
		sum := l.sum
		if err == nil && strict && sum.Rejected+sum.Conflicts > 0 {
			sum.Withheld += sum.Enqueued
			err = &StrictError{Rejected: sum.Rejected, Conflicts: sum.Conflicts}
		}
		if err != nil {
			sum.Enqueued, sum.OutOfOrder, sum.Replaced = 0, 0, 0 // it only looked
			return sum, err
		}
		b.notPruned = l.mayPrune(l.sum)
		b.replace = b.notPruned == nil && l.sum.Replaced > 0
	}
	if err := j.canariesFirst(ctx, b); err != nil {
		return b.sum, err
	}
	err := b.do(ctx)
	sum := b.canary.sum(b.sum)
	sum.Edited = j.edited
	switch {
	case err != nil:
	case !b.Look:
		err = b.complete(ctx, &sum)
	case b.Prune && !j.alone:
		sum.NotPruned = b.mayPrune(sum)
	}
	return sum, err
}

// tell passes the error of a rejected row to OnReject, only once for all runs of the job.
func (j *batchJob) tell(b *batchRun, err error) error {
	h := maphash.String(j.seed, err.Error())
	if b.retold < len(j.told) && j.told[b.retold] == h {
		b.retold++
		return nil
	}
	failed := err
	if j.o.OnReject != nil {
		failed = j.o.OnReject(err)
	}
	if failed == nil {
		j.told = append(j.told[:b.retold], h)
		b.retold++
	}
	return failed
}

// check says what is wrong with the options, and fills in the policy.
func (j *batchJob) check() (err error) {
	if p := ledger.BatchNameProblem(j.name); p != "" {
		return &CallError{Index: -1, Field: "batch", Problem: p}
	}
	if j.o.Policy, err = ledger.ParsePolicy(string(j.o.Policy)); err != nil {
		return err
	}
	if TooFar(j.o.NotBefore) {
		return &CallError{Index: -1, Field: "at", Problem: tooFar}
	}
	if j.atOnce = !j.o.NotBefore.IsZero() && !j.o.NotBefore.After(j.p.clock.Now()); j.atOnce {
		j.o.NotBefore = time.Time{}
	}
	j.o.Prune = j.o.Prune || j.o.PruneExactly != 0
	return j.p.usable()
}

// ConflictError says that an id belongs to another call of the same batch and token, or
// stands twice in the sequence. Nothing was changed.
type ConflictError struct {
	Batch  string // "" none
	ID     string
	Row    int // line of the row; 0: a single call
	First  int // line of the row that has the same id in this sequence; 0: it is known from before
	Known  int // line that first brought the call that is known; 0: none, or see First
	State  string
	Unsent bool // no request of the known call was sent: Prune replaces it
	// Differs are the fields that differ: server, chain. Have and Want are their values in
	// the known call and in the row.
	Differs, Have, Want []string
	Source              any // Call.Source
}

func (e *ConflictError) Error() string {
	if e.First > 0 {
		return fmt.Sprintf("%q is the id of row %d already: give one of them another id", e.ID, e.First)
	}
	text := fmt.Sprintf("%q is the id of another call of this token", e.ID)
	if e.Known > 0 {
		text += fmt.Sprintf(" (row %d)", e.Known)
	}
	sep := ":"
	for i, field := range e.Differs {
		text += fmt.Sprintf("%s that one has %s, this one %s", sep, fieldWords(field, e.Have[i]), fieldWords(field, e.Want[i]))
		sep = ";"
	}
	if e.Unsent && e.Batch != "" && e.Row > 0 {
		return text + ". That one was never sent: prune replaces it; or give this one another id"
	}
	return text + ": give this one another id"
}

func fieldWords(field, value string) string {
	if value == "" {
		return "no " + field
	}
	return field + " " + value
}

// WithheldError says that a new row was not enqueued because an earlier row of its chain is
// missing: a chain keeps the order of the file.
type WithheldError struct {
	Row    int // its line
	Behind int // line of the first row that was left out before it in its chain; 0: not kept
	Source any // Call.Source
}

func (e *WithheldError) Error() string {
	if e.Behind > 0 {
		return fmt.Sprintf("is withheld, because row %d before it in its chain was left out", e.Behind)
	}
	return "is withheld, because a row before it in its chain was left out"
}

// TwinError says that a row of a part of a file was rejected (PartIf).
type TwinError struct {
	Row    int // its line
	Source any // Call.Source
}

func (e *TwinError) Error() string {
	return "says the same as a call that is there already: in a part of a file nobody can tell whether it is meant as another one. Give the whole corrected file"
}

// StrictError says that nothing was enqueued because rows were rejected or conflict (Strict).
type StrictError struct{ Rejected, Conflicts int }

func (e *StrictError) Error() string {
	return "nothing was enqueued: " + say.Plural(e.Rejected, "row was rejected", "rows were rejected") + ", " + say.Plural(e.Conflicts, "conflicts", "conflict")
}

// ErrPart refuses Prune for a part of a file, which can't tell which calls are missing.
var ErrPart = errors.New("this is a part of a file, which tells nothing of what is missing in it: prune with the whole file")

// LeftOutRow tells which row an error of OnLeftOut is about: its line, the field that is at fault
// ("row" if no single one is), and its Call.Source.
func LeftOutRow(err error) (line int, field string, source any) {
	if e, ok := errors.AsType[*ConflictError](err); ok {
		return e.Row, "id", e.Source
	}
	if e, ok := errors.AsType[*WithheldError](err); ok {
		return e.Row, "row", e.Source
	}
	if e, ok := errors.AsType[*TwinError](err); ok {
		return e.Row, "row", e.Source
	}
	return 0, "row", nil
}

// Why Prune did nothing (Summary.NotPruned).
var (
	// ErrRowsMissing says that rows of the file were left out: without them, nobody can tell
	// which calls are no longer in it.
	ErrRowsMissing = errors.New("rows were left out")
	// ErrOtherRun says that another run fills the batch.
	ErrOtherRun = fmt.Errorf("another run of the batch is not over: prune again when it has ended (a run that was killed ends after %v)", ledger.RunLease)
)

// PruneCountError says that Prune would cancel more calls than it may without their number, or
// not exactly as many as PruneExactly says.
type PruneCountError struct{ Missing, Total, Named int }

func (e *PruneCountError) Error() string {
	if e.Named != 0 {
		return fmt.Sprintf("%s missing from the file, not %s", say.Plural(e.Missing, "call is", "calls are"), say.Thousands(max(0, e.Named)))
	}
	return fmt.Sprintf("%s of %s %s missing from the file, which may be a mistake",
		say.Thousands(e.Missing), say.Count(e.Total, "call"), say.Word(e.Missing, "is", "are"))
}

// NotPrunedWords say why Prune did nothing and, if it wants a number, how to give it with option.
func NotPrunedWords(err error, option string) string {
	e, ok := errors.AsType[*PruneCountError](err)
	if !ok || e.Missing == 0 {
		return err.Error()
	}
	return fmt.Sprintf("%v: to cancel %s give %s=%d", err, say.Word(e.Missing, "it", "them"), option, e.Missing)
}

// ErrChainUnknown is wrapped in the error that comes with a Call whose Chain can't be told.
// Then all later new calls of its token are withheld.
var ErrChainUnknown = errors.New("the chain can't be told")
