package tasks

import (
	"errors"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
	"habilita/internal/wolkvox"
)

// Refusals without data, for errors.Is.
var (
	// ErrClosed is the error of Enqueue, EnqueueBatch and the limiter after Client.Close. What only
	// reads or decides still works.
	ErrClosed = errors.New("tasks: the client is closed")
	// ErrRedisFull says that Redis has no memory left: it takes nothing new, but the calls that it
	// has are made. Enqueue again later.
	ErrRedisFull = errors.New("tasks: Redis is full")
	// ErrEnqueueAgain says that Redis lost data, or that Redis or the program stood still for too
	// long: what was not acknowledged is not there. Enqueue it again; that adds what is missing.
	ErrEnqueueAgain = errors.New("tasks: enqueue it again")
	// ErrTokenIDKey says that the key that names tokens was lost from Redis or replaced there, so
	// that calls in Redis would not share their token's slots. The text says what to do.
	ErrTokenIDKey = errors.New("tasks: the token-ID key in Redis was lost or replaced")
	// ErrSentinel says that NewWorker can't copy the client: set WorkerOptions.RedisURL.
	ErrSentinel = errors.New("tasks: a client for Sentinel can't be copied")
	// ErrChainUnknown is for a sequence given to EnqueueBatch. An error of the sequence that wraps
	// it says that the row's chain is unknown. All later new calls of its token are withheld then.
	ErrChainUnknown = errors.New("the chain can't be told")
)

// cause is what lies behind an exported error, and gives it its text.
type cause struct{ err error }

// Error says what happened, to what, and what to do next.
func (c *cause) Error() string {
	if c.err == nil { // made by a caller, for a test perhaps
		return "tasks: an error without a cause"
	}
	return c.err.Error()
}

// Unwrap returns the cause.
func (c *cause) Unwrap() error { return c.err }

// exported marks the error as one that public has made.
func (c *cause) exported() {}

// CallError says what is wrong with a call.
type CallError struct {
	Index   int    // place in the sequence, from 0; -1: a single call, or the whole batch
	Field   string // server, token, licenses, chain, ref, id, batch or at
	Problem string
	cause
}

// ConflictError says that an id is known for another call of the same batch and token, or
// occurs twice in the sequence. Nothing was changed.
type ConflictError struct {
	Batch  string // "": none
	ID     string
	Row    int          // line of the call; 0: a single call
	First  int          // line in this sequence that has the id already; 0: it is known from before
	Known  int          // line that first brought the known call; 0: none, or see First
	State  State        // of the known call
	Unsent bool         // no request of it was sent: Prune replaces it
	Differ []Difference // where the calls differ
	Source any          // Call.Source
	cause
}

// Difference is a value in which two sides differ.
type Difference struct {
	Name string // server or chain; or a setting
	// Have is what is there: the known call's value, or that of the other processes. Want is the
	// new call's, or this process's.
	Have, Want string
}

// WithheldError says that a new call was not enqueued, because an earlier one of its chain is
// missing: a chain has the order of the sequence.
type WithheldError struct {
	Row    int // its line
	Source any // Call.Source
	cause
}

// StrictError says that Strict enqueued nothing.
type StrictError struct {
	Rejected, Conflicts int
	cause
}

// CanaryError says that a batch holds, since not all of its canaries succeeded.
type CanaryError struct {
	Batch    string
	Canaries Canaries
	cause
}

// BatchProblem is why a batch takes no calls.
type BatchProblem string

// The problems.
const (
	BatchCancelled BatchProblem = "cancelled" // a person cancelled it; `enqueue reopen` opens it again
	BatchPolicy    BatchProblem = "policy"    // it has calls under another policy
	BatchCanary    BatchProblem = "canary"    // it holds or began with other canaries
	BatchBusy      BatchProblem = "busy"      // another run prunes it now: try again
	BatchGone      BatchProblem = "gone"      // its retention ended and it was deleted meanwhile: enqueue it again
	BatchOld       BatchProblem = "old"       // an older version made it, and knows its rows by their place
)

// BatchError says that a batch takes no calls.
type BatchError struct {
	Batch   string
	Problem BatchProblem
	cause
}

// PruneProblem is why Prune did nothing.
type PruneProblem string

// The problems.
const (
	PruneLeftOut  PruneProblem = "left_out"  // rows were left out
	PruneOtherRun PruneProblem = "other_run" // another run fills the batch
	PruneCount    PruneProblem = "count"     // too many calls are missing, or not as many as PruneExactly named
)

// PruneError says why Prune did nothing (Summary.NotPruned).
type PruneError struct {
	Problem        PruneProblem
	Missing, Total int // calls, under PruneCount
	cause
}

