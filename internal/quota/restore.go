package quota

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Restored is what a write-ahead log has of a token's requests.
type Restored struct {
	// Leases are those that nobody released: the nonce of an attempt, and when it ends.
	// One that has ended holds nothing.
	Leases map[string]time.Time
	// Used are the requests counted on a day, by its label (YYYYMMDD in
	// Settings.Location), as in Grant.Days.
	Used map[string]int
}

// perRestore is how many tokens one script restores.
const perRestore = 100

// Restore puts slots and counts of tokens back, by their names, for a program whose Redis ends
// with it and that keeps a write-ahead log of its grants. It only adds to what is there: restoring again is
// harmless. A day that was over for two days is left out. Cool-downs are restored by Cool. The
// error is the first one, after which no token is restored any more.
func (l *Limiter) Restore(ctx context.Context, tokens map[string]Restored) error {
	names := slices.Sorted(maps.Keys(tokens)) // bucket after bucket
	for len(names) > 0 {
		first, n := names[0], 0
		var args []any
		for n < min(len(names), perRestore) && Tag(names[n]) == Tag(first) {
			own, err := l.restoreArgs(names[n], tokens[names[n]])
			if err != nil {
				return fmt.Errorf("quota: restore: %w", err)
			}
			args = append(args, own...)
			n++
		}
		if _, err := l.run(ctx, l.scripts.restore, first, args...); err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}

// restoreArgs are the arguments of the script for a token.
func (l *Limiter) restoreArgs(token string, r Restored) ([]any, error) {
	if err := checkName(token); err != nil {
		return nil, err
	}
	args := []any{token, len(r.Leases), len(r.Used)}
	for nonce, ends := range r.Leases {
		args = append(args, nonce, ends.UnixMilli())
	}
	for day, n := range r.Used {
		noon, err := time.ParseInLocation("20060102 15", day+" 12", l.settings.Location)
		if err != nil {
			return nil, fmt.Errorf("%q is no day such as 20261123", day)
		}
		args = append(args, day, n, noon.Add(60*time.Hour).UnixMilli())
	}
	return args, nil
}
