package main

import (
	"fmt"
	"math"
	"time"

	"habilita/internal/intake"
	"habilita/internal/operator"
	"habilita/tasks"
)

// summaryJSON is what bulk --json ends with.
type summaryJSON struct {
	Batch      string  `json:"batch"`
	Rows       int     `json:"rows"`
	Enqueued   int     `json:"enqueued"`
	Duplicates int     `json:"duplicates"`
	Rejected   int     `json:"rejected"`
	Tokens     int     `json:"tokens"`
	Seconds    float64 `json:"seconds"`
}

// bulkResult is summaryJSON with, after --wait, the batch's counts.
type bulkResult struct {
	summaryJSON
	Status *operator.Status `json:"status,omitempty"`
}

func asSummary(s tasks.Summary) summaryJSON {
	return summaryJSON{s.Batch, s.Rows, s.Enqueued, s.Duplicates, s.Rejected, s.Tokens,
		math.Round(s.Elapsed.Seconds()*1000) / 1000}
}

func progressWords(s tasks.Summary) string {
	words := fmt.Sprintf("%s, %s enqueued", count(s.Rows, "row"), thousands(s.Enqueued))
	if s.Duplicates > 0 {
		words += ", " + thousands(s.Duplicates) + " were there already"
	}
	if s.Rejected > 0 {
		words += ", " + thousands(s.Rejected) + " rejected"
	}
	return words
}

// summary tells people what the run did.
func (r *bulkRun) summary(s tasks.Summary) {
	fmt.Fprintf(r.told, "%s; %s; %s\n", progressWords(s), count(s.Tokens, "token"), s.Elapsed.Round(time.Millisecond))
	r.tellRejects(s)
}

// badTextAdvice is what to do about bytes that are no text.
var badTextAdvice = intake.Advice("give --encoding windows-1252")

// tellRejects says what to do about rejected rows, and about a file that has none.
func (r *bulkRun) tellRejects(s tasks.Summary) {
	if s.Rows == 0 {
		fmt.Fprintf(r.err, "%s has no rows\n", r.in.name)
	}
	if r.badText {
		fmt.Fprintf(r.err, "some bytes of %s stand for no character: %s\n", r.in.name, badTextAdvice)
	}
	switch {
	case s.Rejected == 0:
	case r.rejects.Count() == 0 || r.rejects.Path() == "":
		fmt.Fprintf(r.err, "%s rejected: put them right in a file of their own and enqueue that (--rejects FILE keeps them)\n", wasWere(s.Rejected))
	default:
		path := quoteFile(r.rejects.Path())
		fmt.Fprintf(r.err, "%s rejected and kept in %s: put them right there, then: enqueue bulk %s\n", wasWere(s.Rejected), path, path)
	}
}

func wasWere(n int) string {
	if n == 1 {
		return "1 row was"
	}
	return thousands(n) + " rows were"
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
