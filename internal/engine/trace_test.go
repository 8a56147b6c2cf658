package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"habilita/internal/ledger"
	"habilita/internal/testkit/redistest"
)

// A single call is one trace from its producer through asynq to the attempt, and no span
// has its token.
func TestOneTraceFromTheProducerToTheAttempt(t *testing.T) {
	t.Parallel()
	const token = "secret-token-of-a-trace"
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	addr, key := redistest.Mini(t).Addr(), testKey(t)
	w := openWorld(t, "redis://"+addr, key, func(o *WorkerOptions) { o.Tracer = provider })
	running, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(running) }()
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = rdb.Close() }()
	p, err := NewProducer(t.Context(), rdb, Options{Keys: key, Tracer: provider})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	ctx, asked := provider.Tracer("caller").Start(t.Context(), "caller")
	receipt, err := p.Enqueue(ctx, Call{Server: "1", Token: token, ID: "traced"})
	if err != nil {
		t.Fatal(err)
	}
	asked.End()
	w.made("the call")
	stop() // a run's span ends with it
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	byName := map[string]tracetest.SpanStub{}
	for _, s := range spans.GetSpans() {
		byName[s.Name] = s
		if text := fmt.Sprintf("%+v", s); strings.Contains(text, token) {
			t.Errorf("a span holds the token: %s", text)
		}
	}
	parent := asked.SpanContext()
	for _, name := range []string{"enqueue", "run", "enable_module"} {
		s, ok := byName[name]
		if !ok {
			t.Fatalf("no span %s among %v", name, byName)
		}
		if s.Parent.SpanID() != parent.SpanID() || s.SpanContext.TraceID() != parent.TraceID() {
			t.Errorf("%s is not of the span before it", name)
		}
		parent = s.SpanContext
	}
	if got := fmt.Sprint(byName["enable_module"].Attributes); !strings.Contains(got, "traced") || !strings.Contains(got, receipt.TokenID) ||
		!strings.Contains(got, outcomeSucceeded) {
		t.Errorf("attributes %s", got)
	}
}

// If a run goes on with other chains, their attempts are not in the trace of the call that
// it was dispatched for, but are linked to it.
func TestOtherChainsOfARunAreTracesOfTheirOwn(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	addr, key := redistest.Mini(t).Addr(), testKey(t)
	w := openWorld(t, "redis://"+addr, key, func(o *WorkerOptions) { o.Tracer, o.Concurrency = provider, 1 })
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer func() { _ = rdb.Close() }()
	p, err := NewProducer(t.Context(), rdb, Options{Keys: key, Tracer: provider})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	receipt, err := p.Enqueue(t.Context(), Call{Server: "1", Token: "asked-for", ID: "traced"})
	if err != nil {
		t.Fatal(err)
	}
	other := "other-0"
	for i := 1; ledger.Tag(p.TokenID(Token(other))) != ledger.Tag(receipt.Chain); i++ {
		other = fmt.Sprint("other-", i)
	}
	otherChain := w.append(other, "beside")
	// However slow the machine is, the run goes on, and nobody else dispatches the other chain meanwhile.
	w.runner.budget = time.Hour
	w.dispatcher.places = -1000
	running, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(running) }()
	w.made("the call")
	w.made("the other call")
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	var run trace.SpanContext
	attempts := map[string]tracetest.SpanStub{} // by chain
	for _, s := range spans.GetSpans() {
		switch s.Name {
		case "run":
			if run.IsValid() {
				t.Fatal("two runs: nothing is shown")
			}
			run = s.SpanContext
		case "enable_module":
			for _, a := range s.Attributes {
				if a.Key == "habilita.chain" {
					attempts[a.Value.AsString()] = s
				}
			}
		}
	}
	if own := attempts[receipt.Chain]; own.Parent.SpanID() != run.SpanID() {
		t.Errorf("the call's attempt is not of its run: %+v", own)
	}
	beside := attempts[otherChain]
	if beside.SpanContext.TraceID() == run.TraceID() || beside.Parent.IsValid() {
		t.Error("another chain's attempt is in the call's trace")
	}
	if len(beside.Links) != 1 || beside.Links[0].SpanContext.SpanID() != run.SpanID() {
		t.Errorf("links %+v", beside.Links)
	}
}

// Without a provider a task has no headers, and nothing is recorded, whatever span its caller has.
func TestNoTraceWithoutAProvider(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: redistest.Mini(t).Addr()})
	defer func() { _ = rdb.Close() }()
	p, err := NewProducer(t.Context(), rdb, Options{Keys: testKey(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}))
	if _, err := p.Enqueue(ctx, Call{Server: "1", Token: "one-token"}); err != nil {
		t.Fatal(err)
	}
	tasks, err := asynq.NewInspectorFromRedisClient(rdb).ListPendingTasks("habilita")
	if err != nil || len(tasks) != 1 || len(tasks[0].Headers) != 0 {
		t.Errorf("%+v, %v", tasks, err)
	}
	if _, s := p.tracer.Start(ctx, "run"); s.IsRecording() {
		t.Error("a span is recorded")
	}
}
