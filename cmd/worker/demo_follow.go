package main

import (
	"context"
	"fmt"
	"time"

	"habilita/internal/control"
)

// demoState is how far the demo's batch is.
type demoState struct {
	control.Status
	requests       int // that the vendor has seen
	held, tomorrow []control.Chain
	over           bool // nothing more can run today
}

// follow shows progress until nothing more can run today.
func (d *demo) follow(ctx context.Context, w *demoWorld) (demoState, error) {
	show := d.newProgress()
	defer show.end()
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	var last demoState
	for {
		s, err := w.look(ctx, last)
		if ctx.Err() != nil {
			return last, fmt.Errorf("stopped with %d of %s done; nothing of the demo is kept", last.Ended(), count(last.Total, "call"))
		}
		if err != nil {
			return last, err
		}
		show.show(s)
		if last = s; s.over {
			return s, nil
		}
		select {
		case <-ctx.Done():
		case <-w.ended:
			if ctx.Err() == nil {
				return last, w.over()
			}
		case <-tick.C:
		}
	}
}

// look reads the counts and, where nothing changed since the last look or nothing more
// changes, why chains wait.
func (w *demoWorld) look(ctx context.Context, last demoState) (demoState, error) {
	var s demoState
	var err error
	if s.Status, err = w.op.Status(ctx, demoBatch); err != nil {
		return s, err
	}
	s.requests = w.requests(ctx)
	if s.Settled || s.Status == last.Status {
		err = w.sort(ctx, &s)
	}
	return s, err
}

// sort finds the chains that wait for a person and those that wait for tomorrow, and
// whether these have all calls that are open.
func (w *demoWorld) sort(ctx context.Context, s *demoState) error {
	out, err := w.op.Outlook(ctx, s.Status)
	s.held, s.tomorrow, s.over = out.Held, out.Tomorrow, out.Over
	return err
}
