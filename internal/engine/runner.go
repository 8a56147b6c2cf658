package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"habilita/internal/breaker"
	"habilita/internal/ledger"
	"habilita/internal/wolkvox"
)

// caller makes one attempt at the vendor.
type caller interface {
	Do(ctx context.Context, op wolkvox.Operation, r wolkvox.Request) (wolkvox.Answer, error)
}

// runner makes the calls of a chain that was dispatched.
type runner struct {
	*stack
	o        WorkerOptions
	vendor   caller
	meter    *meter
	log      zerolog.Logger
	stopping atomic.Bool
	active   atomic.Int64  // runs at work
	budget   time.Duration // of a run while others wait; see budgetOf
	hosts    *hosts
	places   places
	stopped  chan struct{} // closed when the worker takes no more calls
	// recording has room for the outcomes that are on their way to Redis at once, and room is how long one waits.
	recording chan struct{}
	room      time.Duration
	// last ends when outcomes are not recorded any more, some time after requests are cut
	// off. nil: with them.
	last context.Context

	// health knows the vendor's servers that are away.
	health *breaker.Monitor
	pauses breaker.Pauses

	// current reports whether the membership of the processes is known to hold.
	current func() bool
	// crowded reports whether other chains wait for a worker.
	crowded func(ctx context.Context) bool
	// noteDue is told when a bucket needs a dispatch.
	noteDue func(tag string, at time.Time)
	// carry hands a dispatch to asynq.
	publish func(ctx context.Context, f ledger.Dispatch) error
}

// run makes calls of the chain, and where it waits, ends or is held goes on with others
// of its bucket that can run, and with those that wait in this worker for the place that it leaves at
// its server, until there is none or others have their turn.
// An error means that Redis did not answer; the chain is found again by a worker.
func (r *runner) run(ctx context.Context, f ledger.Dispatch) error { return r.runFrom(ctx, f, "") }

// runFrom runs a chain for which a place at a server was taken; "" for none.
func (r *runner) runFrom(ctx context.Context, f ledger.Dispatch, server string) error {
	r.active.Add(1)
	defer r.active.Add(-1)
	// Fails closed: where Redis was away for long, others may have agreed on other limits.
	for !r.current() && !r.stopping.Load() && ctx.Err() == nil {
		wait(ctx, 50*time.Millisecond)
	}
	now := time.Now()
	t := &tour{began: now, turn: now, host: server}
	for {
		if r.stopping.Load() {
			r.giveOn(ctx, t.host)
			return r.putBack(ctx, f)
		}
		if err := r.chain(ctx, f, t); err != nil {
			r.giveOn(ctx, t.host)
			return err
		}
		if t.next == nil {
			return nil
		}
		f, t.next = *t.next, nil
	}
}

// tour is what one run did: the calls of one chain, then of others.
type tour struct {
	began time.Time
	turn  time.Time        // since when nobody was seen to wait for its place
	host  string           // the server at which the run has a place; "" for none
	next  *ledger.Dispatch // the chain that the run goes on with; nil for none
}

// chain makes calls of a chain that was dispatched, and of those that its outcomes lead to.
func (r *runner) chain(ctx context.Context, f ledger.Dispatch, t *tour) error {
	asked := time.Now()
	step, err := r.begin(ctx, f, t.host)
	if err != nil {
		return fmt.Errorf("begin of chain %s: %w", f.Chain, err)
	}
	for step.Status == ledger.Running {
		sent := step.Attempt
		outcome, on := noPlace, ledger.Stop
		moved := r.moveTo(ctx, t, sent.Server)
		if moved {
			outcome = r.attempt(ctx, f.Chain, sent, asked)
			on = r.goOn(ctx, t)
		} else {
			r.unprobed(sent)
		}
		asked = time.Now()
		step, err = r.finish(ctx, sent, outcome, on, t.host)
		if err != nil {
			return fmt.Errorf("outcome of chain %s: %w", f.Chain, err)
		}
		if moved {
			r.recorded(sent, outcome, step.Now)
		}
		r.noteDue(ledger.Tag(f.Chain), step.Due)
		if step.Status == ledger.Running {
			r.meter.handoff.Observe(time.Since(asked).Seconds())
		}
	}
	r.settle(ctx, step)
	r.leave(ctx, t, step)
	return nil
}

// noPlace is the outcome of a grant for a server whose last place another run has taken since the
// grant was asked for.
var noPlace = verdict{ledger.Outcome{Kind: ledger.Busy, Slot: ledger.GiveBack}, outcomeNotSent}

// moveTo takes a place at the server of the run's next call, and gives on the one that it has
// elsewhere; false if there is none.
func (r *runner) moveTo(ctx context.Context, t *tour, server string) bool {
	if t.host == server {
		return true
	}
	if !r.hosts.take(server) {
		return false
	}
	r.giveOn(ctx, t.host)
	t.host = server
	return true
}

