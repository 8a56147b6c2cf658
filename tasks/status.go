package tasks

import (
	"context"
	"iter"
	"time"

	"habilita/internal/control"
)

// Status has the counts of a batch. Total = Succeeded + Failed + Skipped + Cancelled + Open.
type Status struct {
	Batch      string
	Total      int
	Succeeded  int
	Failed     int // given up, and still so
	Skipped    int
	Cancelled  int
	Open       int  // no result yet
	HeldChains int  // chains that a call of this batch holds: a person decides
	Settled    bool // nobody fills the batch, and nothing more happens without a person
	Complete   bool // the last run that filled it read its rows to the end and left none out
	Policy     Policy
	Canary     CanaryState
	CreatedAt  time.Time
	SettledAt  time.Time // zero: it is not settled
	DueAt      time.Time // when it begins, or goes on with calls that were put off; zero: no call waits for its time
	Unread     int       // parts of Redis that could not be read (PartialError): their calls are in no count
}

// AllSucceeded reports whether every call succeeded. It is false if a part of Redis could not be read.
func (s Status) AllSucceeded() bool { return s.Succeeded == s.Total && s.Unread == 0 }

// CanaryState says how far a batch with canaries has come (see Canary).
type CanaryState string

// The states; "" means a batch without canaries. Until the batch is released, its counts are
// those of the calls that go first.
const (
	CanaryWaiting  CanaryState = "waiting"  // for the canaries, or for EnqueueBatch to go on
	CanaryHeld     CanaryState = "held"     // one did not succeed: a person decides
	CanaryReleased CanaryState = "released" // the others may be enqueued
)

func statusOf(s control.Status) Status {
	return Status{
		Batch: s.Batch, Total: s.Total, Succeeded: s.Succeeded, Failed: s.Failed, Skipped: s.Skipped, Cancelled: s.Cancelled,
		Open: s.Open, HeldChains: s.HeldChains, Settled: s.Settled, Complete: s.Complete, Policy: Policy(s.Policy),
		Canary: CanaryState(s.Canary.State), CreatedAt: s.CreatedAt.Time, SettledAt: s.SettledAt.Time, DueAt: s.DueAt.Time,
		Unread: s.Unread,
	}
}

// Status returns how a batch stands now. If there is no batch of that name, the error is an
// *UnknownError. With a *PartialError the counts are of the parts of Redis that can be read.
func (c *Client) Status(ctx context.Context, batch string) (Status, error) {
	s, err := c.control.Status(ctx, batch)
	return statusOf(s), public(err)
}

// Wait waits until a batch is settled: every call has a result or stands behind a call that
// was given up. If there is no batch of that name, the error is an *UnknownError. If ctx ends first,
// the error is ctx's. If Redis does not answer, Wait keeps trying for a minute. With an error, the
// status is the last one that Wait saw.
func (c *Client) Wait(ctx context.Context, batch string) (Status, error) {
	s, err := c.control.WaitSettled(ctx, batch, 0)
	return statusOf(s), public(err)
}

// State is where a call stands.
type State string

// The states.
const (
	StateQueued    State = "queued"
	StateWaiting   State = "waiting" // for a back-off, a slot, the quota, or its time
	StateRunning   State = "running"
	StateSucceeded State = "succeeded"
	StateFailed    State = "failed"    // given up
	StateSkipped   State = "skipped"   // given up, and skipped by a person
	StateCancelled State = "cancelled" // by a person, by PolicyCancel, or by Prune
)

// Open reports whether a call in this state has no result yet.
func (s State) Open() bool { return s == StateQueued || s == StateWaiting || s == StateRunning }

// Reason is why the last attempt of a call failed.
type Reason string

// The reasons; "" is none.
const (
	ReasonBadToken          Reason = "bad_token"          // the vendor knows no such token
	ReasonMissingToken      Reason = "missing_token"      // the vendor found no token in the request
	ReasonTokenLimit        Reason = "token_limit"        // the vendor says that the day's quota is used
	ReasonSimultaneousLimit Reason = "simultaneous_limit" // the vendor says that two requests are in flight
	ReasonForbidden         Reason = "forbidden"          // another 403, such as maintenance
	ReasonTooMany           Reason = "too_many"           // 429
	ReasonBadRequest        Reason = "bad_request"        // 400
	ReasonNotFound          Reason = "not_found"          // 404
	ReasonMethodNotAllowed  Reason = "method_not_allowed" // 405
	ReasonServerError       Reason = "server_error"       // 5xx
	ReasonUnknown           Reason = "unknown"            // no complete answer: the vendor may have done it
	ReasonUnreadable        Reason = "unreadable"         // the answer can't be understood
	ReasonNotSent           Reason = "not_sent"           // the vendor can't be reached
	ReasonUnopenable        Reason = "unopenable"         // the sealed token can't be opened: its key is not in Keys
	ReasonOther             Reason = "other"
)

