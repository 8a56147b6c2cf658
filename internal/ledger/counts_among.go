package ledger

import (
	"context"
	"slices"
)

// CountsAmong are the counts of some calls of a batch, by Field, and of no other that came
// to it. All must have been appended. HeldChains counts those that one of them stands in.
func (l *Ledger) CountsAmong(ctx context.Context, batch string, fields map[string]struct{}) (Counts, error) {
	tags := tagsOf(fields)
	counts, err := l.Counts(ctx, batch, tags)
	if err != nil || counts.Total == len(fields) {
		return counts, err
	}
	// The chains first: a call that is read as open later was not made when its chain was held.
	held := map[string]bool{}
	for _, tag := range tags {
		ids, err := l.chainIDs(ctx, tag, true)
		if err != nil {
			return Counts{}, err
		}
		for _, id := range ids {
			held[id] = true
		}
	}
	of := Counts{Total: len(fields), Changed: counts.Changed}
	stopped := map[string]bool{}
	for c, err := range l.Calls(ctx, batch, tags) {
		if err != nil {
			return Counts{}, err
		}
		if _, ok := fields[c.Field()]; !ok {
			continue
		}
		switch {
		case c.State == StateSucceeded:
			of.Succeeded++
		case c.State == StateFailed:
			of.Failed++
		case c.State == StateSkipped:
			of.Skipped++
		case c.State == StateCancelled:
			of.Cancelled++
		case held[c.ChainID()] && !c.scheduled:
			of.Blocked++
		}
		if held[c.ChainID()] {
			stopped[c.ChainID()] = true
		}
	}
	of.HeldChains = len(stopped)
	return of, nil
}

func tagsOf(fields map[string]struct{}) []string {
	var tags []string
	seen := map[string]bool{}
	for f := range fields {
		if tag := Tag(f); !seen[tag] {
			seen[tag] = true
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags
}