// leave ends what a run did for a chain. If the chain waits for a place at its server, it is
// remembered. The run's own place goes to a chain that waits for it.
func (r *runner) leave(ctx context.Context, t *tour, step ledger.Step) {
	if step.Status == ledger.Deferred && step.Reason == ledger.ServerBusy {
		f := ledger.Dispatch{Chain: step.Chain, Number: step.Number}
		switch r.hosts.park(step.Detail, f) {
		case hasPlace:
			r.giveOn(ctx, t.host)
			t.host, t.next = step.Detail, &f
			return
		case parkEnded:
			r.requeue(ctx, f)
		}
	}
	if t.host == "" {
		return
	}
	if r.stopping.Load() || time.Since(t.began) >= runLimit || r.hosts.waits(t.host) && r.crowded(ctx) {
		r.giveOn(ctx, t.host)
		t.host = ""
		return
	}
	if f, waited := r.hosts.leave(t.host); waited {
		t.next = &f
		r.hosts.handed.Done()
		return
	}
	t.host = ""
}

// giveOn leaves the place that a run has at a server, and begins a run of its own for the chain
// that has waited longest for it.
func (r *runner) giveOn(ctx context.Context, server string) {
	if server == "" {
		return
	}
	f, waited := r.hosts.leave(server)
	if !waited {
		return
	}
	go func() {
		defer r.hosts.handed.Done()
		if !r.places.enter(r.stopped) {
			r.giveOn(ctx, server)
			r.requeue(ctx, f)
			return
		}
		defer r.places.leave()
		if err := r.runFrom(ctx, f, server); err != nil {
			r.log.Warn().Err(err).Str("chain", f.Chain).Msg("run failed; the chain comes back by itself")
		}
	}()
}

// requeueWaiting gives the chains that wait for a place at their server to other workers, and waits
// for the runs of those that had just got one.
func (r *runner) requeueWaiting(ctx context.Context) {
	var g errgroup.Group
	g.SetLimit(publishers)
	for _, f := range r.hosts.end() {
		g.Go(func() error {
			r.requeue(ctx, f)
			return nil
		})
	}
	_ = g.Wait()
	r.hosts.handed.Wait()
}

func (r *runner) requeue(ctx context.Context, f ledger.Dispatch) {
	if err := r.putBack(ctx, f); err != nil {
		r.log.Warn().Err(err).Str("chain", f.Chain).Msg("could not give a chain back; it comes back by itself")
	}
}

// goOn says with what a run may go on after the call that it has made.
func (r *runner) goOn(ctx context.Context, t *tour) ledger.GoOn {
	switch {
	case r.stopping.Load() || !r.current() || time.Since(t.began) >= runLimit:
		return ledger.Stop
	case time.Since(t.turn) >= r.budget:
		if r.hosts.waits(t.host) || r.crowded(ctx) {
			return ledger.Stop
		}
		t.turn = time.Now()
	}
	if r.hosts.waits(t.host) {
		return ledger.Own // the next chain is one that waits for this server
	}
	return ledger.Any
}

// settle does what a step that ended a run leaves to be done. All of it is a hint: what
// is lost here is found by the reconciler.
func (r *runner) settle(ctx context.Context, step ledger.Step) {
	id, tag := step.Chain, ledger.Tag(step.Chain)
	switch step.Status {
	case ledger.Deferred:
		r.meter.deferrals.WithLabelValues(step.Reason).Inc()
		r.noteDue(tag, step.Until)
		r.log.Debug().Str("chain", id).Str("reason", step.Reason).Time("until", step.Until).Msg("chain put off")
	case ledger.Waiting:
		r.noteDue(tag, step.Until)
	case ledger.Ready, ledger.Again:
		if err := r.ledger.Signal(ctx, step.Now, tag); err != nil {
			r.log.Warn().Err(err).Str("chain", id).Msg("a ready chain could not be signalled; the reconciler finds it")
		}
	}
}

// putBack returns a chain that was not begun, so that another worker takes it at once.
func (r *runner) putBack(ctx context.Context, f ledger.Dispatch) error {
	put, err := r.ledger.Requeue(ctx, f)
	if err != nil {
		return err
	}
	if put {
		return r.ledger.Signal(ctx, r.clock.Now(), ledger.Tag(f.Chain))
	}
	return nil
}

