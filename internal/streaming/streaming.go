// Package streaming is for HTTP bodies and answers that take longer than the server's
// time-outs: an upload, a report, server-sent events. What is limited is how long the
// other side may stand still, not the whole.
//
// A stream also has to end when the server shuts down: Closing tells when.
package streaming

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// Body returns the request's body, each read of which may take idle. Where the server
// doesn't know deadlines (a test's recorder), there are none.
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
	if err := b.rc.SetReadDeadline(time.Now().Add(b.idle)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := b.r.Read(p)
	if err != nil {
		// What is read behind the body, to notice that the caller has gone, has no end.
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// Answer returns a ResponseWriter each write of which may take idle, and whose caller may
// be silent for as long as it likes. The body is to be read before.
func Answer(w http.ResponseWriter, idle time.Duration) http.ResponseWriter {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Time{})
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

// Flush sends what was written; it is what http.Flusher asks for.
func (a *answer) Flush() {
	a.extend()
	_ = a.rc.Flush()
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

type closingKey struct{}

// WithClosing returns a context, for http.Server.BaseContext, under which Closing is the
// channel that is closed when the server begins to shut down.
func WithClosing(ctx context.Context, closing <-chan struct{}) context.Context {
	return context.WithValue(ctx, closingKey{}, closing)
}

// Closing is closed when the server begins to shut down: streams that never end by
// themselves end then. It is nil, and so never closed, where no server said one.
func Closing(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(closingKey{}).(<-chan struct{})
	return c
}
