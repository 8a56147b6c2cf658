package control

import (
	"context"
	"errors"

	"habilita/internal/schedule"
)

// EnqueueBatch calls enqueue to append the rows of a batch, and notes the counts that it returns (Count, Of, Pruned and
// Replaced), even if it failed after some. The batches of files, requests and Go programs are all enqueued this way.
func (o *Control) EnqueueBatch(ctx context.Context, batch string, enqueue func() (Outcome, error)) error {
	came, err := enqueue()
	came.Unit = UnitRow
	o.note(ctx, "enqueue", "batch "+batch, came, err)
	return err
}

// EnqueueCall calls enqueue to append one call for a server, and notes what a person enqueued with a command, even if that
// failed. id is the call's own; it is "" for a call that has none and was not enqueued.
//
// A call that a program enqueues, over HTTP or in Go, has no entry. Programs enqueue up to thousands of calls a second, one
// by one. Each entry would cost Redis a write, and a minute of them would push all that people decided out of the log.
// The record of each call says when it came and what became of it.
func (o *Control) EnqueueCall(ctx context.Context, server string, enqueue func() (id, chain string, err error)) error {
	id, chain, err := enqueue()
	if actor(ctx).Via != ByCLI {
		return err
	}
	target, came := "call "+id, Outcome{}
	if id == "" {
		target = "server " + server
	}
	if err == nil {
		came.Place = "chain " + chain
	}
	o.note(ctx, "enqueue", target, came, err)
	return err
}

// AddSchedule makes a schedule from rows that were written under the revision, or replaces the one of its name. The error
// is schedule.ErrExists if there is one and replace is not set.
func (o *Control) AddSchedule(ctx context.Context, d schedule.Definition, rows int, revision string, replace bool) error {
	err := o.schedules.Put(ctx, d, rows, revision, replace)
	came := Outcome{Count: rows, Unit: UnitRow}
	if err != nil {
		came = Outcome{}
	}
	if !errors.Is(err, schedule.ErrExists) { // nothing was decided
		o.note(ctx, "schedule add", "schedule "+d.Name, came, err)
	}
	return err
}

// QuotaAsked is how many tokens the vendor was asked about.
type QuotaAsked struct {
	Sent          int // questions that may have reached the vendor
	Asked, Failed int // tokens
	Raised        int // counts of ours
}

// SyncQuota calls ask, which asks the vendor what tokens have used: tokenID, those of a batch, or with neither all. It
// notes the result if any question may have reached the vendor.
func (o *Control) SyncQuota(ctx context.Context, tokenID, batch string, ask func() (QuotaAsked, error)) error {
	n, err := ask()
	target := "all tokens"
	switch {
	case tokenID != "":
		target = "token " + tokenID
	case batch != "":
		target = "batch " + batch
	}
	if n.Sent > 0 {
		o.note(ctx, "sync", target, Outcome{Count: n.Raised, Of: n.Asked, Unit: UnitToken, Failed: n.Failed}, err)
	}
	return err
}
