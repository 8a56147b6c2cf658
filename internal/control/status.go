package control

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

// Status are the counts of a batch. Total = Succeeded + Failed + Skipped + Cancelled + Open.
type Status struct {
	Batch      string        `json:"batch"`
	Total      int           `json:"total"`
	Succeeded  int           `json:"succeeded"`
	Failed     int           `json:"failed"` // given up, and still so
	Skipped    int           `json:"skipped"`
	Cancelled  int           `json:"cancelled"`
	Open       int           `json:"open"`        // no result yet
	HeldChains int           `json:"held_chains"` // whose head is a call of this batch
	Settled    bool          `json:"settled"`     // no producer fills it, and nothing more happens without a person
	Complete   bool          `json:"complete"`    // the last run that filled it read its file to the end and left nothing out
	CreatedAt  Time          `json:"created_at"`
	SettledAt  Time          `json:"settled_at"` // null while it isn't
	DueAt      Time          `json:"due_at"`     // when it begins, or goes on with calls that were put off; null: nothing waits for its time
	Policy     ledger.Policy `json:"on_failure"`
	Canary     Canary        `json:"canary,omitzero"`
	// Unread is how many parts of the ledger could not be read: their calls are in no count, and
	// the batch is not said to be settled. 0: none.
	Unread int `json:"unread,omitempty"`

	Blocked int  `json:"-"` // open calls behind a held head
	PutOff  bool `json:"-"` // nothing of it begins before DueAt
	Stopped bool `json:"-"` // a person cancelled the whole batch
	Filling bool `json:"-"` // a producer fills it
	CutOff  bool `json:"-"` // the last run that filled it was cut off, or left rows out
}

// Canary is the state of a batch whose first tokens go first. While it is waiting or held,
// the counts are those of the canaries' calls, since the others are not enqueued. (The counts
// and the state include a single call that joined the batch. The batch's producer knows which
// calls are canaries, and leaves it out.) The zero value stands for a batch without canaries.
type Canary struct {
	Tokens int         `json:"tokens"`
	State  CanaryState `json:"state"`
}

// CanaryState is the state of a batch with canaries.
type CanaryState string

// The states of a batch with canaries.
const (
	CanaryWaiting  CanaryState = "waiting"  // for the canaries, or for the producer to go on
	CanaryHeld     CanaryState = "held"     // one did not succeed: a person decides
	CanaryReleased CanaryState = "released" // the others may be enqueued
)

// Ended is how many calls have a result.
func (s Status) Ended() int { return s.Total - s.Open }

// BehindOthers is how many calls of a settled batch wait, if every one of them waits behind a held call of another batch.
func (s Status) BehindOthers() int {
	if s.Settled && s.HeldChains == 0 {
		return s.Open
	}
	return 0
}

// AllSucceeded reports whether every call succeeded.
func (s Status) AllSucceeded() bool { return s.Succeeded == s.Total && s.Unread == 0 }

// Status returns the counts of a batch, or an *UnknownError. If Unread(err) > 0, they are those
// of the calls that could be read.
func (o *Control) Status(ctx context.Context, batchName string) (Status, error) {
	m, tags, err := o.batch(ctx, batchName)
	if err != nil {
		return Status{}, err
	}
	return o.status(ctx, m, tags)
}

// StatusOf is Status of a batch that is known by its short name.
func (o *Control) StatusOf(ctx context.Context, id string) (Status, error) {
	m, tags, err := o.batchOf(ctx, id, id)
	if err != nil {
		return Status{}, err
	}
	return o.status(ctx, m, tags)
}

func (o *Control) status(ctx context.Context, m ledger.Batch, tags []string) (Status, error) {
	s, _, err := o.statusAndLive(ctx, m, tags)
	return s, err
}

// statusAndLive also returns in which buckets the batch still has calls without a result, or held chains.
func (o *Control) statusAndLive(ctx context.Context, m ledger.Batch, tags []string) (_ Status, live []string, _ error) {
	c, live, err := o.ledger.CountsAndLive(ctx, m.ID, tags)
	err = of(err, "counts of batch %q", m.Name)
	if !redisconn.Partly(err) {
		return Status{}, nil, err
	}
	s := Status{
		Batch: m.Name, Unread: Unread(err), Total: c.Total, Succeeded: c.Succeeded, Failed: c.Failed, Skipped: c.Skipped,
		Cancelled: c.Cancelled, Open: c.Open(), HeldChains: c.HeldChains, Settled: c.Settled() && !m.Live && err == nil,
		Complete: m.Complete && !m.Live, Filling: m.Live, CutOff: m.Ran && !m.Complete && !m.Live,
		CreatedAt: Time{Time: m.Created}, Policy: m.Policy, Blocked: c.Blocked, Stopped: m.Cancelled,
	}
	if now := o.limiter.Now(); !s.Settled {
		switch {
		case c.FirstDue.After(now):
			s.DueAt, s.PutOff = Time{Time: c.FirstDue}, true
		case c.LastDue.After(now):
			s.DueAt = Time{Time: c.LastDue}
		}
	}
	if m.Canary > 0 {
		s.Canary = Canary{m.Canary, CanaryReleased}
	}
	if m.Holds() {
		s.Canary.State = CanaryWaiting
		switch {
		case s.AllSucceeded() && !m.Cancelled:
			s.Settled = false // its producer goes on with the others
		case c.Settled() && err == nil:
			s.Canary.State = CanaryHeld
		}
	}
	if s.Settled {
		if s.SettledAt = (Time{Time: c.Changed}); c.Changed.IsZero() {
			s.SettledAt = s.CreatedAt // a batch with no call
		}
	}
	return s, live, err
}

// Batches streams the counts of all batches, the newest first. An error comes last. If
// Unread(err) > 0, it comes after everything that could be read.
func (o *Control) Batches(ctx context.Context) iter.Seq2[Status, error] {
	return each[Status](o.eachBatch).stream(ctx)
}

// batchPlace is a batch's place in the list. It stays the same if another batch is removed meanwhile.
func batchPlace(created time.Time, id string) string {
	return fmt.Sprintf("%015d:%s", created.UnixMilli(), id)
}

// eachBatch lists the batches' counts, the newest first.
func (o *Control) eachBatch(ctx context.Context, after string, yield func(Status) bool) error {
	all, unread := o.batches.List(ctx)
	if !redisconn.Partly(unread) {
		return of(unread, "list of the batches")
	}
	place := func(m ledger.Batch) string { return batchPlace(m.Created, m.ID) }
	slices.SortFunc(all, func(a, b ledger.Batch) int { return strings.Compare(place(b), place(a)) })
	for _, m := range all {
		if after != "" && place(m) >= after {
			continue
		}
		tags, err := o.batches.Tags(ctx, m.ID)
		if err != nil && ctx.Err() == nil { // nobody can tell its buckets now
			unread = errors.Join(unread, redisconn.Unreadable(redisconn.Batches, m.Name, err))
			continue
		}
		var s Status
		if err == nil {
			s, err = o.status(ctx, m, tags)
		}
		if !redisconn.Partly(err) {
			return err
		}
		if err != nil {
			unread = errors.Join(unread, err)
		}
		if !yield(s) {
			break
		}
	}
	return unread
}