// Result is a call, and what became of it.
type Result struct {
	ID         string // as Call.ID, or made from the call
	Batch      string // "": none
	Server     string
	TokenID    string // the token's name, which reveals nothing about the token
	Ref        string
	Chain      string // id of the chain, for Selection
	State      State
	Attempts   int // requests that were sent
	Reason     Reason
	Code       string    // the vendor's, of the last attempt
	Msg        string    // the vendor's text
	Error      string    // ours; "": none
	Row        int       // line of the file that brought the call; 0: none
	EnqueuedAt time.Time // by the clock of Redis, as the others
	StartedAt  time.Time // the first attempt; zero: none yet
	FinishedAt time.Time // zero: no result yet
}

func resultOf(r control.CallRecord, batch string) Result {
	return Result{
		ID: r.ID, Batch: batch, Server: r.Server, TokenID: r.TokenID, Ref: r.Ref, Chain: r.Chain, State: State(r.State), Attempts: r.Attempts,
		Reason: Reason(r.Reason), Code: r.Code, Msg: r.Msg, Error: r.Error, Row: r.Row,
		EnqueuedAt: r.EnqueuedAt.Time, StartedAt: r.StartedAt.Time, FinishedAt: r.FinishedAt.Time,
	}
}

// Results ranges over the calls of a batch, in no order and in constant memory. An error comes
// last: an *UnknownError if there is no such batch, a *PartialError if other calls could not be
// read.
func (c *Client) Results(ctx context.Context, batch string) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		for r, err := range c.control.Report(ctx, batch) {
			if !yield(resultOf(r, batch), public(err)) {
				return
			}
		}
	}
}

// Find returns the calls that have an id: one, or several if the id was given in several
// batches or for several tokens. If there is none, the error is an *UnknownError.
func (c *Client) Find(ctx context.Context, id string) ([]Result, error) {
	found, err := c.control.Show(ctx, id)
	if err != nil {
		return nil, public(err)
	}
	out := make([]Result, len(found))
	for i, r := range found {
		batch, err := c.control.BatchName(ctx, r)
		if err != nil {
			return nil, public(err)
		}
		out[i] = resultOf(r, batch)
	}
	return out, nil
}

// Selection says which chains or calls a decision is about. Set exactly one of its first four
// fields.
type Selection struct {
	Chain  string // id of a chain (Receipt, Result)
	Batch  string // name of a batch
	Server string // "0042", "42" or "wv0042"
	All    bool
	// Reason limits these to the held chains whose call failed for this reason; "": no limit. Not
	// with Chain.
	Reason Reason
}

func (s Selection) control() control.Selection {
	return control.Selection{Chain: s.Chain, Batch: s.Batch, Server: s.Server, All: s.All, Cause: string(s.Reason)}
}

// Retry lets held chains try their call again, with a new budget of attempts, and returns how
// many. For a batch, these are the chains that one of its calls holds. If the selection names a
// chain that is not held, the error is an *UnknownError. An invalid selection is a *SelectionError.
// After another error some chains may be done: call Retry again for the rest.
func (c *Client) Retry(ctx context.Context, s Selection) (int, error) {
	return c.decide(ctx, s, c.control.Retry)
}

// Skip skips the calls that hold chains, so that the chains go on. Otherwise it works like Retry.
func (c *Client) Skip(ctx context.Context, s Selection) (int, error) {
	return c.decide(ctx, s, c.control.Skip)
}

// Cancel cancels calls that were not sent, and returns how many. For a batch: all its calls, and
// the batch takes no more. For a chain: all its calls, held or not. For a server, or All: the
// calls of held chains. Otherwise it works like Retry.
func (c *Client) Cancel(ctx context.Context, s Selection) (int, error) {
	return c.decide(ctx, s, c.control.Cancel)
}

func (c *Client) decide(ctx context.Context, s Selection, do func(context.Context, control.Selection) (int, error)) (int, error) {
	n, err := do(c.asProgram(ctx), s.control())
	return n, public(err)
}

// asProgram returns a context in which the audit log names this program's user and machine.
func (c *Client) asProgram(ctx context.Context) context.Context {
	return control.WithActor(ctx, control.Actor{Who: c.who, Via: control.ByGo})
}
