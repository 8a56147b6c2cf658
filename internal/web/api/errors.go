package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
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

func refuse(p guard.Problem, format string, args ...any) error {
	p.Detail = fmt.Sprintf(format, args...)
	return &refusal{p}
}

func refuseField(p guard.Problem, field, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	p.Detail = field + ": " + what
	p.Errors = []guard.ProblemField{{Field: field, Problem: what}}
	return &refusal{p}
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

func (a *API) problemOf(r *http.Request, err error) guard.Problem {
	var (
		said         *refusal
		unknownBatch *control.UnknownBatchError
		unknownCall  *control.UnknownCallError
		unknownChain *control.UnknownChainError
		noSchedule   *control.UnknownScheduleError
		overlap      *control.OverlapError
		call         *engine.CallError
		policy       *ledger.BatchPolicyError
		cancelled    *engine.BatchCancelledError
		old          *engine.OldBatchError
		busy         *engine.BatchBusyError
		canary       *ledger.BatchCanaryError
		other        *engine.ConflictError
	)
	with := func(p guard.Problem, detail string) guard.Problem { p.Detail = detail; return p }
	switch {
	case errors.As(err, &said):
		return said.Problem
	case errors.As(err, &unknownBatch):
		return with(notFound, "there is no batch of this name: GET /v1/batches lists those there are")
	case errors.As(err, &unknownCall):
		return with(notFound, "there is no call of this id")
	case errors.As(err, &unknownChain) && unknownChain.Held:
		return with(conflict, "this chain does not wait for a person: GET /v1/chains?state=held lists those that do")
	case errors.As(err, &unknownChain):
		return with(notFound, "this chain has nothing to do, or there never was one")
	case errors.Is(err, control.ErrChainID):
		return with(notFound, "this is not the id of a chain: GET /v1/chains has them")
	case errors.As(err, &noSchedule):
		return with(notFound, "there is no schedule of this name: GET /v1/schedules lists those there are")
	case errors.As(err, &overlap):
		return with(conflict, "the last run has not settled; overlap=true runs it all the same")
	case errors.As(err, &call):
		p := with(invalid, call.Field+": "+call.Problem)
		p.Errors = []guard.ProblemField{{Field: call.Field, Problem: call.Problem}}
		return p
	case errors.As(err, &cancelled):
		return with(conflict, "this batch was cancelled and takes nothing: POST "+batchPath(cancelled.Batch)+"/reopen lets it take rows again")
	case errors.As(err, &other):
		p := with(conflict, other.Error())
		p.Errors = []guard.ProblemField{{Field: "id", Problem: other.Error()}}
		return p
	case errors.As(err, &old):
		return with(conflict, "this batch was enqueued by an older version, which knew rows by their place: it takes no more; use another name")
	case errors.As(err, &busy):
		return with(conflict, "another request is pruning this batch: ask again when it has ended")
	case errors.As(err, &canary):
		return with(conflict, fmt.Sprintf("the first tokens of this batch (enqueue bulk --canary %d) have not all succeeded: ask again when its canary is released, "+
			"or enqueue the rest all the same with enqueue bulk --canary 0", canary.Have))
	case errors.Is(err, engine.ErrPart):
		return with(invalid, "the body is a part of a file (it has the column problem), which tells nothing of what is missing: prune with the whole file")
	case errors.As(err, &policy):
		return with(conflict, fmt.Sprintf("this batch was enqueued with on_failure=%s, and can't be with %s", policy.Have, policy.Want))
	}
	if p, ok := bodyProblem(err); ok {
		return p
	}
	if p, ok := redisProblem(err); ok {
		a.Log.Warn().Err(err).Str("method", r.Method).Str("path", r.Pattern).Msg("an HTTP request failed")
		return p
	}
	a.Log.Error().Err(err).Str("method", r.Method).Str("path", r.Pattern).Str("who", guard.From(r.Context()).Name).Msg("an HTTP request failed")
	return with(internalProblem, "the worker's log says what; it may help to ask again")
}

// bodyProblem is what went wrong while a body was read.
func bodyProblem(err error) (guard.Problem, bool) {
	var large *http.MaxBytesError
	with := func(p guard.Problem, detail string) (guard.Problem, bool) { p.Detail = detail; return p, true }
	switch {
	case errors.As(err, &large):
		return with(tooLarge, fmt.Sprintf("at most %d bytes", large.Limit))
	case errors.Is(err, errBody) && errors.Is(err, os.ErrDeadlineExceeded):
		return with(timedOut, "no byte of the body came for too long")
	case errors.Is(err, guard.ErrGzip):
		return with(badRequest, "the body is said to be gzip, and that is broken or ended too early")
	case errors.Is(err, errBody):
		return with(badRequest, "the body ended before it was complete")
	}
	return guard.Problem{}, false
}

// errBody marks an error of reading the body.
var errBody = errors.New("body")

// redisProblem is what went wrong with Redis.
func redisProblem(err error) (guard.Problem, bool) {
	var (
		reply    redis.Error
		network  net.Error
		disagree *membership.MismatchError
	)
	with := func(p guard.Problem, detail string) (guard.Problem, bool) { p.Detail = detail; return p, true }
	switch {
	case errors.As(err, &reply) && (strings.HasPrefix(reply.Error(), "OOM") || strings.HasPrefix(reply.Error(), "EXECABORT")):
		return with(redisFull, "no new work is taken until there is room")
	case errors.As(err, &reply):
		return with(redisAway, redisconn.Describe(err))
	case errors.As(err, &disagree):
		return with(redisAway, "this worker's settings disagree with those of others, so it takes nothing")
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, redis.ErrClosed),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, redis.ErrPoolTimeout):
		return with(redisAway, "nothing is known of what was asked for; ask again")
	}
	return guard.Problem{}, false
}
