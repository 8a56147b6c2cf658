package webhook

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"habilita/internal/control"
	"habilita/internal/ledger"
)

// hint is a batch that is to be looked at soon.
type hint struct {
	notBefore time.Time
	again     bool // a call of it got an outcome since the last look
}

// saw notes that a call of a batch (its short name) has an outcome, for a look soon.
func (t *Teller) saw(batch string) {
	if batch == "" || batch == ledger.NoBatch {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hints[batch]
	h.again = true
	t.hints[batch] = h
}

// markOf is the field of the mark of a batch.
func markOf(s control.Status) string { return "b:" + ledger.BatchID(s.Batch) }

func (t *Teller) lookAtBatches(ctx context.Context, marks map[string]string, now, since time.Time) error {
	for s, err := range t.control.Batches(ctx) {
		if err == nil {
			err = t.tellBatch(ctx, s, marks[markOf(s)], now, since)
		}
		if err != nil {
			return err
		}
		delete(marks, markOf(s))
	}
	return t.forget(ctx, "b:", marks)
}

// forget removes the marks of a kind, unless they changed: then what was gone has come back.
func (t *Teller) forget(ctx context.Context, kind string, gone map[string]string) error {
	for field, was := range gone {
		if !strings.HasPrefix(field, kind) {
			continue
		}
		if _, _, err := t.outbox.Tell(ctx, Mark{Field: field, Was: was}, nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// lookAtHints looks at the batches of calls that this worker made.
func (t *Teller) lookAtHints(ctx context.Context) error {
	t.mu.Lock()
	hints := maps.Clone(t.hints)
	t.mu.Unlock()
	if waiting, err := t.outbox.Receivers(ctx); err == nil {
		n := 0
		for _, w := range waiting {
			n += w.Waiting
		}
		t.metrics.waiting.Set(float64(n))
	}
	if len(hints) == 0 {
		return nil
	}
	now, since, err := t.begin(ctx)
	if err != nil {
		return err
	}
	for id, h := range hints {
		if now.Before(h.notBefore) {
			continue
		}
		t.mu.Lock()
		delete(t.hints, id) // what comes while it is read is another hint
		t.mu.Unlock()
		if !h.again {
			continue
		}
		s, failed := t.control.StatusOf(ctx, id)
		mark := ""
		if failed == nil {
			mark, failed = t.outbox.Mark(ctx, markOf(s))
		}
		if failed == nil {
			failed = t.tellBatch(ctx, s, mark, now, since)
		}
		if errors.Is(failed, ledger.ErrNoBatch) {
			continue
		}
		err = errors.Join(err, failed)
		if failed != nil || s.Open > s.Blocked {
			// It is not at its end: the more calls it has, the later the next look.
			wait := min(hintAtMost, hintEvery+time.Duration(s.Open)*time.Second/200)
			t.mu.Lock()
			t.hints[id] = hint{now.Add(wait), failed != nil || t.hints[id].again}
			t.mu.Unlock()
		}
	}
	return err
}

func (t *Teller) tellBatch(ctx context.Context, s control.Status, mark string, now, since time.Time) error {
	var all []news
	for _, step := range newsOfBatch(s, parseBatchMark(mark), now, since) {
		e, err := t.ofBatch(ctx, s, step, now)
		if err != nil {
			return err
		}
		all = append(all, news{e, step.now.String()})
	}
	return t.tellAll(ctx, markOf(s), mark, all...)
}

// heldData says why chains of a batch wait for a person.
type heldData struct {
	Batch      string         `json:"batch"`
	HeldChains int            `json:"held_chains"`
	Reasons    map[string]int `json:"reasons"` // chains by what went wrong
}

// ofBatch returns the event that a step tells; nil: none.
func (t *Teller) ofBatch(ctx context.Context, s control.Status, st step, now time.Time) (*Event, error) {
	switch st.tell {
	case BatchSettled:
		return &Event{eventID(BatchSettled, s.Batch, st.now.settled), BatchSettled, s.SettledAt.Time, s}, nil
	case BatchCanaryHeld:
		return &Event{eventID(BatchCanaryHeld, s.Batch, now.UnixMilli()), BatchCanaryHeld, now, s}, nil
	case BatchHeld:
		sum, err := t.control.HeldGroups(ctx, s.Batch)
		if err != nil {
			return nil, err
		}
		data := heldData{s.Batch, s.HeldChains, map[string]int{}}
		for _, g := range sum.Groups {
			data.Reasons[g.Cause] = g.Chains
		}
		return &Event{eventID(BatchHeld, s.Batch, now.UnixMilli()), BatchHeld, now, data}, nil
	}
	return nil, nil
}
