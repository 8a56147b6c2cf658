package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/rows"
	"habilita/internal/say"
	"habilita/internal/seen"
)

// maxWarnings is how many withheld rows, and how many rows with other licences, are named one by one.
const maxWarnings = 20

// calls makes calls from the input's rows, and warns if rows of a token differ in
// their licences. A second range over it reads the input again, without warnings. If the input can be
// read twice, the run knows a rejects file before its first row; a pipe's only by the rows so far.
func (r *rowsRun) calls() iter.Seq2[engine.Call, error] {
	ranged := false
	return func(yield func(engine.Call, error) bool) {
		if r.in.kept != nil {
			r.part = r.part || !ranged && rows.FromRejects(r.in.rows())
			if err := r.in.again(); err != nil {
				yield(engine.Call{}, err)
				return
			}
		}
		quiet := ranged
		ranged = true
		given := &licences{seed: maphash.MakeSeed()}
		for row, err := range r.in.rows() {
			if err == nil && !quiet && given.differs(row) {
				if given.warned++; given.warned <= maxWarnings {
					r.meter.Log(fmt.Sprintf("%s:%d: warning: licenses: differs from an earlier row of the same token; the last one wins", r.in.name, row.Line))
				}
			}
			r.part = r.part || row.FromRejects // one such row is enough
			if r.part && r.o.path != "" {
				yield(engine.Call{}, usagef("%s is a rejects file: name the batch of its rows with --batch, or give the whole corrected file", r.in.name))
				return
			}
			if r.part && r.whole {
				yield(engine.Call{}, usagef("%s is a rejects file: correct the file that its rows came from, and give that", r.in.name))
				return
			}
			c, err := engine.CallOfRow(row, err)
			if r.rejects.Path() != "" && err == nil {
				c.Source = &row // kept until it is known what becomes of it
			}
			if !yield(c, err) {
				return
			}
		}
		if n := given.warned - maxWarnings; n > 0 {
			r.meter.Log(fmt.Sprintf("%s: warning: %s more with licenses that differ", r.in.name, say.Count(n, "row")))
		}
	}
}

// leftOut reports a row that is a valid row but was left out, and keeps it.
func (r *rowsRun) leftOut(err error) error {
	if conflict, ok := errors.AsType[*engine.ConflictError](err); ok {
		conflict.Unsent = conflict.Unsent && !r.whole // run has no --prune
	}
	line, field, source := engine.LeftOutRow(err)
	if held, ok := errors.AsType[*engine.WithheldError](err); !ok {
		r.meter.Log(fmt.Sprintf("%s:%d: %s: %v", r.in.name, line, field, err))
	} else if r.withheld++; r.withheld <= maxWarnings { // these can be many, and are the fault of one
		behind := "a row that was left out"
		if held.Behind > 0 {
			behind = fmt.Sprintf("line %d", held.Behind)
		}
		r.meter.Log(fmt.Sprintf("%s:%d: withheld behind %s", r.in.name, line, behind))
	}
	if row, ok := source.(*rows.Row); ok {
		return r.rejects.AddRow(*row, field+": "+err.Error())
	}
	return nil
}

// reject reports a bad row and keeps it. Any other error ends the run.
func (r *rowsRun) reject(err error) error {
	if row, ok := errors.AsType[*rows.RowError](err); ok {
		r.meter.Log(row.Error())
		r.in.badText = r.in.badText || row.BadText
		return r.rejects.Add(row)
	}
	return err
}

// licences remembers the last explicit number of each token.
type licences struct {
	known  seen.Table
	seed   maphash.Seed
	warned int
}

func (l *licences) differs(row rows.Row) bool {
	if row.Licenses == 0 {
		return false
	}
	at := l.known.At(maphash.String(l.seed, row.Token))
	before := *at
	*at = uint32(row.Licenses)
	return before != 0 && before != uint32(row.Licenses)
}

const (
	pruneOption = "--prune"
	pruneAll    = "yes" // its value without a number
)

// options returns the options of a run over the rows. words describes its progress.
func (r *rowsRun) options(words func(engine.Summary) string) engine.BatchOptions {
	o := r.o
	return engine.BatchOptions{
		Policy: ledger.Policy(o.onFailure), NotBefore: r.at, Path: o.path, PartIf: func() bool { return r.part },
		Canary: max(0, o.canary), Release: o.canary == 0,
		Strict: o.strict, Prune: o.prune != "", PruneExactly: o.pruneExactly,
		OnReject: r.reject, OnLeftOut: r.leftOut,
		OnProgress: func(s engine.Summary) {
			r.saveMemory(s.Rows)
			r.meter.Update(r.in.read(), r.in.size, words(s))
		},
	}
}

func rowsChecked(s engine.Summary) string { return say.Count(s.Rows, "row") + " checked" }