// attempt makes one request, in a run that was dispatched for the chain dispatched, and judges its answer.
func (r *runner) attempt(ctx context.Context, fed string, a ledger.Attempt, asked time.Time) verdict {
	token, _ := ledger.SplitChainID(a.Chain)
	r.meter.slotsHeld.Inc()
	defer r.meter.slotsHeld.Dec()
	r.meter.quota(a.Used, a.Limit)
	started := time.Now()
	ctx, span := r.tracer.beginAttempt(ctx, a.Chain == fed)
	if r.overtaken(a) {
		j := verdict{ledger.Outcome{Kind: ledger.Late, Slot: ledger.GiveBack, Reason: ReasonNotSent, Err: "not sent: Redis restarted, or another node took over, while the grant was asked for"}, outcomeNotSent}
		r.report(token, a, j, 0)
		r.unprobed(a)
		endAttempt(span, a, j)
		return j
	}
	ans, err := r.send(ctx, token, a, asked)
	now := r.clock.Now()
	j := decideOutcome(ans, err, attemptFacts{
		Now: now, NextDay: r.settings.NextDay(now), Spent: a.Spent, MaxAttempts: r.o.MaxAttempts,
		FirstPushBack: a.FirstPushBack, GiveUpAfter: r.o.GiveUpAfter, Probe: a.Probe,
		BackOff:  backOff(a.Failures+1, r.o.RetryMin, r.o.RetryMax),
		Stopping: ctx.Err() != nil,
	})
	r.meter.refused(err, a.Probe)
	r.observe(ctx, a, asked, err)
	took := time.Since(started)
	r.meter.calls.WithLabelValues(j.Name).Inc()
	r.meter.seconds.Observe(took.Seconds())
	r.report(token, a, j, took)
	endAttempt(span, a, j)
	return j
}

// overtaken reports whether the grant came from a Redis that had restarted while it was
// asked for: its arguments were made before the hold was known, and the client sent them
// again on the new connection. The hold is known by the time of the reply.
func (r *runner) overtaken(a ledger.Attempt) bool {
	return a.LeaseEnds.Add(-r.settings.Lease).UnixMilli() < r.notBefore.Load()
}

func (r *runner) send(ctx context.Context, token string, a ledger.Attempt, asked time.Time) (wolkvox.Answer, error) {
	plain, err := r.keys.Open([]byte(a.Sealed), token)
	if err != nil {
		return wolkvox.Answer{}, &unopenableError{err}
	}
	if err := r.beforeSend(ctx, a); err != nil {
		return wolkvox.Answer{}, err
	}
	return r.vendor.Do(ctx, wolkvox.EnableModule, wolkvox.Request{
		Server: wolkvox.Server(a.Server), Token: plain,
		ID:      fmt.Sprintf("%s.%d", a.CallID(), a.Number),
		WriteBy: asked.Add(r.o.SlotMargin),
	})
}

