package engine

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"habilita/internal/ledger"
)

// A call that its producer dispatches is one trace: "enqueue" in the producer, "run" in the
// worker that takes its asynq task, and "enable_module" for each attempt. The task's headers
// carry the context. A chain that a worker dispatches begins a trace of its own: what waits in
// the ledger has no context. If a run goes on with another chain, each of its attempts is a
// trace of its own, linked to the run. Attempts have the call's id and batch, by which they can
// be found. Nothing of a trace is sent to the vendor, and no span has a token.

// newTracer makes spans with a provider; nil: it makes none.
func newTracer(p trace.TracerProvider) trace.Tracer {
	if p == nil {
		p = noop.NewTracerProvider()
	}
	return p.Tracer("habilita/tasks")
}

// beginAttempt starts the span of an attempt. If its chain is not the one that the run was dispatched
// for, it is a trace of its own, linked to the run: it is no part of what the producer asked for.
func beginAttempt(ctx context.Context, t trace.Tracer, own bool) (context.Context, trace.Span) {
	o := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}
	if !own {
		o = append(o, trace.WithNewRoot(), trace.WithLinks(trace.LinkFromContext(ctx)))
	}
	return t.Start(ctx, "enable_module", o...)
}

// headers are the asynq headers that carry ctx's span.
func headers(ctx context.Context) map[string]string {
	h := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, h)
	return h
}

// endEnqueue ends the span of a producer's call.
func endEnqueue(s trace.Span, r Receipt, err error) {
	if err != nil {
		s.SetStatus(codes.Error, "not enqueued") // the error's text is the caller's
	} else {
		s.SetAttributes(attribute.String("habilita.call", r.ID), attribute.String("habilita.chain", r.Chain),
			attribute.String("habilita.batch", r.Batch), attribute.String("habilita.token_id", r.TokenID),
			attribute.Bool("habilita.duplicate", r.Duplicate))
	}
	s.End()
}

// endBatch ends the span of a batch.
func endBatch(s trace.Span, sum Summary, err error) {
	if err != nil {
		s.SetStatus(codes.Error, "not enqueued whole")
	}
	s.SetAttributes(attribute.String("habilita.batch", sum.Batch), attribute.Int("habilita.rows", sum.Rows),
		attribute.Int("habilita.enqueued", sum.Enqueued), attribute.Int("habilita.duplicates", sum.Duplicates),
		attribute.Int("habilita.rejected", sum.Rejected))
	s.End()
}

// endAttempt ends the span of an attempt.
func endAttempt(s trace.Span, a *ledger.Attempt, j *verdict) {
	defer s.End()
	if !s.IsRecording() {
		return
	}
	s.SetAttributes(attribute.String("habilita.call", a.CallID()), attribute.String("habilita.chain", a.Chain),
		attribute.String("habilita.batch_id", a.Batch), attribute.String("habilita.token_id", a.TokenID()),
		attribute.String("habilita.server", a.Server), attribute.Int("habilita.attempt", a.Number),
		attribute.String("habilita.outcome", j.Name), attribute.String("habilita.code", j.Code))
	if j.Kind != ledger.Done {
		s.SetStatus(codes.Error, j.Err)
	}
}
