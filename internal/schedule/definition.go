package schedule

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Definition is what a person says of a schedule.
type Definition struct {
	Name      string // 1 to 64 letters, digits, '.', '_' and '-'
	Cron      string // see NewTimetable
	Timezone  string // of the IANA database
	OnFailure string // policy of each run's batch: hold, skip or cancel; "" is hold
	Missed    string // Once or Skip; "" is Once
	Overlap   bool   // a run is made though the last one has not settled
	PileUp    bool   // calls are enqueued behind held chains too
	Source    string // where the rows come from, for people: the file's name
}

// What happens to a tick at which no worker was there.
const (
	Once = "once" // however many were missed, one run is made for the last of them
	Skip = "skip" // it is passed over
)

const maxSource = 256

// Check validates the definition, fills its defaults in, and returns its timetable.
func (d *Definition) Check() (*Timetable, error) {
	if !scheduleName.MatchString(d.Name) {
		return nil, fmt.Errorf("the name %.80q is not one of a schedule: it has 1 to 64 letters, digits, '.', '_' and '-'", d.Name)
	}
	switch d.OnFailure {
	case "":
		d.OnFailure = "hold"
	case "hold", "skip", "cancel":
	default:
		return nil, fmt.Errorf("policy %q is not one of hold, skip, cancel", d.OnFailure)
	}
	switch d.Missed {
	case "":
		d.Missed = Once
	case Once, Skip:
	default:
		return nil, fmt.Errorf("missed runs: %q is not one of once, skip", d.Missed)
	}
	d.Source = strings.ToValidUTF8(d.Source[:min(len(d.Source), maxSource)], "")
	return NewTimetable(d.Cron, d.Timezone)
}

var scheduleName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// BatchOfTick is the name of the batch that is the run of a tick, such as
// "nightly@2026-11-24T02:00-05:00".
func BatchOfTick(name string, tick time.Time) string {
	return name + "@" + tick.Format("2006-01-02T15:04Z07:00")
}

// BatchOfAsked is the name of the batch of a run that a person asked for at a time. It
// is never that of a tick.
func BatchOfAsked(name string, at time.Time) string {
	return name + "@run-" + at.Format("2006-01-02T15:04:05.000Z07:00")
}
