package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/wolkvox"
)

// Selection says what a decision is about. Exactly one of its first four fields must be set.
type Selection struct {
	Chain  string // id of a chain
	Batch  string // name of a batch
	Server string // as people write it
	All    bool
	// Cause, one of Causes, limits these to the held chains whose head failed for it; ""
	// sets no limit. Not with Chain.
	Cause string
}

const exactlyOne = "give exactly one of chain, batch, server and all"

// Check returns the selection with its server in the form that the ledger has. It returns an error if the selection
// can't be one: a *SelectionError, a *wolkvox.ServerError or ErrChainID.
func (s Selection) Check() (Selection, error) {
	switch things := s.things(); {
	case len(things) == 0:
		return s, &SelectionError{Problem: "nothing is selected: " + exactlyOne}
	case len(things) > 1:
		return s, &SelectionError{Problem: "more than one thing is selected: " + exactlyOne}
	case s.Cause != "" && s.Chain != "":
		return s, &SelectionError{Problem: "a chain is selected, which takes no reason"}
	case s.Cause != "" && !slices.Contains(causes, s.Cause):
		return s, &SelectionError{Problem: fmt.Sprintf("%.80q is not a known reason: give one of %s", s.Cause, strings.Join(causes, ", "))}
	}
	if s.Chain != "" {
		token, name := ledger.SplitChainID(s.Chain)
		if !ledger.IsToken(token) || strings.ContainsFunc(name, unicode.IsSpace) {
			return s, fmt.Errorf("%.80q is %w", s.Chain, ErrChainID)
		}
	}
	if s.Server != "" {
		server, err := wolkvox.ParseServer(s.Server)
		if err != nil {
			return s, err
		}
		s.Server = string(server)
	}
	return s, nil
}

// Retry makes the selected held chains try their head again, with a new budget of attempts.
// A batch selects the chains whose head belongs to it. Retry returns how many there were; if
// Unread(err) > 0, some chains could not be read. If a chain was named and is not held, the
// error is ErrNotHeld.
func (o *Control) Retry(ctx context.Context, s Selection) (int, error) {
	return o.noted(ctx, "retry", UnitChain, s, o.decision(ledger.DecisionRetry))
}

// Skip leaves the heads of the selected held chains, and lets the chains go on with
// their next calls. Otherwise it is like Retry.
func (o *Control) Skip(ctx context.Context, s Selection) (int, error) {
	return o.noted(ctx, "skip", UnitChain, s, o.decision(ledger.DecisionSkip))
}

func (o *Control) decision(d ledger.Decision) func(context.Context, Selection) (int, error) {
	return func(ctx context.Context, s Selection) (int, error) {
		if s.Chain == "" {
			return o.eachHeld(ctx, s, func(ids []string, m ledger.Meant) (int, error) {
				return o.ledger.Decide(ctx, ids, d, m)
			})
		}
		n, err := o.ledger.Decide(ctx, []string{s.Chain}, d, ledger.Meant{})
		if err == nil && n == 0 {
			return 0, &UnknownError{ErrNotHeld, s.Chain}
		}
		return n, of(err, "%s chain %s", d, s.Chain)
	}
}

// Cancel cancels calls, except one that is at the vendor, and returns how many. For a batch
// these are its calls, wherever they wait; the batch then takes no more rows (see Reopen).
// For a chain they are all its calls, held or not, and those scheduled for it. For a server,
// and for all, they are the calls of the held chains. If a chain was named and no call of it
// waits, the error is ErrNoChain.
func (o *Control) Cancel(ctx context.Context, s Selection) (int, error) {
	return o.noted(ctx, "cancel", UnitCall, s, o.cancel)
}

