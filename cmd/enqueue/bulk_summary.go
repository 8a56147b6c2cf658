package main

import (
	"context"
	"fmt"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/rows"
	"habilita/internal/say"
)

// bulkResult is what bulk --json ends with: after --wait, with the batch's counts.
type bulkResult struct {
	engine.SummaryJSON
	Status *control.Status `json:"status,omitempty"`
}

func progressWords(s engine.Summary) string {
	return say.List(say.Count(s.Rows, "row"), say.Thousands(s.Enqueued)+" enqueued", say.Some(s.Duplicates, "were there already"), say.Some(s.Rejected, "rejected"))
}

// lastWords are what a run did, on one line: "5 new, 295 there already (290 made, 5 waiting),
// 5 missing (--prune cancels them), 0 rejected".
func lastWords(s engine.Summary) string {
	with := func(text string, details ...string) string {
		if in := say.List(details...); in != "" {
			text += " (" + in + ")"
		}
		return text
	}
	missing := ""
	switch {
	case s.Missing > 0 && s.Pruned == 0:
		missing = say.Thousands(s.Missing) + " missing (--prune cancels " + itThem(s.Missing) + ")"
	case s.Missing > 0:
		missing = fmt.Sprintf("%s missing (%s cancelled)", say.Thousands(s.Missing), say.Thousands(s.Pruned))
	}
	return say.List(
		with(say.Thousands(s.Enqueued)+" new", say.Some(s.Replaced, "in the place of another"), say.Some(s.OutOfOrder, "out of the file's order")),
		with(say.Thousands(s.Duplicates)+" there already",
			say.Some(s.Made, "made"), say.Some(s.Waiting, "waiting"), say.Some(s.Held, "held"), say.Some(s.Ended, "ended otherwise")),
		say.Some(s.Conflicts, "in conflict"), say.Some(s.Withheld, "withheld"), missing, say.Thousands(s.Rejected)+" rejected")
}

// summary tells people what the run did.
func (r *bulkRun) summary(ctx context.Context, op *control.Control, s engine.Summary) {
	r.did(s)
	if s.Enqueued > 0 && !r.at.IsZero() {
		fmt.Fprintf(r.told(), "begins  %s\n", r.local(control.Time{Time: r.at}))
	}
	if s.Rows > 0 && s.Duplicates == s.Rows {
		r.allThere(ctx, op)
	}
	if s.NotPruned != nil {
		fmt.Fprintf(r.err, "nothing was pruned: %s\n", engine.NotPrunedWords(s.NotPruned, pruneOption))
	}
	r.tellRejects(s, r.resume())
}

// did says what became of the rows.
func (r *bulkRun) did(s engine.Summary) {
	fmt.Fprintf(r.told(), "%s; %s; %s\n", lastWords(s), say.Count(s.Tokens, "token"), s.Elapsed.Round(time.Millisecond))
	if s.OutOfOrder > 0 {
		fmt.Fprintf(r.told(), "%s joined the end of their chains: rows that stand after them in the file were there already\n", say.Count(s.OutOfOrder, "new call"))
	}
	if s.Edited {
		fmt.Fprintf(r.err, "%s was edited while it was read twice: what stands here is of the second reading\n", r.in.name)
	}
}

// allThere says since when the rows are there, how they stand, and how to make them once more.
func (r *bulkRun) allThere(ctx context.Context, op *control.Control) {
	st, err := op.Status(ctx, r.o.batch)
	if err != nil {
		return // it is a kindness
	}
	again := *r
	again.o.batch, again.o.path = r.o.batch+"-2", ""
	again.o.prune, again.o.strict = pruneFlag{}, false
	fmt.Fprintf(r.told(), "all rows are there already, since %s: %s\nto make them once more: %s\n",
		st.CreatedAt, counts(st), again.resume())
}

// refused says that nothing was enqueued, since rows are bad (--strict). The error is errTold.
func (r *bulkRun) refused(s engine.Summary, e *engine.StrictError) error {
	fmt.Fprintf(r.err, "enqueue: nothing was enqueued: %s rejected, %s in conflict (--strict)\n", say.Thousands(e.Rejected), say.Thousands(e.Conflicts))
	bad := s
	bad.Withheld = max(0, r.rejects.Count()-s.Rejected-s.Conflicts) // those behind a bad row; the others are good
	r.tellRejects(bad, r.resume())
	if r.json {
		if err := writeJSON(r.out, bulkResult{SummaryJSON: s.JSON(pruneOption)}); err != nil {
			return err
		}
	}
	return errTold
}

// badTextAdvice is what to do about bytes that are no text.
var badTextAdvice = rows.Advice("give --encoding windows-1252")

// tellRejects says what to do about rows that were left out.
func (r *bulkRun) tellRejects(s engine.Summary, again string) {
	r.tellBadText()
	left := s.Rejected + s.Conflicts
	if left == 0 && r.rejects.Count() == 0 {
		return
	}
	r.tellUnplaced(s)
	fmt.Fprintf(r.err, "%s left out%s: correct %s and give it again: %s\n", say.Plural(left+s.Withheld, "row was", "rows were"), r.kept(), say.File(r.in.name), again)
}

func (r *bulkRun) tellBadText() {
	if r.badText {
		fmt.Fprintf(r.err, "some bytes of %s stand for no character: %s\n", r.in.name, badTextAdvice)
	}
}

// kept says where the rows are kept that were left out; "" if they are not.
func (r *bulkRun) kept() string {
	if r.rejects.Count() == 0 || r.rejects.Path() == "" {
		return ""
	}
	return fmt.Sprintf(" (%s kept in %s)", say.Plural(r.rejects.Count(), "is", "are"), say.File(r.rejects.Path()))
}

// tellUnplaced says where rows behind a bad one were not withheld.
func (r *bulkRun) tellUnplaced(s engine.Summary) {
	if s.Unplaced > 0 {
		fmt.Fprintf(r.err, "the token of %s can't be told, so no row was withheld behind %s\n", say.Count(s.Unplaced, "rejected row"), itThem(s.Unplaced))
	}
}

// canaries shows how those that go first get on.
func (r *bulkRun) canaries(c engine.Canaries) {
	r.meter.Update(int64(c.Calls-c.Open), int64(c.Calls), say.List(
		fmt.Sprintf("canaries: %s of %s succeeded", say.Thousands(c.Succeeded), say.Count(c.Calls, "call")),
		say.Some(c.Failed, "failed"), say.Some(c.Skipped, "skipped"), say.Some(c.Cancelled, "cancelled"), say.Some(c.Open, "open")))
}

// held says that the batch holds, why, and what a person can do. The error is errPartial.
func (r *bulkRun) held(ctx context.Context, op *control.Control, sum engine.Summary, e *engine.CanaryError) error {
	c, batch := e.Canaries, say.Quote(r.o.batch)
	again, pruning := r.resume(), *r
	pruning.o.prune.set = true
	r.o.canary = 0
	fmt.Fprintf(r.err, "the batch holds: %s of %s of the canaries (the first %s) did not succeed; %s not enqueued\n"+
		"why      enqueue chains --held   (or: enqueue report %s)\n"+
		"correct  the file, then: %s\n"+
		"retry    enqueue retry --batch %s, then: %s\n"+
		"go on    %s --canary 0   (all the same)\n"+
		"give up  enqueue cancel --batch %s\n",
		say.Thousands(c.Calls-c.Succeeded), say.Count(c.Calls, "call"), say.Count(c.Tokens, "token"),
		say.Plural(sum.Withheld, "row is", "rows are"), batch, pruning.resume(), batch, again, r.resume(), batch)
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
