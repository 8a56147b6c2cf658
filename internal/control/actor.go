package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"habilita/internal/breaker"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
)

// Unknown is the name of an actor who gave none.
const Unknown = "unknown"

// Actor is who decides, and by which way. The audit log names both.
type Actor struct {
	// Who is the name of a key, "local", or for the CLI the user and machine; "" is Unknown.
	Who string
	// Via is one of the Bys; "" is ByGo.
	Via string
	// Told is called with each entry, and with the error if it could not be written. The
	// decision stands all the same. Told may be nil.
	Told func(AuditEntry, error)
}

type actorKey struct{}

// WithActor returns a context in which the actor decides.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ThisUser is the user and machine of this process, as Actor.Who has them.
func ThisUser() string {
	name := Unknown
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// auditTimeout is how long writing an entry of the audit log may take.
const auditTimeout = 8 * time.Second

// actor is who decides in a context.
func actor(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	a.Who, a.Via = cmp.Or(a.Who, Unknown), cmp.Or(a.Via, ByGo)
	return a
}

// note writes to the audit log what the context's Actor did, even if the context has ended
// meanwhile. failed is why it failed. If the target does not exist, there is no entry.
func (o *Control) note(ctx context.Context, action, target string, came Outcome, failed error) {
	if unknown(failed) {
		return
	}
	came.Ended = cmp.Or(came.Ended, EndedDone)
	came.Unread, failed = SplitUnread(failed) // decided about the rest
	if failed != nil {
		came.Ended = EndedFailed
	}
	result := came.words()
	switch {
	case failed != nil && result != "":
		result = fmt.Sprintf("failed after %s: %v", result, failed)
	case failed != nil:
		result = fmt.Sprintf("failed: %v", failed)
	}
	a := actor(ctx)
	e := AuditEntry{Who: a.Who, Via: a.Via, Action: action, Target: target, Result: result, Outcome: came}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	e, err := o.audit.Append(ctx, e)
	if a.Told != nil {
		a.Told(e, err)
	}
}

// unknown reports whether the target of a decision does not exist, or can't, so that nothing was
// decided.
func unknown(err error) bool {
	return redisconn.Is[*UnknownError](err) || redisconn.Is[*SelectionError](err) ||
		errors.Is(err, ErrChainID) || errors.Is(err, breaker.ErrUnknownServer)
}

// noted checks the selection, calls act with it, and notes the number that act returns, as a count of units.
func (o *Control) noted(ctx context.Context, action, unit string, s Selection, act func(context.Context, Selection) (int, error)) (int, error) {
	s, err := s.Check()
	if err != nil {
		return 0, err
	}
	n, err := act(ctx, s)
	o.note(ctx, action, s.String(), Outcome{Count: n, Unit: unit}, err)
	return n, err
}

// AuditLog returns the log to which decisions are written.
func (o *Control) AuditLog() *AuditLog { return o.audit }

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
