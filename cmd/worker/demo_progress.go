package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"

	"habilita/internal/control"
	"habilita/internal/say"
)

func progressLine(s demoState) string {
	tomorrow := len(s.tomorrow)
	return say.List(fmt.Sprintf("%d of %s succeeded", s.Succeeded, say.Count(s.Total, "call")), say.Some(s.HeldChains, "held"), say.Some(tomorrow, "for tomorrow"))
}

// demoState is how far the demo's batch is.
type demoState struct {
	control.Status
	held, tomorrow []control.Chain
	over           bool // nothing more can run today
}

// follow shows progress until nothing more can run today.
func (d *demo) follow(ctx context.Context, w *demoWorld) (demoState, error) {
	show := say.Lines(d.err, 0, time.Second)
	if d.drawn != nil {
		show = say.Bar(d.drawn, progress.UnitsDefault)
	}
	defer show.Stop()
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	var last demoState
	for {
		s, err := w.look(ctx, last)
		if ctx.Err() != nil {
			return last, fmt.Errorf("stopped with %d of %s done; nothing of the demo is kept", last.Ended(), say.Count(last.Total, "call"))
		}
		if err != nil {
			return last, err
		}
		if last = s; s.over {
			show.Log(progressLine(s))
			return s, nil
		}
		show.Update(int64(s.Ended()), int64(s.Total), progressLine(s))
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

// look reads the counts. If nothing changed since the last look, or nothing more changes, it finds
// the chains that wait for a person or for tomorrow, and whether these have all calls that are open.
func (w *demoWorld) look(ctx context.Context, last demoState) (s demoState, err error) {
	if s.Status, err = w.Control.Status(ctx, demoBatch); err != nil {
		return s, err
	}
	if s.Settled || s.Status == last.Status {
		out, err := w.Control.Outlook(ctx, s.Status)
		s.held, s.tomorrow, s.over = out.Held, out.Tomorrow, out.Over
		return s, err
	}
	return s, nil
}

// The reasons of a chain (control.Chain) for which it waits for tomorrow.
const (
	reasonQuota   = "quota"   // by our own count
	reasonCooling = "cooling" // by the vendor's, where its token is closed for the day
)

// shortly is why a chain waits, as a table has room for.
func shortly(c control.Chain) string {
	switch {
	case c.Held() && c.Head.Msg != "":
		return strings.TrimSpace(c.Head.Code + " " + c.Head.Msg)
	case c.Held():
		return c.Head.Error
	case c.Reason == reasonCooling:
		return "vendor: today's quota is used up"
	case c.Reason == reasonQuota:
		return "today's quota is used up"
	}
	return c.Why
}

// printHeld says what waits for a person, and how to go on.
func (d *demo) printHeld(names map[string]string, s demoState) {
	if len(s.held) == 0 {
		return
	}
	heading(d.out, "Held: a person decides")
	fmt.Fprintln(d.out, "A call was given up. The calls behind it in its chain wait until you decide. With a real\nRedis (or demo --serve) you type one of these:")
	for _, c := range s.held {
		fmt.Fprintf(d.out, "\n  %s, server %s, token %s: %s\n", cmp.Or(names[c.TokenID], "-"), c.Head.Server, short(c.TokenID), c.Why)
		fmt.Fprintf(d.out, "  the call %q failed; %s behind it\n", c.Head.Ref, say.Count(c.Behind, "call"))
		id := say.Quote(c.ID)
		remedy := control.RemedyOf(control.Cause(c.Head))
		again := "try it again"
		if remedy == control.RemedyToken {
			fmt.Fprintln(d.out, "    enqueue bulk FILE --prune                          # after you corrected the token in the file")
			again = "if it was put right at the vendor"
		}
		fmt.Fprintf(d.out, "    enqueue retry --chain %s     # %s\n", id, again)
		if !remedy.Futile() {
			fmt.Fprintf(d.out, "    enqueue skip --chain %s      # leave it, go on with the next\n", id)
		}
		fmt.Fprintf(d.out, "    enqueue cancel --chain %s    # drop what is left of the chain\n", id)
	}
}

// printTomorrow says what goes on by itself when the vendor's day changes.
func (d *demo) printTomorrow(names map[string]string, s demoState, zone *time.Location) {
	if len(s.tomorrow) == 0 {
		return
	}
	heading(d.out, "Waiting for tomorrow")
	fmt.Fprintln(d.out, "No more requests of these tokens today. Nothing is lost, nothing has failed, and nobody has\nto do anything: they go on by themselves.")
	for _, c := range s.tomorrow {
		fmt.Fprintf(d.out, "\n  %s, server %s, token %s: %s\n", cmp.Or(names[c.TokenID], "-"), c.Head.Server, short(c.TokenID), c.Why)
		fmt.Fprintf(d.out, "  %s of chain %s; %s\n", say.Count(1+c.Behind, "call"), c.ID, goesOn(c, zone))
	}
}

// goesOn says when a chain is tried again.
func goesOn(c control.Chain, zone *time.Location) string {
	if c.Until.IsZero() {
		return "tried again when the day changes"
	}
	at := c.Until.In(zone).Format("2006-01-02 15:04:05 -07")
	if c.Reason == reasonCooling {
		return "one gentle try at " + at + ",\n  since the vendor's day may begin at another hour than ours; all of them when the day changes"
	}
	return "tried again at " + at
}
