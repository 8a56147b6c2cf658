package main

import (
	"fmt"
	"strings"
	"time"

	"habilita/internal/control"
)

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
func (d *demo) printHeld(plan *demoPlan, s demoState) {
	if len(s.held) == 0 {
		return
	}
	names := plan.namesByID()
	heading(d.out, "Held: a person decides")
	fmt.Fprintln(d.out, "A call was given up, and what stands behind it in its chain is not made before somebody\nsays how to go on. With a real Redis (or demo --serve) one types one of these:")
	for _, c := range s.held {
		fmt.Fprintf(d.out, "\n  %s, server %s, token %s: %s\n", orDash(names[c.TokenID]), c.Head.Server, short(c.TokenID), c.Why)
		fmt.Fprintf(d.out, "  the call %q failed; %s behind it\n", c.Head.Ref, count(c.Behind, "call"))
		id := shellWord(c.ID)
		fmt.Fprintf(d.out, "    enqueue retry --chain %s     # try it again\n", id)
		if !control.RemedyOf(control.Cause(c.Head)).Futile() {
			fmt.Fprintf(d.out, "    enqueue skip --chain %s      # leave it, go on with the next\n", id)
		}
		fmt.Fprintf(d.out, "    enqueue cancel --chain %s    # drop all that is left of the chain\n", id)
	}
}

// printTomorrow says what goes on by itself when the vendor's day changes.
func (d *demo) printTomorrow(plan *demoPlan, s demoState, zone *time.Location) {
	if len(s.tomorrow) == 0 {
		return
	}
	names := plan.namesByID()
	heading(d.out, "Waiting for tomorrow")
	fmt.Fprintln(d.out, "No more requests of these tokens today. Nothing is lost, nothing has failed, and nobody has\nto do anything: they go on by themselves.")
	for _, c := range s.tomorrow {
		fmt.Fprintf(d.out, "\n  %s, server %s, token %s: %s\n", orDash(names[c.TokenID]), c.Head.Server, short(c.TokenID), c.Why)
		fmt.Fprintf(d.out, "  %s of chain %s; %s\n", count(1+c.Behind, "call"), c.ID, goesOn(c, zone))
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
