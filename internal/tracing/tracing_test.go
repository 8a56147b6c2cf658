package tracing

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func fail(t *testing.T) func(error) {
	return func(err error) { t.Errorf("warned of %v", err) }
}

func TestOffWithoutAnEndpoint(t *testing.T) {
	p, stop, err := Start(t.Context(), "habilita-test", Patience, env("OTEL_SERVICE_NAME", "x"), fail(t))
	if p != nil || err != nil {
		t.Errorf("%v, %v", p, err)
	}
	stop()
}

// A text that is no address is refused with the name of its variable: the library would send elsewhere.
func TestEndpointThatIsNone(t *testing.T) {
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		for _, bad := range []string{"127.0.0.1:4318", "collector:4318", "localhost", "grpc://127.0.0.1:4317", "http://", "/v1/traces"} {
			p, stop, err := Start(t.Context(), "habilita-test", Patience, env(variable, bad), fail(t))
			if p != nil || err == nil || !strings.HasPrefix(err.Error(), variable+": want an address") {
				t.Errorf("%s=%s: %v, %v", variable, bad, p, err)
			}
			stop()
		}
	}
}

// Spans arrive at the collector under the service's name, at the latest at the end.
func TestSpansAreSent(t *testing.T) {
	got := make(chan *collector.ExportTraceServiceRequest, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var sent collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &sent)
		}
		if err != nil || r.URL.Path != "/base/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		got <- &sent
	}))
	defer srv.Close()
	p, stop, err := Start(t.Context(), "habilita-test", Patience, env("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL+"/base/"), fail(t))
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracer("t").Start(context.Background(), "a span")
	span.End()
	stop()
	select {
	case sent := <-got:
		if text := sent.String(); !strings.Contains(text, "habilita-test") || !strings.Contains(text, "a span") {
			t.Error(text)
		}
	default:
		t.Error("nothing was sent by the end")
	}
}

// If no collector is there, warn gets one error, and the end is bounded.
func TestCollectorAway(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	warnings := 0
	p, stop, err := Start(t.Context(), "habilita-test", Patience, env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", srv.URL+"/v1/traces"), func(error) { warnings++ })
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, span := p.Tracer("t").Start(context.Background(), "a span")
		span.End()
	}
	stop()
	if warnings != 1 {
		t.Errorf("warned %d times", warnings)
	}
}

// A command that ends does not wait for a collector that does not answer.
func TestCollectorThatHangs(t *testing.T) {
	ended := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-ended }))
	defer srv.Close()
	defer close(ended)
	warnings := 0
	p, stop, err := Start(t.Context(), "habilita-test", CommandPatience, env("OTEL_EXPORTER_OTLP_ENDPOINT", srv.URL), func(error) { warnings++ })
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracer("t").Start(context.Background(), "a span")
	span.End()
	began := time.Now()
	stop()
	if took := time.Since(began); took > Patience || warnings != 1 {
		t.Errorf("the end took %s, warned %d times", took, warnings)
	}
}
