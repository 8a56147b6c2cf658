package engine

import (
	"errors"
	"fmt"
	"strings"
)

// ConflictError says that an id is known for another call of the same batch and token, or
// that it stands twice in the sequence. Nothing was changed.
type ConflictError struct {
	Batch  string // "" none
	ID     string
	Row    int // line of the row; 0: a single call
	First  int // line of the row that has the same id in this sequence; 0: it is known from before
	Known  int // line that first brought the call that is known; 0: none, or see First
	State  string
	Unsent bool // no request of the known call was sent: Prune replaces it
	// Differs are the fields that say otherwise: server, chain. Have and Want are their values in
	// the known call and in the row.
	Differs, Have, Want []string
	Source              any // Call.Source
}

func (e *ConflictError) Error() string {
	if e.First > 0 {
		return fmt.Sprintf("%q is the id of row %d already: give one of them another id", e.ID, e.First)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%q is the id of another call of this token", e.ID)
	if e.Known > 0 {
		fmt.Fprintf(&b, " (row %d)", e.Known)
	}
	for i, field := range e.Differs {
		sep := ":"
		if i > 0 {
			sep = ";"
		}
		fmt.Fprintf(&b, "%s that one has %s, this one %s", sep, fieldWords(field, e.Have[i]), fieldWords(field, e.Want[i]))
	}
	if e.Unsent && e.Batch != "" && e.Row > 0 {
		return b.String() + ". That one was never sent: --prune replaces it; or give this one another id"
	}
	return b.String() + ": give this one another id"
}

func fieldWords(field, value string) string {
	if value == "" {
		return "no " + field
	}
	return field + " " + value
}

// WithheldError says that a new row was not enqueued, since an earlier one of its chain is
// missing: the order of a chain is that of the file.
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

// StrictError says that nothing was enqueued, since rows were rejected or conflict (Strict).
type StrictError struct{ Rejected, Conflicts int }

func (e *StrictError) Error() string {
	return fmt.Sprintf("nothing was enqueued: %d rows were rejected, %d conflict", e.Rejected, e.Conflicts)
}

// ErrPart refuses Prune for a part of a file, which tells nothing of what is missing.
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
	// ErrRowsMissing says that rows of the file were left out: without them nobody can tell
	// which calls it has no more.
	ErrRowsMissing = errors.New("rows were left out")
	// ErrOtherRun says that another run fills the batch.
	ErrOtherRun = errors.New("another run of the batch is not over")
)

// PruneCountError says that Prune meant more calls than it may take out unasked, or not as many
// as PruneExactly named.
type PruneCountError struct{ Missing, Total, Named int }

func (e *PruneCountError) Error() string {
	if e.Named > 0 {
		if e.Missing == 1 {
			return fmt.Sprintf("1 call is missing from the file, not %d", e.Named)
		}
		return fmt.Sprintf("%d calls are missing from the file, not %d", e.Missing, e.Named)
	}
	return fmt.Sprintf("%d of %d calls are missing from the file, which may be a mistake", e.Missing, e.Total)
}

// NotPrunedWords say why Prune did nothing and, if it wants a number, how to give it with option.
func NotPrunedWords(err error, option string) string {
	e, ok := errors.AsType[*PruneCountError](err)
	if !ok || e.Missing == 0 {
		return err.Error()
	}
	them := "them"
	if e.Missing == 1 {
		them = "it"
	}
	return fmt.Sprintf("%v: to cancel %s give %s=%d", err, them, option, e.Missing)
}

// ErrChainUnknown is in the chain of an error that comes with a Call whose Chain can't be
// told: all later new calls of its token are withheld then.
var ErrChainUnknown = errors.New("the chain can't be told")
