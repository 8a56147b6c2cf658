package wolkvoxtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"habilita/internal/testkit/wolkvoxtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const enablePath = "/api/v2/configuration.php?api=enable_module"

// vendor is a simulator with a raw HTTP client that follows no redirects.
type vendor struct {
	*wolkvoxtest.Server
	t      *testing.T
	client *http.Client
}

func start(t *testing.T, opts wolkvoxtest.Options) vendor {
	t.Helper()
	transport := &http.Transport{}
	v := vendor{t: t, client: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	v.Server = wolkvoxtest.Start(t, opts)
	t.Cleanup(transport.CloseIdleConnections)
	return v
}

func (v vendor) url(server, path string) string {
	return strings.ReplaceAll(v.URL, "{server}", server) + path
}

// got is what a raw client sees of an answer.
type got struct {
	status int
	header http.Header
	body   []byte
	err    error // of the request or of reading the body
}

func (g got) msg(t *testing.T) string {
	t.Helper()
	var env struct {
		Code  any
		Error any
		Msg   string
	}
	if err := json.Unmarshal(g.body, &env); err != nil {
		t.Fatalf("answer %q: %v", g.body, err)
	}
	return env.Msg
}

func (v vendor) send(ctx context.Context, method, url, token, id string) got {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		v.t.Error(err)
		return got{err: err}
	}
	if token != "" {
		req.Header.Set("wolkvox-token", token)
	}
	if id != "" {
		req.Header.Set("X-Request-ID", id)
	}
	return v.do(req)
}

func (v vendor) do(req *http.Request) got {
	resp, err := v.client.Do(req)
	if err != nil {
		return got{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return got{resp.StatusCode, resp.Header, body, err}
}

// enable makes one enable_module request on server 0001.
func (v vendor) enable(token, id string) got {
	return v.send(context.Background(), http.MethodPut, v.url("0001", enablePath), token, id)
}

// enableAsync makes one in the background; the channel gets its answer.
func (v vendor) enableAsync(ctx context.Context, server, token, id string) <-chan got {
	c := make(chan got, 1)
	go func() { c <- v.send(ctx, http.MethodPut, v.url(server, enablePath), token, id) }()
	return c
}

// wait waits until cond holds for the account.
func (v vendor) wait(cond func(wolkvoxtest.Account) bool) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := v.Wait(ctx, cond); err != nil {
		v.t.Fatalf("wait: %v", err)
	}
}

func (v vendor) waitInFlight(n int) {
	v.t.Helper()
	v.wait(func(a wolkvoxtest.Account) bool { return a.Totals.InFlight == n })
}

// clock is a clock that is set by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

// buffer is a bytes.Buffer that can be read while it is written to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// inTurn gives the requests faults in turn, and none when they are used up.
func inTurn(kinds ...wolkvoxtest.Kind) wolkvoxtest.Script {
	return func(wolkvoxtest.Record) (f wolkvoxtest.Fault) {
		if len(kinds) > 0 {
			f.Kind, kinds = kinds[0], kinds[1:]
		}
		return f
	}
}
