// Package tracing sends spans to an OpenTelemetry collector, for the commands. It is off,
// and costs nothing, unless the standard variables name an endpoint:
//
//	OTEL_EXPORTER_OTLP_ENDPOINT          base address; spans go to its /v1/traces
//	OTEL_EXPORTER_OTLP_TRACES_ENDPOINT   the whole address; stands above the other
//	OTEL_EXPORTER_OTLP_HEADERS           such as authorization=..., as the library reads it
//	OTEL_SERVICE_NAME                    instead of the command's own name
//
// Spans go out in batches, over HTTP, in the background. If the collector does not answer, warn is told
// once, and the command carries on: spans that find no room are dropped.
package tracing

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
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

// Patience is how long a process that served for long waits for the collector at its end.
// A command waits for CommandPatience, which nobody notices: it sends its spans while it still
// works, so a collector that lives has mostly answered by then.
const (
	Patience        = 2 * time.Second
	CommandPatience = 40 * time.Millisecond
	// commandBatch is how long a command gathers spans before it sends them.
	commandBatch = 10 * time.Millisecond
)

// Start starts sending spans of a service if getenv names an endpoint; if not, the provider is
// nil. An endpoint that is no address is an error. stop sends what is left, within
// patience, and is never nil. warn gets the first failure to send.
func Start(ctx context.Context, service string, patience time.Duration, getenv func(string) string, warn func(error)) (_ trace.TracerProvider, stop func(), err error) {
	variable, endpoint := endpointOf(getenv)
	if endpoint == "" {
		return nil, func() {}, nil
	}
	// The library would send to another address instead. The address is not repeated: it may hold a password.
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, func() {}, fmt.Errorf("%s: want an address such as http://127.0.0.1:4318", variable)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint),
		// Spans that can't be sent are lost: nobody waits for a collector that is not there.
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}), otlptracehttp.WithTimeout(Patience))
	if err != nil {
		return nil, func() {}, fmt.Errorf("%s: %w", variable, err)
	}
	service = cmp.Or(getenv("OTEL_SERVICE_NAME"), service)
	gather := sdktrace.DefaultScheduleDelay * time.Millisecond
	if patience < Patience {
		gather = commandBatch
	}
	var once sync.Once
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { once.Do(func() { warn(err) }) }))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(gather)),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service))),
	)
	return provider, func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			once.Do(func() { warn(err) })
		}
	}, nil
}

// endpointOf returns the address that spans go to, and the variable that names it.
func endpointOf(getenv func(string) string) (variable, endpoint string) {
	const whole, base = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
	if address := strings.TrimSpace(getenv(whole)); address != "" {
		return whole, address
	}
	address := strings.TrimSpace(getenv(base))
	if address == "" {
		return base, ""
	}
	return base, strings.TrimRight(address, "/") + "/v1/traces"
}
