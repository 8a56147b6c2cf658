package main

import (
	"io"
	"sync"
	"time"
)

// lineWait is for how long a log line waits for others. Between an answer and the chain's next request, a write would
// hold that up; under load, one write serves many lines.
const lineWait = time.Millisecond

// lineWriter is what the worker logs to. It passes lines on, in their order, at most lineWait after they were written. While
// out takes nothing, neither does the lineWriter. It is safe for concurrent use.
type lineWriter struct {
	out  io.Writer
	mu   sync.Mutex
	kept []byte
}

// Write keeps p. A log has no use for an error.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.kept) == 0 {
		time.AfterFunc(lineWait, w.flush)
	}
	w.kept = append(w.kept, p...)
	return len(p), nil
}

// flush passes on what is kept.
func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.out.Write(w.kept)
	w.kept = w.kept[:0]
}
