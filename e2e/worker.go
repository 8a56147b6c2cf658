package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Worker is a worker process.
type Worker struct {
	*Process
	lab  *Lab
	addr string
}

// StartWorker starts a worker process; env are pairs that override Lab.Env. It does not wait
// until the worker takes calls: see Ready.
func (l *Lab) StartWorker(env ...string) *Worker {
	l.TB.Helper()
	w := &Worker{lab: l, Process: start(l.TB, l.name("worker"), l.Dir, l.bin.Worker, l.environ(env...))}
	l.workers = append(l.workers, w)
	return w
}

// Workers starts n worker processes and waits until they take calls.
func (l *Lab) Workers(n int, env ...string) []*Worker {
	l.TB.Helper()
	var all []*Worker
	for range n {
		all = append(all, l.StartWorker(env...))
	}
	for _, w := range all {
		w.Ready()
	}
	return all
}

// Ready waits until the worker takes calls.
func (w *Worker) Ready() *Worker {
	w.tb.Helper()
	w.WaitLine("worker takes calls", Patience)
	return w
}

// Addr returns where the worker serves its health and metrics.
func (w *Worker) Addr() string {
	w.tb.Helper()
	if w.addr == "" {
		var line struct{ Address string }
		text := w.WaitLine("health and metrics are served", Patience)
		if err := json.Unmarshal([]byte(text), &line); err != nil || line.Address == "" {
			w.tb.Fatalf("no address in %q", text)
		}
		w.addr = line.Address
	}
	return w.addr
}

// Get fetches a page of the worker; status 0: nobody answers.
func (w *Worker) Get(path string) (status int, body string) {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.Addr()+path, nil)
	if err != nil {
		w.tb.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	w.lab.pages = append(w.lab.pages, string(b))
	return resp.StatusCode, string(b)
}
