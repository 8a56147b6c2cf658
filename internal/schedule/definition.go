package schedule

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Definition is what a person says of a schedule.
type Definition struct {
	Name      string `json:"schedule"`   // 1 to 64 letters, digits, '.', '_' and '-'
	Cron      string `json:"cron"`       // see NewTimetable
	Timezone  string `json:"timezone"`   // of the IANA database
	OnFailure string `json:"on_failure"` // policy of each run's batch: hold, skip or cancel; "" is hold
	Missed    string `json:"missed"`     // Once or Skip; "" is Once
	Overlap   bool   `json:"overlap"`    // a run is made though the last one has not settled
	PileUp    bool   `json:"pile_up"`    // calls are enqueued behind held chains too
	Source    string `json:"source"`     // where the rows come from, for people: the file's name
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
	d.OnFailure, d.Missed = cmp.Or(d.OnFailure, "hold"), cmp.Or(d.Missed, Once)
	if !slices.Contains([]string{"hold", "skip", "cancel"}, d.OnFailure) {
		return nil, fmt.Errorf("policy %q is not one of hold, skip, cancel", d.OnFailure)
	}
	if d.Missed != Once && d.Missed != Skip {
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

// State is a schedule as it stands in Redis. Times are by the clock of Redis; zero: none.
type State struct {
	Definition
	ID       string // short name in keys
	Rows     int
	Revision string // of the rows
	Created  time.Time
	Changed  time.Time // last put, pause or resume
	Paused   bool
	Next     time.Time // the next tick, unless the schedule is paused
	Last     string    // batch of the last run that was made, or is being made
	Asked    Asked
	Claim    Claim
	version  string // changes with every change
}

// Asked is a run that a person asked for and that no worker has begun.
type Asked struct {
	At      time.Time
	Batch   string
	Overlap bool // also where the last run has not settled
}

// Claim is a run that is being enqueued, with what its schedule said when it began.
// Number 0: none.
type Claim struct {
	Number   int64 // the fence of all that its worker writes
	Until    time.Time
	Started  time.Time
	Kind     string
	Tick     time.Time
	Batch    string
	Revision string // of the rows
	Rows     int
	Policy   string // of its batch
	PileUp   bool
	Missed   int
	Decided  bool // which chains are passed over is written down
	Tries    int
	Error    string // of the last try
}

// Results of a run.
const (
	ResultMade    = "made"    // enqueued; what became of its calls is its batch's matter
	ResultSkipped = "skipped" // the last run had not settled
	ResultMissed  = "missed"  // no worker was there
	ResultFailed  = "failed"  // could not be enqueued, or not all of it
)

// Run is a run that is over, as the history keeps it. Times are ms since 1970.
type Run struct {
	Batch     string `json:"batch,omitempty"`
	Kind      string `json:"kind"`
	Tick      int64  `json:"tick"`
	Started   int64  `json:"started,omitempty"`
	Finished  int64  `json:"finished"` // written by the script
	Result    string `json:"result"`
	Reason    string `json:"reason,omitempty"`
	Calls     int    `json:"calls,omitempty"`
	Passed    int    `json:"passed,omitempty"`    // calls that were passed over: chain held
	Chains    int    `json:"chains,omitempty"`    // the chains of these
	Rejected  int    `json:"rejected,omitempty"`  // rows that could not be calls
	Conflicts int    `json:"conflicts,omitempty"` // rows whose id is known for another call
	Withheld  int    `json:"withheld,omitempty"`  // those passed over, and those behind a row that was left out
	Missed    int    `json:"missed,omitempty"`    // ticks for which there was no run
}

// decode reads a schedule's hash; ok is false if there is no schedule.
func decode(id string, at map[string]string) (s State, ok bool) {
	if at["version"] == "" {
		return State{}, false
	}
	num := func(name string) int64 { n, _ := strconv.ParseInt(at[name], 10, 64); return n }
	when := func(name string) time.Time {
		if ms := num(name); ms > 0 {
			return time.UnixMilli(ms)
		}
		return time.Time{}
	}
	return State{
		Definition: Definition{
			Name: at["name"], Cron: at["cron"], Timezone: at["zone"], OnFailure: at["policy"], Missed: at["missed"],
			Overlap: at["overlap"] == "1", PileUp: at["pile_up"] == "1", Source: at["source"],
		},
		ID: id, Rows: int(num("rows")), Revision: at["revision"], Created: when("created"), Changed: when("changed"),
		Paused: at["paused"] == "1", Next: when("next"), Last: at["last"], version: at["version"],
		Asked: Asked{At: when("ask_at"), Batch: at["ask_batch"], Overlap: at["ask_overlap"] == "1"},
		Claim: Claim{
			Number: num("claim"), Until: when("claim_until"), Started: when("claim_started"), Kind: at["claim_kind"],
			Tick: when("claim_tick"), Batch: at["claim_batch"], Revision: at["claim_revision"], Rows: int(num("claim_rows")),
			Policy: at["claim_policy"], PileUp: at["claim_pile_up"] == "1",
			Missed: int(num("claim_missed")), Decided: at["claim_decided"] == "1", Tries: int(num("claim_tries")), Error: at["claim_error"],
		},
	}, true
}
