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
