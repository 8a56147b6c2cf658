package main

import (
	"context"
	"fmt"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/rows"
)

// summaryJSON is what bulk --json ends with.
type summaryJSON struct {
	Batch      string  `json:"batch"`
	Rows       int     `json:"rows"`
	Enqueued   int     `json:"enqueued"`
	Duplicates int     `json:"duplicates"`
	Conflicts  int     `json:"conflicts"`
	Rejected   int     `json:"rejected"`
	Withheld   int     `json:"withheld"`
	Missing    int     `json:"missing"`
	Pruned     int     `json:"pruned"`
	Tokens     int     `json:"tokens"`
	Seconds    float64 `json:"seconds"`
	// Of enqueued and duplicates, and what people are told beside.
	Made       int    `json:"made"`
	Waiting    int    `json:"waiting"`
	Held       int    `json:"held"`
	Ended      int    `json:"ended"`
	Replaced   int    `json:"replaced"`
	OutOfOrder int    `json:"out_of_order"`
	Unplaced   int    `json:"unplaced"`
	Edited     bool   `json:"edited"`
	NotPruned  string `json:"not_pruned,omitempty"` // why nothing was, though --prune asked for it
}

// bulkResult is summaryJSON with, after --wait, the batch's counts.
type bulkResult struct {
	summaryJSON
	Status *control.Status `json:"status,omitempty"`
}

func asSummary(s engine.Summary) summaryJSON {
	out := summaryJSON{
		Batch: s.Batch, Rows: s.Rows, Enqueued: s.Enqueued, Duplicates: s.Duplicates, Conflicts: s.Conflicts,
		Rejected: s.Rejected, Withheld: s.Withheld, Missing: s.Missing, Pruned: s.Pruned, Tokens: s.Tokens,
		Seconds: seconds(s.Elapsed),
		Made:    s.Made, Waiting: s.Waiting, Held: s.Held, Ended: s.Ended, Replaced: s.Replaced,
		OutOfOrder: s.OutOfOrder, Unplaced: s.Unplaced, Edited: s.Edited,
	}
	if s.NotPruned != nil {
		out.NotPruned = engine.NotPrunedWords(s.NotPruned, "--prune")
	}
	return out
}

func progressWords(s engine.Summary) string {
	words := fmt.Sprintf("%s, %s enqueued", count(s.Rows, "row"), thousands(s.Enqueued))
	if s.Duplicates > 0 {
		words += ", " + thousands(s.Duplicates) + " were there already"
	}
	if s.Rejected > 0 {
		words += ", " + thousands(s.Rejected) + " rejected"
	}
	return words
}

// lastWords are what a run did, on one line: "5 new, 295 there already (290 made, 5 waiting),
// 5 missing (--prune cancels them), 0 rejected".
func lastWords(s engine.Summary) string {
	words := thousands(s.Enqueued) + " new"
	if in := listParts(part{s.Replaced, "in the place of another"}, part{s.OutOfOrder, "out of the file's order"}); in != "" {
		words += " (" + in + ")"
	}
	words += ", " + thousands(s.Duplicates) + " there already"
	if in := listParts(part{s.Made, "made"}, part{s.Waiting, "waiting"}, part{s.Held, "held"}, part{s.Ended, "ended otherwise"}); in != "" {
		words += " (" + in + ")"
	}
	if more := listParts(part{s.Conflicts, "in conflict"}, part{s.Withheld, "withheld"}); more != "" {
		words += ", " + more
	}
	switch {
	case s.Missing > 0 && s.Pruned == 0:
		words += ", " + thousands(s.Missing) + " missing (--prune cancels " + itThem(s.Missing) + ")"
	case s.Missing > 0:
		words += fmt.Sprintf(", %s missing (%s cancelled)", thousands(s.Missing), thousands(s.Pruned))
	}
	return words + ", " + thousands(s.Rejected) + " rejected"
}

// summary tells people what the run did.
func (r *bulkRun) summary(ctx context.Context, op *control.Control, s engine.Summary, zone *time.Location) {
	r.did(s)
	if s.Enqueued > 0 {
		fmt.Fprint(r.told, begins(r.at, zone))
	}
	if s.Rows > 0 && s.Duplicates == s.Rows {
		r.allThere(ctx, op)
	}
	r.notPruned(s)
	r.tellRejects(s, r.resume())
}

