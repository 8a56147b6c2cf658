package control

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"habilita/internal/redisconn"
)

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
