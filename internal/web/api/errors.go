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
	"strings"

	"github.com/redis/go-redis/v9"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/internal/web/guard"
)

// refusal is an error that already has its answer.
type refusal struct{ guard.Problem }

func (e *refusal) Error() string { return e.Title + ": " + e.Detail }

// The types of problems, with their titles and statuses.
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
	if after := map[int]string{redisAway.Status: "5", redisFull.Status: "60"}[p.Status]; after != "" {
		w.Header().Set("Retry-After", after) // seconds
	}
	guard.WriteProblem(w, r, p)
}

// meaning is what an error means to a caller; ok: it fits the error.
type meaning func(error) (p guard.Problem, ok bool)

// when is the meaning of errors for which fits is true.
func when(fits func(error) bool, is guard.Problem, detail string) meaning {
	return func(err error) (guard.Problem, bool) { return with(is, detail), fits(err) }
}

// told is the meaning of errors of type E; problem makes it from what they hold.
func told[E error](problem func(E) guard.Problem) meaning {
	return func(err error) (p guard.Problem, ok bool) {
		e, ok := errors.AsType[E](err)
		if ok {
			p = problem(e)
		}
		return p, ok
	}
}

// batchProblems say what is in the way of a batch's rows.
var batchProblems = map[ledger.BatchProblem]string{
	ledger.BatchCancelled: "this batch was cancelled and takes nothing: POST PATH/reopen lets it take rows again",
	ledger.BatchPolicy:    "this batch was enqueued with on_failure=HAVE, and can't be with WANT",
	ledger.BatchCanary: "the first tokens of this batch (enqueue bulk --canary HAVE) have not all succeeded: ask again when its canary is released, " +
		"or enqueue the rest all the same with enqueue bulk --canary 0",
	ledger.BatchGone: "this batch was deleted after its retention while its rows came: send all rows again, which adds what is missing",
	ledger.BatchOld:  "this batch was enqueued by an older version, which knew rows by their place: it takes no more; use another name",
	ledger.BatchBusy: "another request is pruning this batch: ask again when it has ended",
}

func ofBatch(err error) (p guard.Problem, ok bool) {
	if e, is := errors.AsType[*ledger.BatchError](err); is {
		p, ok = conflict, batchProblems[e.Problem] != ""
		p.Detail = strings.NewReplacer("PATH", batchPath(e.Batch), "HAVE", e.Have, "WANT", e.Want).Replace(batchProblems[e.Problem])
	}
	return p, ok
}

// meanings are in order: the first that fits is the answer.
var meanings = []meaning{
	told(func(e *refusal) guard.Problem { return e.Problem }),
	ofBatch,
	told(func(e *engine.CallError) guard.Problem { return ofField(invalid, e.Field, e.Problem) }),
	told(func(e *http.MaxBytesError) guard.Problem {
		return with(tooLarge, fmt.Sprintf("at most %d bytes", e.Limit))
	}),
	told(func(e *engine.ConflictError) guard.Problem {
		p := with(conflict, e.Error())
		p.Errors = []guard.ProblemField{{Field: "id", Problem: e.Error()}}
		return p
	}),
	when(redisconn.IsAny(ledger.ErrNoBatch), notFound, "there is no batch of this name: GET /v1/batches lists those there are"),
	when(redisconn.IsAny(ledger.ErrNoCall), notFound, "there is no call of this id"),
	when(redisconn.IsAny(control.ErrNotHeld), conflict, "this chain does not wait for a person: GET /v1/chains?state=held lists those that do"),
	when(redisconn.IsAny(control.ErrNoChain), notFound, "this chain has nothing to do, or there never was one"),
	when(redisconn.IsAny(control.ErrChainID), notFound, "this is not the id of a chain: GET /v1/chains has them"),
	when(redisconn.IsAny(schedule.ErrNoSchedule), notFound, "there is no schedule of this name: GET /v1/schedules lists those there are"),
	when(redisconn.Is[*control.OverlapError], conflict, "the last run has not settled; overlap=true runs it all the same"),
	when(redisconn.IsAny(engine.ErrPart), invalid, "the body is a part of a file (it has the column problem), which does not show what is missing: prune with the whole file"),
	when(func(err error) bool { return errors.Is(err, errBody) && errors.Is(err, os.ErrDeadlineExceeded) }, timedOut, "no byte of the body came for too long"),
	when(redisconn.IsAny(guard.ErrGzip), badRequest, "Content-Encoding is gzip, but the body is not gzip, is damaged or ends too early"),
	when(redisconn.IsAny(errBody), badRequest, "the body ended before it was complete"),
}

// troubles are what goes wrong with Redis. Unlike meanings, they are logged.
var troubles = []meaning{
	when(redisconn.Full, redisFull, "no new work is taken until there is room"),
	when(redisconn.Is[redis.Error], redisAway, ""), // Describe says it
	when(redisconn.Is[*membership.MismatchError], redisAway, "this worker's settings disagree with those of others, so it takes nothing"),
	when(redisconn.Is[net.Error], redisAway, unknownTrouble),
	when(redisconn.IsAny(io.EOF, io.ErrUnexpectedEOF, redis.ErrClosed, redis.ErrPoolTimeout, context.DeadlineExceeded, context.Canceled), redisAway, unknownTrouble),
}

const unknownTrouble = "it is not known whether the request had an effect; ask again"

// errBody marks an error of reading the body.
var errBody = errors.New("body")

func (a *API) problemOf(r *http.Request, err error) guard.Problem {
	for _, means := range meanings {
		if p, ok := means(err); ok {
			return p
		}
	}
	line, p := a.Log.Error(), with(internalProblem, "the worker's log says what; it may help to ask again")
	for _, means := range troubles {
		if trouble, ok := means(err); ok {
			line, p = a.Log.Warn(), trouble
			if p.Detail == unknownTrouble && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
				p.Detail = "what you asked for could not be read; ask again"
			}
			p.Detail = cmp.Or(p.Detail, redisconn.Describe(err))
			break
		}
	}
	line.Err(err).Str("operation", r.Pattern).Str("who", guard.From(r.Context()).Name).Msg("an HTTP request failed")
	return p
}
