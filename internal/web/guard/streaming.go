package guard

// HTTP bodies and answers may take longer than the server's time-outs: an upload, a report, server-sent
// events. What is limited is how long the other side may stand still, not the whole. A stream also has
// to end when the server shuts down: UntilClosing.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// Body returns the request's body. Each read of it may take idle. After the first read that
// failed, every other one fails at once: net/http reads on to the end of a body before it answers,
// and would wait for ever for a caller that stands still. If the server doesn't know
// deadlines (a test's recorder), there are none.
func Body(w http.ResponseWriter, r *http.Request, idle time.Duration) io.Reader {
	rc := http.NewResponseController(w)
	// The answer can't come before the body is through.
	_ = rc.SetWriteDeadline(time.Time{})
	return &body{r: r.Body, rc: rc, idle: idle}
}

type body struct {
	r    io.Reader
	rc   *http.ResponseController
	idle time.Duration
}

func (b *body) Read(p []byte) (int, error) {
	until := time.Now().Add(b.idle)
	if err := b.rc.SetReadDeadline(until); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := b.r.Read(p)
	switch {
	case err == nil:
	case err == io.EOF: //nolint:errorlint // net/http's own, never wrapped
		// net/http reads on behind the body, to notice that the caller has gone. That read has no end.
		_ = b.rc.SetReadDeadline(time.Time{})
	case !time.Now().Before(until):
		// net/http hides the time-out if the end of a chunked body did not come.
		err = fmt.Errorf("%w: %w", os.ErrDeadlineExceeded, err)
	}
	return n, err
}

// Answer returns a ResponseWriter. Each write to it may take idle, and the caller may be
// silent for as long as it likes. Read the body before, with Body: a caller that still owes
// some of it keeps the deadline of its last read.
func Answer(w http.ResponseWriter, r *http.Request, idle time.Duration) http.ResponseWriter {
	rc := http.NewResponseController(w)
	if r.ContentLength == 0 {
		_ = rc.SetReadDeadline(time.Time{})
	} else {
		idle *= 2 // net/http may read the rest of the body for as long, before it writes
	}
	a := &answer{ResponseWriter: w, rc: rc, idle: idle}
	a.extend()
	return a
}

type answer struct {
	http.ResponseWriter
	rc   *http.ResponseController
	idle time.Duration
}

func (a *answer) extend() { _ = a.rc.SetWriteDeadline(time.Now().Add(a.idle)) }

func (a *answer) Write(p []byte) (int, error) {
	a.extend()
	return a.ResponseWriter.Write(p)
}

// Flush sends what was written, as an http.Flusher.
func (a *answer) Flush() {
	a.extend()
	_ = a.rc.Flush()
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

type serverKey struct{}

// server is what the requests of a server know about it.
type server struct{ base, closing context.Context }

// WithClosing returns a context for http.Server.BaseContext. Contexts of UntilClosing under it end with
// closing, when the server begins to shut down; those of Outlive end with ctx.
func WithClosing(ctx, closing context.Context) context.Context {
	return context.WithValue(ctx, serverKey{}, server{ctx, closing})
}

// Outlive returns a context with the request's values that ends with the server, not with the
// request's connection. net/http ends a request's own context as soon as a read of its body fails,
// while what was read before that is still to be stored.
func Outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	s, _ := ctx.Value(serverKey{}).(server)
	return endingWith(s.base, context.WithoutCancel(ctx))
}

// decisionTime is how long a decision may take. A person can give one that was cut off again.
const decisionTime = 45 * time.Second

// Deciding returns a context with the request's values for decisionTime. A caller that leaves does not cut off what was
// decided.
func Deciding(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), decisionTime)
}

// UntilClosing returns the context of a stream that never ends by itself: it ends with the request, or
// when the server begins to shut down.
func UntilClosing(ctx context.Context) (context.Context, context.CancelFunc) {
	s, _ := ctx.Value(serverKey{}).(server)
	return endingWith(s.closing, ctx)
}

// endingWith returns a context like ctx that also ends with other, if that is not nil.
func endingWith(other, ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(ctx)
	if other == nil {
		return out, cancel
	}
	stop := context.AfterFunc(other, cancel)
	return out, func() { stop(); cancel() }
}
