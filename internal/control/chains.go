package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
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

// givenUp is how the error of a call that was given up begins. It has the attempts of the last budget only.
var givenUp = regexp.MustCompile(`^given up( after [\d,]+ attempts?)?: `)

// Blame is what went wrong at a call's last attempt, without how often it was tried.
func Blame(r CallRecord) string { return givenUp.ReplaceAllString(r.Error, "") }

// gaveUp says after how many attempts a call was given up, and why: the vendor's answer, or else the error.
func gaveUp(r CallRecord) string {
	tries := "gave up after " + say.Count(r.Attempts, "attempt")
	if r.Code != "" {
		return strings.TrimSpace(fmt.Sprintf("%s; wolkvox answered %s %s", tries, r.Code, r.Msg))
	}
	return because(tries, Blame(r))
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

const (
	// MaxHeld is how many held chains HeldGroups and HeldPage look at, the oldest first.
	MaxHeld = 20_000
	// HeldExamples is how many chains a group names at most.
	HeldExamples = 3
)

// HeldGroup are held chains whose heads failed for the same cause.
type HeldGroup struct {
	Cause    string  // as Cause returns it
	Chains   int     // how many
	Behind   int     // calls behind their heads
	Since    Time    // the one that waits longest
	Examples []Chain // the first HeldExamples of them, the one that waits longest first
}

// HeldSummary are the chains that wait for a person, grouped by cause.
type HeldSummary struct {
	Chains int         // all of them, of the batch that was asked for
	Groups []HeldGroup // the largest first
	Cut    bool        // there are more than MaxHeld: the groups are of the oldest
	Unread int         // parts of the ledger that could not be read: what they hold is not in Groups
}

// HeldGroups returns the chains of a batch ("": of all) that wait for a person, grouped by cause.
func (o *Control) HeldGroups(ctx context.Context, batchName string) (HeldSummary, error) {
	chains, cut, err := o.heldChains(ctx, batchName)
	if !redisconn.Partly(err) {
		return HeldSummary{}, err
	}
	sum := HeldSummary{Chains: len(chains), Cut: cut, Unread: Unread(err)}
	for _, c := range chains {
		why := cmp.Or(Cause(c.Head), CauseOther)
		i := slices.IndexFunc(sum.Groups, func(g HeldGroup) bool { return g.Cause == why })
		if i < 0 {
			i = len(sum.Groups)
			sum.Groups = append(sum.Groups, HeldGroup{Cause: why, Since: c.Since})
		}
		g := &sum.Groups[i]
		g.Chains++
		g.Behind += c.Behind
		if len(g.Examples) < HeldExamples {
			g.Examples = append(g.Examples, c)
		}
	}
	slices.SortStableFunc(sum.Groups, func(a, b HeldGroup) int { return b.Chains - a.Chains })
	return sum, nil
}

// HeldPage returns a part of the chains of a batch ("": of all) that wait for a person and
// whose head failed for this cause, the one that waits longest first. all is how many there are.
func (o *Control) HeldPage(ctx context.Context, batchName, cause, cursor string, limit int) (page Page[Chain], all int, err error) {
	chains, _, err := o.heldChains(ctx, batchName)
	unread, err := SplitUnread(err)
	if err != nil {
		return page, 0, err
	}
	chains = slices.DeleteFunc(chains, func(c Chain) bool { return Cause(c.Head) != cause })
	page, err = PageOf(chains, cursor, limit)
	page.Unread = unread
	return page, len(chains), err
}

// heldChains reads the held chains, of a batch or all, the one that waits longest first.
func (o *Control) heldChains(ctx context.Context, batchName string) (chains []Chain, cut bool, err error) {
	id, tags, unread := o.heldIn(ctx, batchName)
	if !redisconn.Partly(unread) {
		return nil, false, unread
	}
	held, cut, err := o.ledger.Oldest(ctx, tags, MaxHeld)
	if err = of(err, "held chains"); !redisconn.Partly(err) {
		return nil, false, err
	}
	for _, c := range held {
		if id == "" || c.Head.Batch == id {
			chains = append(chains, forPeople(c))
		}
	}
	return chains, cut, errors.Join(unread, err)
}

// heldIn returns the tags of the buckets that may have held chains of a batch ("": of all), and its short name.
func (o *Control) heldIn(ctx context.Context, batchName string) (id string, tags []string, err error) {
	if batchName == "" {
		tags, err = o.busyTags(ctx, true)
		return "", tags, err
	}
	m, tags, err := o.batch(ctx, batchName)
	return m.ID, tags, err
}
