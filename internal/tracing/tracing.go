// Package tracing sends spans to an OpenTelemetry collector, for the commands. It is off,
// and costs nothing, unless the standard variables name an endpoint:
//
//	OTEL_EXPORTER_OTLP_ENDPOINT          base address; spans go to its /v1/traces
//	OTEL_EXPORTER_OTLP_TRACES_ENDPOINT   the whole address; stands above the other
//	OTEL_EXPORTER_OTLP_HEADERS           such as authorization=..., as the library reads it
//	OTEL_SERVICE_NAME                    instead of the command's own name
//
// Spans go out in batches, over HTTP, in the background. A collector that does not answer
// is told of once, and holds nothing up: spans that find no room are dropped.
package tracing

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// flushTimeout bounds the sending of what is left at the end.
const flushTimeout = 2 * time.Second

// Start starts sending spans of a service where getenv names an endpoint. The provider is
// nil where it does not. stop sends what is left, within 2 s, and is never nil. warn is told
// the first failure to send.
func Start(ctx context.Context, service string, getenv func(string) string, warn func(error)) (_ trace.TracerProvider, stop func(), err error) {
	endpoint := endpointOf(getenv)
	if endpoint == "" {
		return nil, func() {}, nil
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, func() {}, fmt.Errorf("OTEL_EXPORTER_OTLP_ENDPOINT: %w", err)
	}
	if name := getenv("OTEL_SERVICE_NAME"); name != "" {
		service = name
	}
	var once sync.Once
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { once.Do(func() { warn(err) }) }))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service))),
	)
	return provider, func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			once.Do(func() { warn(err) })
		}
	}, nil
}

func endpointOf(getenv func(string) string) string {
	if whole := strings.TrimSpace(getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")); whole != "" {
		return whole
	}
	base := strings.TrimRight(strings.TrimSpace(getenv("OTEL_EXPORTER_OTLP_ENDPOINT")), "/")
	if base == "" {
		return ""
	}
	return base + "/v1/traces"
}
