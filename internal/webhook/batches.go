package webhook

import (
	"context"
	"errors"
	"maps"
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

func (t *Teller) lookAtBatches(ctx context.Context, now, since time.Time) error {
	gone, err := t.marked(ctx, "b:")
	if err != nil {
		return err
	}
	var part []thing
	flush := func() error {
		err := t.tellAll(ctx, part)
		part = part[:0]
		return err
	}
	for s, err := range t.control.Batches(ctx) {
		if err != nil {
			return errors.Join(err, flush())
		}
		b := t.batch(s, now, since)
		delete(gone, b.mark)
		if part = append(part, b); len(part) == 200 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return t.forget(ctx, "b:", gone)
}

// marked are the marks of a kind, once in a while; nil: it is not time yet. Whoever lists then what there is
// finds those of what is gone.
func (t *Teller) marked(ctx context.Context, kind string) (map[string]string, error) {
	if time.Since(t.tidied[kind]) < tidyEvery {
		return nil, nil
	}
	all := map[string]string{}
	for cursor := uint64(0); ; {
		kv, next, err := t.rdb.HScan(ctx, t.outbox.prefix+"told", cursor, kind+"*", 1000).Result()
		if err != nil {
			return nil, err
		}
		for i := 0; i+1 < len(kv); i += 2 {
			all[kv[i]] = kv[i+1]
		}
		if cursor = next; cursor == 0 {
			return all, nil
		}
	}
}

// forget removes marks, unless they changed: what was gone has come again then.
func (t *Teller) forget(ctx context.Context, kind string, gone map[string]string) error {
	for field, was := range gone {
		if _, _, err := t.outbox.Tell(ctx, Mark{Field: field, Was: was}, nil, nil); err != nil {
			return err
		}
	}
	if gone != nil {
		t.tidied[kind] = time.Now()
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
		if failed == nil {
			failed = t.tellAll(ctx, []thing{t.batch(s, now, since)})
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

func (t *Teller) batch(s control.Status, now, since time.Time) thing {
	return thing{"b:" + ledger.BatchID(s.Batch), func(ctx context.Context, mark string) (all []news, err error) {
		for _, step := range judgeBatch(s, parseBatchMark(mark), now, since) {
			e, err := t.ofBatch(ctx, s, step, now)
			if err != nil {
				return nil, err
			}
			all = append(all, news{e, step.now.String()})
		}
		return all, nil
	}}
}

// heldData says why chains of a batch wait for a person.
type heldData struct {
	Batch      string         `json:"batch"`
	HeldChains int            `json:"held_chains"`
	Reasons    map[string]int `json:"reasons"` // chains by what went wrong
}

// ofBatch is what a step tells; nil: nothing.
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