// bulkResult is what bulk --json ends with: after --wait, with the batch's counts.
type bulkResult struct {
	engine.SummaryJSON
	Status *control.Status `json:"status,omitempty"`
}

func progressWords(s engine.Summary) string {
	return say.List(say.Count(s.Rows, "row"), say.Thousands(s.Enqueued)+" enqueued", say.Some(s.Duplicates, "were there already"), say.Some(s.Rejected, "rejected"))
}

// lastWords are what a run did, on one line: "5 new, 295 there already (290 made, 5 waiting),
// 5 missing (--prune cancels them), 0 rejected". If whole (run), they say that rows no longer in the file are not made; if
// pruned, what --prune did.
func lastWords(s engine.Summary, whole, pruned bool) string {
	with := func(text string, details ...string) string {
		if in := say.List(details...); in != "" {
			text += " (" + in + ")"
		}
		return text
	}
	missing := ""
	switch {
	case s.Missing > 0 && whole:
		missing = say.Thousands(s.Missing) + " no longer in the file (not made)"
	case s.Missing > 0 && !pruned:
		missing = say.Thousands(s.Missing) + " missing (--prune cancels " + say.Word(s.Missing, "it", "them") + ")"
	case s.Missing > 0:
		begun := 0
		if s.NotPruned == nil {
			begun = s.Missing - s.Pruned
		}
		missing = with(say.Thousands(s.Missing)+" missing", say.Thousands(s.Pruned)+" cancelled", say.Some(begun, "begun already"))
	}
	return say.List(
		with(say.Thousands(s.Enqueued)+" new", say.Some(s.Replaced, "in the place of another"), say.Some(s.OutOfOrder, "out of the file's order")),
		with(say.Thousands(s.Duplicates)+" there already",
			say.Some(s.Made, "made"), say.Some(s.Waiting, "waiting"), say.Some(s.Held, "held"), say.Some(s.Ended, "ended otherwise")),
		say.Some(s.Conflicts, "in conflict"), say.Some(s.Withheld, "withheld"), missing, say.Thousands(s.Rejected)+" rejected")
}

// summary tells people what the run did.
func (r *rowsRun) summary(ctx context.Context, op *control.Control, s engine.Summary) {
	r.did(s)
	r.tellTimes(s)
	if s.Rows > 0 && s.Duplicates == s.Rows {
		r.allThere(ctx, op)
	}
	if s.NotPruned != nil {
		fmt.Fprintf(r.err, "nothing was pruned: %s\n", engine.NotPrunedWords(s.NotPruned, pruneOption))
	}
	r.tellRejects(s, r.resume())
}

// tellTimes says when new calls begin, and that calls that were put off to another time keep it.
func (r *rowsRun) tellTimes(s engine.Summary) {
	if s.Enqueued > 0 && !s.NotBefore.IsZero() {
		fmt.Fprintf(r.told(), "begins  %s\n", r.local(control.Time{Time: s.NotBefore}))
	}
	if s.Waiting > 0 && s.Kept {
		fmt.Fprintf(r.told(), "--at and --in are for new calls: those that wait keep their time (enqueue status %s)\n", say.Quote(r.o.batch))
	}
}

// did says what became of the rows.
func (r *rowsRun) did(s engine.Summary) {
	fmt.Fprintf(r.told(), "%s; %s; %s\n", lastWords(s, r.whole, r.o.prune != ""), say.Count(s.Tokens, "token"), s.Elapsed.Round(time.Millisecond))
	if s.OutOfOrder > 0 {
		fmt.Fprintf(r.told(), "%s: rows that stand after %s in the file were there already\n",
			say.Plural(s.OutOfOrder, "new call joined the end of its chain", "new calls joined the end of their chains"), say.Word(s.OutOfOrder, "it", "them"))
	}
	if s.Edited {
		fmt.Fprintf(r.err, "%s was edited while it was read twice: what stands here is of the second reading\n", r.in.name)
	}
}

// allThere is for a file whose rows are all there already: it says how they stand, and how to make them once more.
func (r *rowsRun) allThere(ctx context.Context, op *control.Control) {
	st, err := op.Status(ctx, r.o.batch)
	if err != nil {
		return // it is a kindness
	}
	fmt.Fprintf(r.told(), "all rows are there already (the batch was created %s): %s\nto make them once more: %s\n",
		r.local(st.CreatedAt), counts(st), r.resume("batch", r.o.batch+"-2", "prune", "", "strict", ""))
}

// refused says that nothing was enqueued because rows are bad (--strict). The error is errTold.
func (r *rowsRun) refused(s engine.Summary, e *engine.StrictError) error {
	fmt.Fprintf(r.err, "enqueue: no row was enqueued (--strict): %s rejected, %s in conflict\n", say.Thousands(e.Rejected), say.Thousands(e.Conflicts))
	bad := s
	bad.Withheld = max(0, r.rejects.Count()-s.Rejected-s.Conflicts) // those behind a bad row; the others are good
	r.tellRejects(bad, r.resume())
	return cmp.Or(r.give(bulkResult{SummaryJSON: s.JSON(pruneOption)}, nil, func() {}), error(errTold))
}

