package main

import (
	"fmt"
	"time"
)

// lead is how long before the day opens the work is enqueued.
const lead = 45 * time.Second

// dayBegins measures what the vendor sees when so many chains wake at once, because their day begins: the share of
// the requests in its busiest second, in percent. Without a ramp that is as many as a worker can make.
func dayBegins(chains int) func(*rig) float64 {
	return func(r *rig) float64 {
		defer func() { r.env = nil }()
		zone, guard, opens := soonMidnight(time.Now())
		if wait := time.Until(opens) - lead; wait > time.Second {
			r.logf("    waiting %s for the hour", wait.Round(time.Second))
			time.Sleep(wait)
		}
		r.env = []string{"QUOTA_TIMEZONE=" + zone, "QUOTA_GUARD=" + guard.String(), "LOG_LEVEL=warn"}
		n := r.n(chains)
		url := r.vendor("-keep")
		r.bulk(r.csv(n, 1, together), "day")
		r.worker(url)
		time.Sleep(time.Until(opens))
		var commands []int // that Redis has carried out, each second
		for before := r.infoInt("stats", "total_commands_processed"); len(commands) < 10; {
			time.Sleep(time.Second)
			now := r.infoInt("stats", "total_commands_processed")
			commands, before = append(commands, now-before), now
		}
		counts := map[int]int{}
		s := r.seen(url, n)
		most, last := 0, 0
		for _, at := range s.Arrived {
			if at.Before(opens) {
				r.tb.Fatalf("a request %s before the day opens", opens.Sub(at))
			}
			second := int(at.Sub(opens) / time.Second)
			counts[second]++
			most, last = max(most, counts[second]), max(last, second)
		}
		r.logf("    requests by second: %s; commands of Redis: %d; %d above a limit", perSecond(counts, last), commands, s.Broken)
		return 100 * float64(most) / float64(n)
	}
}

func perSecond(counts map[int]int, last int) string {
	var all []int
	for s := range last + 1 {
		all = append(all, counts[s])
	}
	return fmt.Sprint(all)
}

// soonMidnight returns a zone whose day began less than an hour ago, or is about to begin, and a QUOTA_GUARD with
// which it opens soon.
func soonMidnight(now time.Time) (zone string, guard time.Duration, opens time.Time) {
	now = now.UTC()
	midnight := now.Truncate(time.Hour)
	if now.Sub(midnight) > 58*time.Minute { // the guard is below an hour
		midnight = midnight.Add(time.Hour)
	}
	west := midnight.Hour() // how many hours behind UTC it is midnight
	zone = fmt.Sprintf("Etc/GMT+%d", west)
	if west > 12 {
		zone = fmt.Sprintf("Etc/GMT-%d", 24-west)
	}
	opens = now.Add(lead).Truncate(time.Second)
	if guard = opens.Sub(midnight); guard < time.Second {
		guard, opens = time.Second, midnight.Add(time.Second)
	}
	return zone, guard, opens
}
