package engine

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"habilita/internal/ledger"
)

// A call that is dispatched by its producer is one trace: "enqueue" in the producer, "run" in
// the worker that takes its asynq task, whose headers carry the context, and "enable_module"
// for each attempt. A chain that a worker dispatches begins a trace of its own: what waits in
// the ledger has no context. Where a run goes on with another chain, each of its attempts is
// a trace of its own, linked to the run. Attempts bear the call's id and batch, by which they are
// found. Nothing of a trace is sent to the vendor, and no span bears a token.

// tracer makes spans; the zero tracer makes none, and costs nothing.
type tracer struct{ trace.Tracer }

func newTracer(p trace.TracerProvider) tracer {
	if p == nil {
		return tracer{}
	}
	return tracer{p.Tracer("habilita/tasks")}
}

func (t tracer) off() bool { return t.Tracer == nil }

// begin starts a span; its end is told by calling what it returns.
func (t tracer) begin(ctx context.Context, name string, kind trace.SpanKind) (context.Context, trace.Span) {
	if t.off() {
		return ctx, nil
	}
	return t.Start(ctx, name, trace.WithSpanKind(kind))
}

// beginAttempt starts the span of an attempt. One of another chain than the run was dispatched for
// is a trace of its own, linked to the run: it is no part of what the producer asked for.
func (t tracer) beginAttempt(ctx context.Context, own bool) (context.Context, trace.Span) {
	const name = "enable_module"
	if own || t.off() {
		return t.begin(ctx, name, trace.SpanKindClient)
	}
	return t.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithNewRoot(),
		trace.WithLinks(trace.LinkFromContext(ctx)))
}

// headers are the asynq headers that carry ctx's span; nil for none.
func (t tracer) headers(ctx context.Context) map[string]string {
	if t.off() || !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	h := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, h)
	return h
}

// carried is ctx with the span that a task's headers carry.
func (t tracer) carried(ctx context.Context, headers map[string]string) context.Context {
	if t.off() || len(headers) == 0 {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier(headers))
}

// endEnqueue ends the span of a producer's call.
func endEnqueue(s trace.Span, r Receipt, err error) {
	if s == nil {
		return
	}
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
	if s == nil {
		return
	}
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
	if s == nil {
		return
	}
	s.SetAttributes(attribute.String("habilita.call", a.CallID()), attribute.String("habilita.chain", a.Chain),
		attribute.String("habilita.batch_id", a.Batch), attribute.String("habilita.token_id", a.TokenID()),
		attribute.String("habilita.server", a.Server), attribute.Int("habilita.attempt", a.Number),
		attribute.String("habilita.outcome", j.Name), attribute.String("habilita.code", j.Code))
	if j.Kind != ledger.Done {
		s.SetStatus(codes.Error, j.Err)
	}
	s.End()
}
