package engine

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/wolkvox"
)

// caller makes one attempt at the vendor.
type caller interface {
	Do(ctx context.Context, op wolkvox.Operation, r *wolkvox.Request) (wolkvox.Answer, error)
}

// attempt makes one request and decides what its answer means. The run was dispatched for the chain dispatched.
func (r *runner) attempt(ctx context.Context, dispatched string, a *ledger.Attempt, asked time.Time) *verdict {
	r.meter.slotsHeld.Inc()
	defer r.meter.slotsHeld.Dec()
	r.meter.quota(a.Used, a.Limit)
	started := time.Now()
	ctx, span := beginAttempt(ctx, r.tracer, a.Chain == dispatched)
	if r.overtaken(a) {
		j := &verdict{ledger.Outcome{Kind: ledger.Late, Slot: ledger.GiveBack, Reason: ledger.ReasonNotSent, Err: "not sent: Redis restarted, or another node took over, while the grant was asked for"}, outcomeNotSent}
		r.report(a, j, 0)
		r.unprobed(a)
		endAttempt(span, a, j)
		return j
	}
	ans, err := r.send(ctx, a, asked)
	j := r.decide(ctx, a, ans, err)
	r.meter.refused(err, a.Probe)
	r.observe(ctx, a, asked, err)
	took := time.Since(started)
	r.meter.calls.WithLabelValues(j.Name).Inc()
	r.meter.seconds.Observe(took.Seconds())
	r.report(a, j, took)
	endAttempt(span, a, j)
	return j
}

// decide says what an answer or an error means.
func (r *runner) decide(ctx context.Context, a *ledger.Attempt, ans wolkvox.Answer, err error) *verdict {
	now := r.clock.Now()
	j := decideOutcome(ans, err, attemptFacts{
		Now: now, NextDay: r.settings.NextDay(now), Spent: a.Spent, MaxAttempts: r.o.MaxAttempts,
		FirstPushBack: a.FirstPushBack, GiveUpAfter: r.o.GiveUpAfter, Probe: a.Probe,
		BackOff:  backOff(a.Failures+1, r.o.RetryMin, r.o.RetryMax),
		Stopping: ctx.Err() != nil,
	})
	return &j
}

// overtaken reports whether Redis restarted, or another node took over, while the grant was
// asked for. The grant's arguments were made before the freeze was known, and the client sent
// them again on the new connection. By the time of the reply, the freeze is known.
func (r *runner) overtaken(a *ledger.Attempt) bool {
	return r.doubt.Load() > 0 || r.granted(a).UnixMilli() < r.notBefore.Load()
}

func (r *runner) send(ctx context.Context, a *ledger.Attempt, asked time.Time) (wolkvox.Answer, error) {
	req, err := r.request(ctx, a, asked)
	if err != nil {
		return wolkvox.Answer{}, err
	}
	return r.vendor.Do(ctx, wolkvox.EnableModule, req)
}

// request makes a request. It is separate from send to keep send's stack frame small while it waits for the vendor.
func (r *runner) request(ctx context.Context, a *ledger.Attempt, asked time.Time) (*wolkvox.Request, error) {
	plain, err := r.keys.Open([]byte(a.Sealed), a.TokenID())
	if err != nil {
		return nil, &unopenableError{err}
	}
	if err := r.beforeSend(ctx, a); err != nil {
		return nil, err
	}
	return &wolkvox.Request{
		Server: wolkvox.Server(a.Server), Token: plain,
		ID:      a.CallID() + "." + strconv.Itoa(a.Number),
		WriteBy: asked.Add(r.o.SlotMargin),
	}, nil
}

// report writes the one log line of an attempt; docs/monitoring.md lists its fields.
func (r *runner) report(a *ledger.Attempt, j *verdict, took time.Duration) {
	level := zerolog.InfoLevel
	if j.Kind != ledger.Done {
		level = zerolog.WarnLevel
	}
	e := r.log.WithLevel(level)
	if !e.Enabled() {
		return
	}
	e = e.Str("call", a.CallID()).Str("chain", a.Chain).Str("batch", a.Batch).
		Str("token_id", a.TokenID()).Str("server", a.Server).Int("attempt", a.Number).Str("outcome", j.Name).
		Int64("took_ms", took.Milliseconds()).Int64("age_ms", r.clock.Now().Sub(a.Enqueued).Milliseconds())
	if j.Code != "" {
		e = e.Str("code", j.Code)
	}
	if j.Err != "" {
		e = e.Str("error", j.Err)
	}
	switch j.Kind {
	case ledger.Done:
		e.Msg("call succeeded")
	case ledger.GiveUp:
		e.Msg("call given up")
	default:
		e.Int64("retry_in_ms", j.Delay.Milliseconds()).Msg("call comes back")
	}
}