// tellRejects says what to do about rows that were left out.
func (r *rowsRun) tellRejects(s engine.Summary, again string) {
	r.in.tellBadText(r.err)
	left := s.Rejected + s.Conflicts
	if left == 0 && r.rejects.Count() == 0 {
		return
	}
	r.tellUnplaced(s)
	file, n := say.File(r.in.name), left+s.Withheld
	switch {
	case r.part: // what it rejects, the whole file alone can tell
		fmt.Fprintf(r.err, "%s left out%s: correct the whole file of batch %s, and give that again under its name\n", say.Plural(n, "row was", "rows were"), r.kept(), r.o.batch)
	case r.o.strict:
		fmt.Fprintf(r.err, "correct %s in %s%s and give it again: %s\n", say.Word(n, "this row", "these "+say.Count(n, "row")), file, r.kept(), again)
	default:
		fmt.Fprintf(r.err, "%s left out%s: correct %s and give it again: %s\n", say.Plural(n, "row was", "rows were"), r.kept(), file, again)
	}
}

// kept says where the rows that were left out are kept; "" if they are not.
func (r *rowsRun) kept() string {
	if r.rejects.Count() == 0 || r.rejects.Path() == "" {
		return ""
	}
	return fmt.Sprintf(" (%s kept in %s)", say.Plural(r.rejects.Count(), "is", "are"), say.File(r.rejects.Path()))
}

// tellUnplaced says how many withheld rows were not named, and how many bad rows hold back nothing, for lack of a token.
func (r *rowsRun) tellUnplaced(s engine.Summary) {
	if more := r.withheld - maxWarnings; more > 0 {
		fmt.Fprintf(r.err, "%s: %s more withheld\n", r.in.name, say.Count(more, "row"))
	}
	if s.Unplaced > 0 {
		fmt.Fprintf(r.err, "%s no readable token, so habilita can't hold back later rows of the same token\n", say.Plural(s.Unplaced, "rejected row has", "rejected rows have"))
	}
}

// canaries shows the progress of the calls that go first.
func (r *rowsRun) canaries(c engine.Canaries) {
	r.meter.Update(int64(c.Calls-c.Open), int64(c.Calls), "canaries: "+counts(control.Status{
		Total: c.Calls, Succeeded: c.Succeeded, Failed: c.Failed, Skipped: c.Skipped, Cancelled: c.Cancelled, Open: c.Open}))
}

// held says that the batch holds, why, and what a person can do. The error is errPartial.
func (r *rowsRun) held(ctx context.Context, op *control.Control, sum engine.Summary, e *engine.CanaryError) error {
	c, batch := e.Canaries, say.Quote(r.o.batch)
	again := r.resume()
	fmt.Fprintf(r.err, "the batch holds: %s of %s of the canaries (the first %s) did not succeed; %s not enqueued\n"+
		"why      enqueue chains --held   (or: enqueue report %s)\n"+
		"correct  the file, then: %s\n"+
		"retry    enqueue retry --batch %s, then: %s\n"+
		"go on    %s   (all the same)\n"+
		"give up  enqueue cancel --batch %s\n",
		say.Thousands(c.Calls-c.Succeeded), say.Count(c.Calls, "call"), say.Count(c.Tokens, "token"),
		say.Plural(sum.Withheld, "row is", "rows are"), batch, r.resume("prune", cmp.Or(r.o.prune, pruneAll)), batch, again, r.resume("canary", "0"), batch)
	r.tellRejects(sum, again)
	st, err := op.Status(ctx, r.o.batch)
	if err != nil {
		return err
	}
	return r.end(sum, &st, errPartial)
}

// canaryWords describe the state of a batch that has canaries; "" if there is nothing
// to say.
func canaryWords(s control.Status) string {
	switch s.Canary.State {
	case control.CanaryHeld:
		return fmt.Sprintf("holds: not all calls of its canaries (the first %s) succeeded, so the others are not enqueued. "+
			"Correct the file or retry what failed, and give the same command again; --canary 0 enqueues the others all the same", say.Count(s.Canary.Tokens, "token"))
	case control.CanaryWaiting:
		if s.Open == 0 {
			return fmt.Sprintf("its canaries (the first %s) succeeded; the others are not enqueued yet: "+
				"if the enqueue command has ended, give it again", say.Count(s.Canary.Tokens, "token"))
		}
		return fmt.Sprintf("its canaries (the first %s) go first; the others are enqueued when these succeeded", say.Count(s.Canary.Tokens, "token"))
	}
	return ""
}
