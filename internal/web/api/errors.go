package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/internal/web/guard"
)

// refusal is an error that is an answer already.
type refusal struct{ guard.Problem }

func (e *refusal) Error() string { return e.Title + ": " + e.Detail }

// The types of problems: their title, and the status that they have.
var (
	badRequest      = guard.Problem{Status: 400, Type: guard.ProblemTypeBase + "malformed", Title: "This can't be read"}
	badParameter    = guard.Problem{Status: 400, Type: guard.ProblemTypeBase + "parameter", Title: "A parameter is wrong"}
	notFound        = guard.Problem{Status: 404, Type: guard.ProblemTypeBase + "not-found", Title: "There is none"}
	timedOut        = guard.Problem{Status: 408, Type: guard.ProblemTypeBase + "timeout", Title: "The body did not come"}
	conflict        = guard.Problem{Status: 409, Type: guard.ProblemTypeBase + "conflict", Title: "It is not in that state"}
	tooLarge        = guard.Problem{Status: 413, Type: guard.ProblemTypeBase + "too-large", Title: "The body is too large"}
	wrongMedia      = guard.Problem{Status: 415, Type: guard.ProblemTypeBase + "media-type", Title: "Not this type of body"}
	invalid         = guard.Problem{Status: 422, Type: guard.ProblemTypeBase + "invalid", Title: "Fields are wrong"}
	keyUsed         = guard.Problem{Status: 422, Type: guard.ProblemTypeBase + "idempotency-key", Title: "This Idempotency-Key was used for something else"}
	redisAway       = guard.Problem{Status: 503, Type: guard.ProblemTypeBase + "redis-away", Title: "Redis does not answer"}
	redisFull       = guard.Problem{Status: 507, Type: guard.ProblemTypeBase + "redis-full", Title: "Redis is full"}
	internalProblem = guard.Problem{Status: 500, Type: guard.ProblemTypeBase + "internal", Title: "A fault of habilita"}
)

func with(p guard.Problem, detail string) guard.Problem { p.Detail = detail; return p }

func ofField(p guard.Problem, field, problem string) guard.Problem {
	p.Detail = field + ": " + problem
	p.Errors = []guard.ProblemField{{Field: field, Problem: problem}}
	return p
}

func refuse(p guard.Problem, format string, args ...any) error {
	return &refusal{with(p, fmt.Sprintf(format, args...))}
}

func refuseField(p guard.Problem, field, format string, args ...any) error {
	return &refusal{ofField(p, field, fmt.Sprintf(format, args...))}
}

// fail answers with what an error means.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := a.problemOf(r, err)
	if p.Status == redisAway.Status {
		w.Header().Set("Retry-After", "5")
	}
	if p.Status == redisFull.Status {
		w.Header().Set("Retry-After", "60")
	}
	guard.WriteProblem(w, r, p)
}

// meaning is what an error means to a caller; the first of meanings that fits is answered.
type meaning struct {
	of     func(error) bool
	is     guard.Problem
	detail string
}

func is[E error](err error) bool { _, ok := errors.AsType[E](err); return ok }

func either(targets ...error) func(error) bool {
	return func(err error) bool {
		return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
	}
}

var meanings = []meaning{
	{either(ledger.BatchGone), conflict, "this batch was deleted after its retention while its rows came: send all rows again, which adds what is missing"},
	{either(ledger.ErrNoBatch), notFound, "there is no batch of this name: GET /v1/batches lists those there are"},
	{either(ledger.ErrNoCall), notFound, "there is no call of this id"},
	{notHeld, conflict, "this chain does not wait for a person: GET /v1/chains?state=held lists those that do"},
	{is[*control.UnknownChainError], notFound, "this chain has nothing to do, or there never was one"},
	{either(control.ErrChainID), notFound, "this is not the id of a chain: GET /v1/chains has them"},
	{either(schedule.ErrNoSchedule), notFound, "there is no schedule of this name: GET /v1/schedules lists those there are"},
	{is[*control.OverlapError], conflict, "the last run has not settled; overlap=true runs it all the same"},
	{either(ledger.BatchOld), conflict, "this batch was enqueued by an older version, which knew rows by their place: it takes no more; use another name"},
	{either(ledger.BatchBusy), conflict, "another request is pruning this batch: ask again when it has ended"},
	{either(engine.ErrPart), invalid, "the body is a part of a file (it has the column problem), which tells nothing of what is missing: prune with the whole file"},
	{stoodStill, timedOut, "no byte of the body came for too long"},
	{either(guard.ErrGzip), badRequest, "the body is said to be gzip, and that is broken or ended too early"},
	{either(errBody), badRequest, "the body ended before it was complete"},
}