// UnknownError says that there is no such batch or call, or no such chain to decide about. One
// of its fields is set.
type UnknownError struct {
	Batch, Call, Chain string
	cause
}

// SelectionError says that a Selection is not valid.
type SelectionError struct{ cause }

// MismatchError says that other processes on the same Redis use other settings. This one must
// not run.
type MismatchError struct {
	Differences []Difference // sorted by name
	With        []string     // the processes that differ, the oldest first
	cause
}

// PartialError says that parts of Redis can't be read now: most often a node of a cluster is
// away. What comes with the error is from the other parts. Nothing is lost: ask again later.
type PartialError struct {
	Unread int // how many parts
	cause
}

// sentinelError is an exported sentinel with its cause.
type sentinelError struct {
	is error
	cause
}

func (e *sentinelError) Is(target error) bool { return target == e.is }

// public gives an error its exported form, which keeps the text, and the cause behind Unwrap. An
// error without such a form stays as it is.
func public(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[interface {
		error
		exported()
	}](err); ok {
		return err
	}
	c := cause{err}
	if out := typed(err, c); out != nil {
		return out
	}
	if n := control.Unread(err); n > 0 {
		return &PartialError{n, c}
	}
	switch {
	case errors.Is(err, engine.ErrRowsMissing):
		return &PruneError{Problem: PruneLeftOut, cause: c}
	case errors.Is(err, engine.ErrOtherRun):
		return &PruneError{Problem: PruneOtherRun, cause: c}
	case errors.Is(err, control.ErrChainID):
		return &SelectionError{c}
	case errors.Is(err, ledger.ErrOtherKey):
		return &sentinelError{ErrTokenIDKey, c}
	case errors.Is(err, ledger.ErrLost), errors.Is(err, ledger.ErrLate):
		return &sentinelError{ErrEnqueueAgain, c}
	case errors.Is(err, redisconn.ErrNotCopied):
		return &sentinelError{ErrSentinel, c}
	case redisconn.Full(err):
		return &sentinelError{ErrRedisFull, c}
	}
	return err
}

// typed returns the exported form of the first error in err's tree whose type has one; nil: none has.
func typed(err error, c cause) error {
	switch e := err.(type) {
	case *engine.CallError:
		return &CallError{e.Index, e.Field, e.Problem, c}
	case *engine.ConflictError:
		out := &ConflictError{e.Batch, e.ID, e.Row, e.First, e.Known, State(e.State), e.Unsent, nil, e.Source, c}
		for i, name := range e.Differs {
			out.Differ = append(out.Differ, Difference{name, e.Have[i], e.Want[i]})
		}
		return out
	case *engine.WithheldError:
		return &WithheldError{e.Row, e.Source, c}
	case *engine.StrictError:
		return &StrictError{e.Rejected, e.Conflicts, c}
	case *engine.CanaryError:
		return &CanaryError{e.Batch, Canaries(e.Canaries), c}
	case *engine.PruneCountError:
		return &PruneError{PruneCount, e.Missing, e.Total, c}
	case *engine.KeyLostError:
		return &sentinelError{ErrTokenIDKey, c}
	case *ledger.BatchError:
		return &BatchError{e.Batch, BatchProblem(e.Problem), c}
	case *control.UnknownError:
		switch e.Kind {
		case ledger.ErrNoCall:
			return &UnknownError{Call: e.Name, cause: c}
		case control.ErrNotHeld, control.ErrNoChain:
			return &UnknownError{Chain: e.Name, cause: c}
		}
		return &UnknownError{Batch: e.Name, cause: c}
	case *control.SelectionError, *wolkvox.ServerError:
		return &SelectionError{c}
	case *membership.MismatchError:
		out := &MismatchError{cause: c}
		for _, d := range e.Differences {
			out.Differences = append(out.Differences, Difference{d.Name, d.Theirs, d.Mine})
		}
		for _, p := range e.With {
			out.With = append(out.With, p.String())
		}
		return out
	case interface{ Unwrap() error }:
		return typed(e.Unwrap(), c)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			if out := typed(one, c); out != nil {
				return out
			}
		}
	}
	return nil
}

// ofSequence returns an error of a sequence as the engine understands it.
func ofSequence(err error) error {
	if err == nil || !errors.Is(err, ErrChainUnknown) {
		return err
	}
	return &chainUnknown{err}
}

// chainUnknown is ErrChainUnknown for the engine.
type chainUnknown struct{ error }

func (e *chainUnknown) Unwrap() []error { return []error{e.error, engine.ErrChainUnknown} }