// report writes the one log line of an attempt; docs/operations.md tells its fields.
func (r *runner) report(token string, a ledger.Attempt, j verdict, took time.Duration) {
	level := zerolog.InfoLevel
	if j.Kind != ledger.Done {
		level = zerolog.WarnLevel
	}
	e := r.log.WithLevel(level)
	if !e.Enabled() {
		return
	}
	e = e.Str("call", a.CallID()).Str("chain", a.Chain).Str("batch", a.Batch).
		Str("token_id", token).Str("server", a.Server).Int("attempt", a.Number).Str("outcome", j.Name).
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

// begin asks for the run's first grant; the run has a place at the server own, if any. Where Redis does not answer it asks again under
// the same nonce: the grant may have been made, and then it is the same one.
func (r *runner) begin(ctx context.Context, f ledger.Dispatch, own string) (ledger.Step, error) {
	nonce := newID()
	var step ledger.Step
	away, probe := r.health.Blocked()
	away += r.hosts.blocked(own)
	err := persist(ctx, 2*time.Second, brokenFor, func() (err error) {
		step, err = r.ledger.Begin(ctx, f, nonce, away)
		if err != nil {
			r.log.Warn().Err(err).Str("chain", f.Chain).Msg("Redis did not take the start of a run; trying again")
		}
		return err
	})
	r.meter.reclaimed.Add(float64(step.Reclaimed))
	r.probing(&step, probe)
	r.handOver(ctx, step, err)
	return step, err
}

// observe tells the state of the vendor's servers what came of a request. One that our
// side did not send, or cut off, or that outlasted a pause of this process, says nothing of
// the server.
func (r *runner) observe(ctx context.Context, a ledger.Attempt, asked time.Time, err error) {
	var (
		notSent    *wolkvox.NotSentError
		refused    *wolkvox.RefusedError
		unopenable *unopenableError
	)
	switch {
	case errors.As(err, &unopenable), errors.As(err, &notSent) && notSent.Late, err != nil && ctx.Err() != nil,
		err != nil && !errors.As(err, &refused) && r.pauses.Since(asked, time.Now()):
		r.unprobed(a)
	case err == nil, errors.As(err, &refused) && refused.Kind != wolkvox.ServerFailure:
		r.health.Observe(a.Server, a.Chain, true, a.ProbesServer)
	default:
		r.health.Observe(a.Server, a.Chain, false, a.ProbesServer)
	}
}

// unprobed gives back the leave to probe a server, of an attempt that told nothing of it.
func (r *runner) unprobed(a ledger.Attempt) {
	if a.ProbesServer {
		r.health.Unused(a.Server)
	}
}

// probing notes that the attempt that was begun probes a server, or gives the leave for
// that back.
func (r *runner) probing(step *ledger.Step, probe string) {
	if probe == "" {
		return
	}
	if step.Status == ledger.Running && step.Attempt.Server == probe {
		step.Attempt.ProbesServer = true
		return
	}
	r.health.Unused(probe)
}

// recordEvery is the longest pause between two tries to record an outcome. It is far below
// the grace that follows a lease (graceOf), so that where Redis refused writes for long, the
// worker that has the outcome comes before whoever would dispatch its chain again.
const recordEvery = 250 * time.Millisecond

// recordRoom is how long an outcome waits for its place among those that are on their way
// (recordings). Then it goes all the same: places may be held by a shard that hangs.
const recordRoom = 100 * time.Millisecond

// finish records the outcome, again and again until Redis takes it or the process ends:
// nothing else may be done with the chain before. What Redis itself calls an error is
// tried until the lease and the grace after it have ended, since then the chain is another's.
func (r *runner) finish(ctx context.Context, a ledger.Attempt, j verdict, on ledger.GoOn, own string) (ledger.Step, error) {
	next := newID()
	var step ledger.Step
	away, probe := r.health.Blocked()
	away += r.hosts.blocked(own)
	lasting := r.lasting(ctx)
	err := persist(lasting, recordEvery, r.settings.Lease+graceOf(r.settings.Lease), func() (err error) {
		defer r.place()()
		step, err = r.ledger.Finish(lasting, a, j.Outcome, on, next, away)
		if err != nil {
			r.log.Warn().Err(err).Str("call", a.CallID()).Msg("outcome not recorded yet; trying again")
		}
		return err
	})
	r.meter.reclaimed.Add(float64(step.Reclaimed))
	r.probing(&step, probe)
	r.handOver(lasting, step, err)
	return step, err
}

// place waits for a place among the outcomes that are on their way to Redis, for room
// at most, and returns what leaves it.
func (r *runner) place() (leave func()) {
	leave = func() { <-r.recording }
	select {
	case r.recording <- struct{}{}:
		return leave
	default:
	}
	t := time.NewTimer(r.room)
	defer t.Stop()
	select {
	case r.recording <- struct{}{}:
		return leave
	case <-t.C:
		return func() {}
	}
}

// lasting is ctx, which ends where requests are cut off, for what may take longer: to record
// what became of them.
func (r *runner) lasting(ctx context.Context) context.Context {
	if r.last == nil {
		return ctx
	}
	return lastingContext{Context: r.last, values: ctx}
}

// lastingContext has the end of one context and the values of another.
type lastingContext struct {
	context.Context
	values context.Context
}

func (c lastingContext) Value(key any) any { return c.values.Value(key) }

// handOver hands the chain that a step dispatched, if it was carried out, to asynq.
func (r *runner) handOver(ctx context.Context, step ledger.Step, failed error) {
	if failed != nil || step.Woken == nil {
		return
	}
	if err := r.publish(ctx, *step.Woken); err != nil {
		r.log.Warn().Err(err).Str("chain", step.Woken.Chain).Msg("a chain could not be published to asynq; it is dispatched again in 10 s")
	}
}

// brokenFor is for how long the beginning of a run is tried that Redis calls an error.
const brokenFor = 500 * time.Millisecond

// persist tries until it succeeds or ctx ends; then it returns the last error. Between two
// tries it waits for longer and longer, up to most. What Redis itself calls an error of the
// command is given up after the time broken: one chain whose state can't be read must not
// hold a worker for ever. It may pass all the same: a Redis that has no connection left says so
// too, and before version 7 it is what any refusal within a script looks like.
func persist(ctx context.Context, most, broken time.Duration, try func() error) error {
	var since time.Time // of the first such error; zero: none
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, most) {
		err := try()
		switch {
		case err == nil || ctx.Err() != nil:
			return err
		case !isBroken(err):
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= broken:
			return err
		}
		wait(ctx, pause)
	}
}

// isBroken tells the answers of Redis by which a command itself has failed. redis.HasErrorPrefix
// can't tell ERR: it takes that away first.
func isBroken(err error) bool {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return false
	}
	code, _, _ := strings.Cut(answer.Error(), " ")
	return code == "ERR" || code == "WRONGTYPE"
}
