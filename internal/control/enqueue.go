package control

import (
	"context"
	"errors"

	"habilita/internal/schedule"
)

// EnqueueBatch has enqueue append the rows of a batch, and notes how many calls were new of how many rows, also if it
// failed after some. It is how the batch of a file, a request and a Go program is enqueued.
func (o *Control) EnqueueBatch(ctx context.Context, batch string, enqueue func() (added, rows int, err error)) error {
	added, rows, err := enqueue()
	o.note(ctx, "enqueue", "batch "+batch, Outcome{Count: added, Of: rows, Unit: UnitRow}, err)
	return err
}

// EnqueueCall has enqueue append one call for a server, and notes what a person enqueued with a command, also if it
// failed. id is the call's own; "" is for one that has none and was not enqueued.
//
// What a program enqueues so, over HTTP or in Go, has no entry. Programs enqueue up to thousands of calls a second, one
// by one: each entry would cost Redis a write, and a minute of them would push all that people decided out of the log.
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

// AddSchedule makes a schedule of rows that were written under the revision, or replaces the one of its name. The error
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

// SyncQuota has ask ask the vendor what tokens have used: one, those of a batch, or with neither all. It notes what came
// of it if any question may have reached the vendor.
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