func (o *Control) cancel(ctx context.Context, s Selection) (int, error) {
	switch {
	case s.Batch != "" && s.Cause == "":
		m, _, err := o.batch(ctx, s.Batch)
		if err != nil {
			return 0, err
		}
		if err := o.batches.Cancel(ctx, m.ID); err != nil {
			return 0, err
		}
		tags, err := o.batches.Tags(ctx, m.ID) // once more: a producer may have noted buckets meanwhile
		if err != nil {
			return 0, err
		}
		n, err := o.ledger.CancelBatch(ctx, m.ID, tags)
		return n, cutOff("cancel", n, err)
	case s.Chain != "":
		n, err := o.ledger.CancelChains(ctx, []string{s.Chain}, ledger.Meant{}, false)
		if err == nil {
			var more int
			more, err = o.ledger.CancelScheduled(ctx, s.Chain)
			n += more
		}
		if err == nil && n == 0 {
			return 0, &UnknownError{ErrNoChain, s.Chain}
		}
		return n, cutOff("cancel", n, err)
	}
	return o.eachHeld(ctx, s, func(ids []string, m ledger.Meant) (int, error) {
		return o.ledger.CancelChains(ctx, ids, m, true)
	})
}

// Reopen lets a batch that was cancelled take rows again. A call that was cancelled before it
// was sent is then new when its row is given again. Reopen returns how many calls of the batch
// are cancelled; 0 if it takes rows already. If Unread(err) > 0, the batch stays cancelled until
// it is reopened once more.
func (o *Control) Reopen(ctx context.Context, s Selection) (int, error) {
	return o.noted(ctx, "reopen", UnitCall, s, o.reopen)
}

func (o *Control) reopen(ctx context.Context, s Selection) (int, error) {
	m, tags, err := o.batch(ctx, s.Batch)
	if err != nil {
		return 0, err
	}
	// Its buckets first: until they are all open, the batch says that it is cancelled. This is done
	// even if it does not say so: a reopen and a cancel at the same time may have left some shut.
	unread := o.ledger.Reopen(ctx, m.ID, tags)
	if !redisconn.Partly(unread) {
		return 0, cutOff("reopen", 0, unread)
	}
	if !m.Cancelled {
		return 0, unread
	}
	if unread == nil {
		if err := o.batches.Reopen(ctx, m.ID); err != nil {
			return 0, cutOff("reopen", 0, err)
		}
	}
	c, err := o.ledger.Counts(ctx, m.ID, tags)
	return c.Cancelled, cmp.Or(unread, err)
}

// heldAtOnce is how many held chains are decided on together.
const heldAtOnce = 500

// eachHeld acts once on each selected held chain. It leaves one that is held again
// meanwhile.
func (o *Control) eachHeld(ctx context.Context, s Selection, act func([]string, ledger.Meant) (int, error)) (int, error) {
	id, tags, unread := o.heldIn(ctx, s.Batch)
	if !redisconn.Partly(unread) {
		return 0, unread
	}
	meant := ledger.Meant{Server: s.Server, Batch: id}
	total := 0
	var ids []string
	flush := func() error {
		n, err := act(ids, meant)
		total, ids = total+n, ids[:0]
		return err
	}
	for c, err := range o.ledger.Chains(ctx, tags, true) {
		if err != nil {
			unread = errors.Join(unread, err)
			break // it is the last thing: what could be read came before
		}
		if meant.Batch != "" && c.Head.Batch != meant.Batch || meant.Server != "" && c.Head.Server != meant.Server ||
			s.Cause != "" && Cause(c.Head) != s.Cause {
			continue
		}
		if ids = append(ids, c.ID); len(ids) < heldAtOnce {
			continue
		}
		if err := flush(); err != nil {
			return total, cutOff("the decision", total, err)
		}
	}
	err := flush()
	return total, cutOff("the decision", total, errors.Join(unread, err))
}

// cutOff says how far a decision came, and that giving it again does the rest.
func cutOff(what string, n int, err error) error {
	if err == nil {
		return nil
	}
	what = fmt.Sprintf("%s was cut off after %d", what, n)
	if !errors.Is(err, context.Canceled) {
		what += "; give the command again for the rest"
	}
	return fmt.Errorf("%s: %w", what, err)
}

// String says what is selected, such as "batch november".
func (s Selection) String() string {
	said := strings.Join(s.things(), " and ")
	if s.Cause != "" {
		said = "cause " + s.Cause + " of " + said
	}
	return said
}

// things lists what the selection names. A valid selection names exactly one thing.
func (s Selection) things() (all []string) {
	for _, t := range [][2]string{{"chain", s.Chain}, {"batch", s.Batch}, {"server", s.Server}} {
		if t[1] != "" {
			all = append(all, t[0]+" "+t[1])
		}
	}
	if s.All {
		all = append(all, "all held chains")
	}
	return all
}
