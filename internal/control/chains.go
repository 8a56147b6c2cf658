package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/say"
	"habilita/internal/wolkvox"
)

// Chain is a chain that has something to do.
type Chain struct {
	ID      string     `json:"chain"`
	TokenID string     `json:"token_id"`
	State   string     `json:"state"`  // ready, dispatched, running, waiting or held
	Reason  string     `json:"reason"` // slots, quota, cooling, midnight, restart, server, server busy, back-off, push-back or held; "" while nothing stops it
	Why     string     `json:"why"`    // the same in words
	Cooling string     `json:"-"`      // of a chain whose token cools down: QuotaRow.CoolingReason
	Since   Time       `json:"since"`
	Until   Time       `json:"until"` // null: at once, or until a person decides
	Head    CallRecord `json:"head"`
	Behind  int        `json:"behind"` // calls behind the head
}

// Held reports whether the chain waits for a person.
func (c Chain) Held() bool { return c.State == stateHeld }

const (
	stateReady, stateDispatched, stateRunning = "ready", "dispatched", "running"
	stateHeld                                 = "held"
)

// Chains streams the chains that have something to do, or only those that wait for a
// person. A chain that changes meanwhile is seen before or after the change. An error
// comes last. If Unread(err) > 0, it comes after the chains that could be read.
func (o *Control) Chains(ctx context.Context, heldOnly bool) iter.Seq2[Chain, error] {
	return o.eachChain(heldOnly).stream(ctx)
}

// eachChain lists the chains, by id.
func (o *Control) eachChain(heldOnly bool) each[Chain] {
	return func(ctx context.Context, after string, yield func(Chain) bool) error {
		tags, unread := o.busyTags(ctx, heldOnly)
		if !redisconn.Partly(unread) {
			return unread
		}
		slices.Sort(tags)
		from, _ := slices.BinarySearch(tags, ledger.Tag(after))
		for c, err := range o.ledger.ChainsAfter(ctx, tags[from:], after, heldOnly) {
			if !redisconn.Partly(err) {
				return of(err, "chains")
			}
			if err != nil {
				unread = errors.Join(unread, err)
			} else if !yield(forPeople(c)) {
				break
			}
		}
		return unread
	}
}

func forPeople(c ledger.Chain) Chain {
	token, _ := ledger.SplitChainID(c.ID)
	reason, detail, _ := strings.Cut(c.Reason, ": ")
	out := Chain{ID: c.ID, TokenID: token, State: c.State, Since: Time{Time: c.Since}, Head: c.Head, Behind: c.Behind}
	switch c.State {
	case stateReady, stateDispatched, stateRunning:
		// What it waited for before is over.
		out.Why = stateWords[c.State]
		return out
	case stateHeld:
		out.Reason = stateHeld
	default:
		out.Reason, out.Until = reason, Time{Time: c.Until}
	}
	if reason == ledger.ServerBusy {
		out.Until = Time{} // nobody knows when a place comes free
	}
	if out.Reason == "cooling" {
		out.Cooling, detail = cooling(detail)
	}
	out.Why = words(out.Reason, detail, out.Head)
	return out
}

var stateWords = map[string]string{
	stateReady:      "can run; waits for a worker",
	stateDispatched: "was handed to a worker",
	stateRunning:    "its call is at the vendor",
}

// reasonWords describe the reasons. For some of them the details follow.
var reasonWords = map[string]string{
	"slots":           "waits for a slot of its token",
	"quota":           "waits for tomorrow's quota",
	"cooling":         "its token cools down",
	"midnight":        "waits while the vendor's day changes",
	"restart":         "waits because Redis restarted or another node of it took over, until every request that was in flight has ended",
	ledger.ServerBusy: "waits until its worker has fewer than SERVER_CONCURRENCY requests in flight at the server",
	"server":          "waits until the vendor's server answers again",
	"back-off":        "failed and is tried again",
	"push-back":       "was put off",
	stateHeld:         "held",
}

// words says a reason in plain words.
func words(reason, detail string, head CallRecord) string {
	said, known := reasonWords[reason]
	switch reason {
	case "cooling":
		return because(said, detail)
	case "server":
		return because(said, "`enqueue servers` tells how it is")
	case "back-off", "push-back":
		return because(said, outcome(head))
	case stateHeld:
		return because(said, gaveUp(head))
	}
	if known {
		return said
	}
	return because("waits", reason)
}

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}

// gaveUp says after how many attempts a call was given up, and why: the vendor's answer, or else the error. The error may
// begin with the number of attempts too.
func gaveUp(r CallRecord) string {
	tries := "gave up after " + say.Count(r.Attempts, "attempt")
	if r.Code != "" {
		return strings.TrimSpace(fmt.Sprintf("%s; wolkvox answered %s %s", tries, r.Code, r.Msg))
	}
	return because(tries, strings.TrimPrefix(r.Error, "given up after "+say.Count(r.Attempts, "attempt")+": "))
}

// outcome is the result of a call's last attempt, short.
func outcome(r CallRecord) string {
	return cmp.Or(r.Error, strings.TrimSpace(r.Code+" "+r.Msg))
}

// Overview counts all chains by what they do.
type Overview struct {
	Ready     int `json:"ready"`     // can run; wait for a worker
	Active    int `json:"active"`    // run, or wait for a time
	Held      int `json:"held"`      // wait for a person
	Scheduled int `json:"scheduled"` // calls, of no chain yet, that are due later
	Unread    int `json:"unread"`    // parts of the ledger, of ledger.Buckets, that could not be read and are not counted

	NextDue Time `json:"-"` // when the first of Scheduled is due
}

// Overview counts all chains. It reads no chain itself, so its cost does not depend on
// how many there are.
func (o *Control) Overview(ctx context.Context) (Overview, error) {
	buckets, err := o.buckets(ctx)
	if !redisconn.Partly(err) {
		return Overview{}, err
	}
	all := ledger.Total(buckets)
	return Overview{Ready: all.Ready, Active: all.Due, Held: all.Held, Scheduled: all.Delayed, Unread: Unread(err), NextDue: Time{Time: all.NextDelayed}}, nil
}

// Outlook says which chains can't go on today by themselves.
type Outlook struct {
	Held     []Chain   // wait for a person
	Tomorrow []Chain   // wait for the vendor's next day: their quota is used up, by our count or by its word
	Next     time.Time // when the first of Tomorrow is tried again; zero: there is none
	Over     bool      // nothing more of the batch can run today
}

// Outlook looks at all chains of the ledger, which must be those of one batch; s has its
// counts. A token that the vendor has closed for the day counts as one for tomorrow,
// although it is probed gently before.
func (o *Control) Outlook(ctx context.Context, s Status) (Outlook, error) {
	var out Outlook
	open := s.Open
	for c, err := range o.Chains(ctx, false) {
		switch {
		case err != nil:
			return out, err
		case c.Held():
			out.Held = append(out.Held, c)
			open -= c.Behind
		case c.Reason == string(quota.ReasonQuota) || c.Cooling == string(wolkvox.TokenLimit):
			out.Tomorrow = append(out.Tomorrow, c)
			open -= 1 + c.Behind
			out.Next = ledger.Earlier(out.Next, c.Until.Time)
		}
	}
	out.Over = open <= 0
	return out, nil
}