// observe tells the breakers how a request ended. A request says nothing about the server if
// our side did not send it or cut it off, or if it lasted through a pause of this process.
func (r *runner) observe(ctx context.Context, a *ledger.Attempt, asked time.Time, err error) {
	notSent, isNotSent := errors.AsType[*wolkvox.NotSentError](err)
	refused, isRefused := errors.AsType[*wolkvox.RefusedError](err)
	switch {
	case redisconn.Is[*unopenableError](err), isNotSent && notSent.Late, err != nil && ctx.Err() != nil,
		err != nil && !isRefused && r.pauses.since(asked, time.Now()):
		r.unprobed(a)
	case err == nil, isRefused && refused.Kind != wolkvox.ServerFailure:
		r.breakers.Observe(a.Server, a.Chain, true, a.ProbesServer)
	default:
		r.breakers.Observe(a.Server, a.Chain, false, a.ProbesServer)
	}
}

// unprobed gives back the permission to probe a server, after an attempt that said nothing about it.
func (r *runner) unprobed(a *ledger.Attempt) {
	if a.ProbesServer {
		r.breakers.Unused(a.Server)
	}
}

// probing notes that the new attempt probes a server. If it does not, probing gives the
// permission back.
func (r *runner) probing(step *ledger.Step, probe string) {
	if probe == "" {
		return
	}
	if step.Status == ledger.Running && step.Attempt.Server == probe {
		step.Attempt.ProbesServer = true
		return
	}
	r.breakers.Unused(probe)
}

// Recorded is an attempt's outcome that the ledger has, or that it refused because another attempt followed.
type Recorded struct {
	*ledger.Attempt
	ledger.Outcome
	At      time.Time // by the clock of Redis
	RetryAt time.Time // when the call comes back, at the earliest; zero: it does not
}

// notSentError says that WorkerOptions.BeforeSend refused a request.
type notSentError struct{ cause error }

func (e *notSentError) Error() string { return "not sent: " + e.cause.Error() }
func (e *notSentError) Unwrap() error { return e.cause }

// hooked has, by chain, the last attempt that BeforeSend was called for, until AfterOutcome has returned for it.
type hooked struct{ last sync.Map }

type hookedAttempt struct {
	nonce     string
	leaseEnds time.Time
	outcome   chan struct{} // closed when AfterOutcome has returned
}

// previous waits until AfterOutcome has returned for the chain's previous attempt. The ledger has the
// outcome before that, so another run may begin the next call already. If the ledger never gets the
// outcome, previous waits until the attempt's lease ends.
func (t *hooked) previous(ctx context.Context, chain string, now time.Time) {
	v, ok := t.last.Load(chain)
	if !ok {
		return
	}
	last := v.(*hookedAttempt)
	select {
	case <-last.outcome:
	case <-time.After(last.leaseEnds.Sub(now)):
	case <-ctx.Done():
	}
}

func (t *hooked) begun(a *ledger.Attempt) {
	t.last.Store(a.Chain, &hookedAttempt{a.Nonce, a.LeaseEnds, make(chan struct{})})
}

func (t *hooked) ended(a *ledger.Attempt) {
	if v, ok := t.last.Load(a.Chain); ok && v.(*hookedAttempt).nonce == a.Nonce {
		close(v.(*hookedAttempt).outcome)
		t.last.CompareAndDelete(a.Chain, v)
	}
}

// beforeSend calls the hook, if there is one.
func (r *runner) beforeSend(ctx context.Context, a *ledger.Attempt) error {
	if r.o.BeforeSend == nil {
		return nil
	}
	if r.o.AfterOutcome != nil {
		r.hooked.previous(ctx, a.Chain, r.clock.Now())
		r.hooked.begun(a)
	}
	if err := r.o.BeforeSend(ctx, a, r.granted(a)); err != nil {
		return &notSentError{err}
	}
	return nil
}

// granted is when an attempt was granted, by the clock of Redis.
func (r *runner) granted(a *ledger.Attempt) time.Time { return a.LeaseEnds.Add(-r.settings.Lease) }

// recorded calls the AfterOutcome hook, if there is one.
func (r *runner) recorded(a *ledger.Attempt, j *verdict, at time.Time) {
	if r.o.AfterOutcome == nil {
		return
	}
	defer r.hooked.ended(a)
	rec := Recorded{Attempt: a, Outcome: j.Outcome, At: at}
	if j.Kind != ledger.Done && j.Kind != ledger.GiveUp {
		rec.RetryAt = at.Add(j.Delay)
		if j.Slot == ledger.Keep && a.LeaseEnds.After(rec.RetryAt) {
			rec.RetryAt = a.LeaseEnds
		}
	}
	r.o.AfterOutcome(rec)
}