// troubles are what goes wrong with Redis. Unlike meanings, they are logged.
var troubles = []meaning{
	{full, redisFull, "no new work is taken until there is room"},
	{is[redis.Error], redisAway, ""}, // Describe says it
	{is[*membership.MismatchError], redisAway, "this worker's settings disagree with those of others, so it takes nothing"},
	{is[net.Error], redisAway, unknownTrouble},
	{either(io.EOF, io.ErrUnexpectedEOF, redis.ErrClosed, redis.ErrPoolTimeout, context.DeadlineExceeded, context.Canceled), redisAway, unknownTrouble},
}

const unknownTrouble = "nothing is known of what was asked for; ask again"

func notHeld(err error) bool {
	e, ok := errors.AsType[*control.UnknownChainError](err)
	return ok && e.Held
}

func stoodStill(err error) bool {
	return errors.Is(err, errBody) && errors.Is(err, os.ErrDeadlineExceeded)
}

func full(err error) bool {
	return redis.HasErrorPrefix(err, "OOM") || redis.HasErrorPrefix(err, "EXECABORT")
}

// errBody marks an error of reading the body.
var errBody = errors.New("body")

func (a *API) problemOf(r *http.Request, err error) guard.Problem {
	if said, ok := errors.AsType[*refusal](err); ok {
		return said.Problem
	}
	if detail := conflictOf(err); detail != "" {
		return with(conflict, detail)
	}
	if call, ok := errors.AsType[*engine.CallError](err); ok {
		return ofField(invalid, call.Field, call.Problem)
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return with(tooLarge, fmt.Sprintf("at most %d bytes", large.Limit))
	}
	if other, ok := errors.AsType[*engine.ConflictError](err); ok {
		p := with(conflict, other.Error())
		p.Errors = []guard.ProblemField{{Field: "id", Problem: other.Error()}}
		return p
	}
	fits := func(m meaning) bool { return m.of(err) }
	if i := slices.IndexFunc(meanings, fits); i >= 0 {
		return with(meanings[i].is, meanings[i].detail)
	}
	line, p := a.Log.Error(), with(internalProblem, "the worker's log says what; it may help to ask again")
	if i := slices.IndexFunc(troubles, fits); i >= 0 {
		line, p = a.Log.Warn(), with(troubles[i].is, cmp.Or(troubles[i].detail, redisconn.Describe(err)))
	}
	line.Err(err).Str("operation", r.Pattern).Str("who", guard.From(r.Context()).Name).Msg("an HTTP request failed")
	return p
}

// conflictOf says of an error what about the batch is in the way; "" for any other.
func conflictOf(err error) string {
	e, ok := errors.AsType[*ledger.BatchError](err)
	switch {
	case !ok:
	case e.Problem == ledger.BatchCancelled:
		return "this batch was cancelled and takes nothing: POST " + batchPath(e.Batch) + "/reopen lets it take rows again"
	case e.Problem == ledger.BatchPolicy:
		return fmt.Sprintf("this batch was enqueued with on_failure=%s, and can't be with %s", e.Have, e.Want)
	case e.Problem == ledger.BatchCanary:
		return fmt.Sprintf("the first tokens of this batch (enqueue bulk --canary %s) have not all succeeded: ask again when its canary is released, "+
			"or enqueue the rest all the same with enqueue bulk --canary 0", e.Have)
	}
	return ""
}