// did says what became of the rows.
func (r *bulkRun) did(s engine.Summary) {
	fmt.Fprintf(r.told, "%s; %s; %s\n", lastWords(s), count(s.Tokens, "token"), s.Elapsed.Round(time.Millisecond))
	if s.OutOfOrder > 0 {
		fmt.Fprintf(r.told, "%s joined the end of their chains: rows that stand after them in the file were there already\n", count(s.OutOfOrder, "new call"))
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
	fmt.Fprintf(r.told, "all rows are there already, since %s: %s\nto make them once more: %s\n",
		st.CreatedAt, counts(st), again.resume())
}

// refused says that nothing was enqueued, since rows are bad (--strict). The error is errTold.
func (r *bulkRun) refused(s engine.Summary, e *engine.StrictError) error {
	fmt.Fprintf(r.err, "enqueue: nothing was enqueued: %s rejected, %s in conflict (--strict)\n", thousands(e.Rejected), thousands(e.Conflicts))
	bad := s
	bad.Withheld = max(0, r.rejects.Count()-s.Rejected-s.Conflicts) // those behind a bad row; the others are good
	r.tellRejects(bad, r.resume())
	if r.o.asJSON {
		if err := writeJSON(r.out, bulkResult{summaryJSON: asSummary(s)}); err != nil {
			return err
		}
	}
	return errTold
}

// badTextAdvice is what to do about bytes that are no text.
var badTextAdvice = rows.Advice("give --encoding windows-1252")

// tellRejects says what to do about rows that were left out.
func (r *bulkRun) tellRejects(s engine.Summary, again string) {
	if r.badText {
		fmt.Fprintf(r.err, "some bytes of %s stand for no character: %s\n", r.in.name, badTextAdvice)
	}
	left := s.Rejected + s.Conflicts
	if left == 0 && r.rejects.Count() == 0 {
		return
	}
	r.tellUnplaced(s)
	kept := ""
	if r.rejects.Count() > 0 && r.rejects.Path() != "" {
		kept = fmt.Sprintf(" (%s kept in %s)", plural(r.rejects.Count(), "is", "are"), quoteFile(r.rejects.Path()))
	}
	fmt.Fprintf(r.err, "%s left out%s: correct %s and give it again: %s\n", plural(left+s.Withheld, "row was", "rows were"), kept, quoteFile(r.in.name), again)
}

// tellUnplaced says where rows behind a bad one were not withheld.
func (r *bulkRun) tellUnplaced(s engine.Summary) {
	if s.Unplaced > 0 {
		fmt.Fprintf(r.err, "the token of %s can't be told, so no row was withheld behind %s\n", count(s.Unplaced, "rejected row"), itThem(s.Unplaced))
	}
}

// quoteFile is a file's name as an argument: one that begins with a dash is no flag.
func quoteFile(name string) string {
	if len(name) > 1 && name[0] == '-' {
		name = "./" + name
	}
	if name == "-" {
		return name
	}
	return quoteArg(name)
}

// canaries shows how those that go first get on.
func (r *bulkRun) canaries(c engine.Canaries) {
	words := fmt.Sprintf("canaries: %s of %s succeeded", thousands(c.Succeeded), count(c.Calls, "call"))
	if others := listParts(part{c.Failed, "failed"}, part{c.Skipped, "skipped"}, part{c.Cancelled, "cancelled"}, part{c.Open, "open"}); others != "" {
		words += ", " + others
	}
	r.meter.update(int64(c.Calls-c.Open), int64(c.Calls), words)
}

// held says that the batch holds, why, and what a person can do. The error is errPartial.
func (r *bulkRun) held(ctx context.Context, op *control.Control, sum engine.Summary, zone *time.Location, e *engine.CanaryError) error {
	c, batch := e.Canaries, quoteArg(r.o.batch)
	again, pruning := r.resume(), *r
	pruning.o.prune.set = true
	r.o.canary = 0
	fmt.Fprintf(r.err, "the batch holds: %s of %s of the canaries (the first %s) did not succeed; %s not enqueued\n"+
		"why      enqueue chains --held   (or: enqueue report %s)\n"+
		"correct  the file, then: %s\n"+
		"retry    enqueue retry --batch %s, then: %s\n"+
		"go on    %s --canary 0   (all the same)\n"+
		"give up  enqueue cancel --batch %s\n",
		thousands(c.Calls-c.Succeeded), count(c.Calls, "call"), count(c.Tokens, "token"),
		plural(sum.Withheld, "row is", "rows are"), batch, pruning.resume(), batch, again, r.resume(), batch)
	r.tellRejects(sum, again)
	st, err := op.Status(ctx, r.o.batch)
	if err != nil {
		return err
	}
	return r.end(sum, &st, zone, errPartial)
}

// canaryWords describe the state of a batch that has canaries; "" if there is nothing
// to say.
func canaryWords(s control.Status) string {
	switch s.Canary.State {
	case control.CanaryHeld:
		return fmt.Sprintf("holds: not all calls of its canaries (the first %s) succeeded, so the others are not enqueued. "+
			"Correct the file or retry what failed, and give the same command again; --canary 0 enqueues the others all the same", count(s.Canary.Tokens, "token"))
	case control.CanaryWaiting:
		if s.Open == 0 {
			return fmt.Sprintf("its canaries (the first %s) succeeded; the others are not enqueued yet: "+
				"if the enqueue command has ended, give it again", count(s.Canary.Tokens, "token"))
		}
		return fmt.Sprintf("its canaries (the first %s) go first; the others are enqueued when these succeeded", count(s.Canary.Tokens, "token"))
	}
	return ""
}
