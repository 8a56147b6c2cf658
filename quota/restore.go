package quota

import (
	"context"
	"fmt"
	"time"
)

// Restored is what a journal remembers of a token's requests.
type Restored struct {
	// Leases are those that nobody released: the nonce of an attempt, and when it ends.
	// One that has ended holds nothing.
	Leases map[string]time.Time
	// Used are the requests counted on a day, by its label (YYYYMMDD in
	// Settings.Location), as in Grant.Days.
	Used map[string]int
}

// Restore puts slots and counts of a token back, for a program whose Redis ends with it
// and that keeps a journal of its grants. It only adds to what is there: restoring again is
// harmless. A day that was over for two days is left out. Cool-downs are restored by Cool.
func (l *Limiter) Restore(ctx context.Context, token string, r Restored) error {
	if err := checkName(token); err != nil {
		return err
	}
	args := []any{token, len(r.Leases)}
	for nonce, ends := range r.Leases {
		args = append(args, nonce, ends.UnixMilli())
	}
	for day, n := range r.Used {
		noon, err := time.ParseInLocation("20060102 15", day+" 12", l.settings.Location)
		if err != nil {
			return fmt.Errorf("quota: restore: %q is no day such as 20261123", day)
		}
		args = append(args, day, n, noon.Add(60*time.Hour).UnixMilli())
	}
	if _, err := l.run(ctx, l.scripts.restore, token, 2, 1, args...); err != nil {
		return fmt.Errorf("quota: restore: %w", err)
	}
	return nil
}
