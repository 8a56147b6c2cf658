package membership_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"habilita/internal/membership"
	"habilita/internal/testkit/redistest"
)

var start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// world is one Redis with a Registry on it.
type world struct {
	*membership.Registry
	b redistest.Backend
	t *testing.T
}

func both(t *testing.T, f func(*testing.T, world)) { redistest.Both(t, on(f)) }

func on(f func(*testing.T, world)) func(*testing.T, redistest.Backend) {
	return func(t *testing.T, b redistest.Backend) {
		if b.SetTime != nil {
			b.SetTime(start)
		}
		f(t, world{membership.New(b.Client, "habilita"), b, t})
	}
}

func process(id string) membership.Process {
	return membership.Process{ID: id, Kind: "worker", Host: "web-1", PID: 12, Started: start, Version: "1.0.0"}
}

func (w world) join(id string, terms membership.Settings) *membership.Membership {
	w.t.Helper()
	m, err := w.Join(w.t.Context(), process(id), terms)
	if err != nil {
		w.t.Fatalf("%s: %v", id, err)
	}
	return m
}

func (w world) differs(id string, terms membership.Settings) *membership.MismatchError {
	w.t.Helper()
	_, err := w.Join(w.t.Context(), process(id), terms)
	var e *membership.MismatchError
	if !errors.As(err, &e) {
		w.t.Fatalf("%s: got %v, want a disagreement", id, err)
	}
	return e
}

func (w world) alive(want ...string) {
	w.t.Helper()
	all, err := w.Alive(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	for _, p := range all {
		ids = append(ids, p.ID)
	}
	if !slices.Equal(ids, want) {
		w.t.Fatalf("alive are %v, want %v", ids, want)
	}
}

// pass lets time go by since the joins: the clock of miniredis, or the expiries of the
// real one.
func (w world) pass(d time.Duration) {
	w.t.Helper()
	if w.b.SetTime != nil {
		w.b.SetTime(start.Add(d))
		return
	}
	const key = "habilita:{agreement}:alive"
	for _, id := range w.b.Client.ZRange(w.t.Context(), key, 0, -1).Val() {
		if err := w.b.Client.ZIncrBy(w.t.Context(), key, -float64(d.Milliseconds()), id).Err(); err != nil {
			w.t.Fatal(err)
		}
	}
}
