package schedule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/rows"
)

// Definition is what a person says about a schedule.
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

// What happens to a tick if no worker was there.
const (
	Once = "once" // however many were missed, one run is made for the last of them
	Skip = "skip" // it is passed over
)

const maxSource = 256

// Check validates the definition, fills in its defaults, and returns its timetable.
func (d *Definition) Check() (*Timetable, error) {
	if !scheduleName.MatchString(d.Name) {
		return nil, fmt.Errorf("the name %.80q is not one of a schedule: it has 1 to 64 letters, digits, '.', '_' and '-', and does not begin with '-'", d.Name)
	}
	if p := rows.DotsProblem(d.Name); p != "" {
		return nil, fmt.Errorf("the name of a schedule %s", p)
	}
	policy, err := ledger.ParsePolicy(d.OnFailure)
	if err != nil {
		return nil, err
	}
	d.OnFailure, d.Missed = string(policy), cmp.Or(d.Missed, Once)
	if d.Missed != Once && d.Missed != Skip {
		return nil, fmt.Errorf("missed runs: %q is not one of once, skip", d.Missed)
	}
	d.Source = strings.ToValidUTF8(d.Source[:min(len(d.Source), maxSource)], "")
	return NewTimetable(d.Cron, d.Timezone)
}

var scheduleName = regexp.MustCompile(`^[A-Za-z0-9._][A-Za-z0-9._-]{0,63}$`)

// BatchOfTick returns the name of the batch that is the run of a tick, such as
// "nightly@2026-11-24T02:00-05:00".
func BatchOfTick(name string, tick time.Time) string {
	return name + "@" + tick.Format("2006-01-02T15:04Z07:00")
}

// BatchOfAsked returns the name of the batch of a run that a person asked for at a time.
// It is never that of a tick.
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
	ResultMissed  = "missed"  // no worker was there, and the schedule skips such ticks
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
	num := func(name string) int64 { return redisconn.Int(at[name]) }
	when := func(name string) time.Time { return redisconn.Time(num(name)) }
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

// ErrLost says that another worker has the claim by now, or that its schedule was removed.
var ErrLost = errors.New("the run is another worker's by now")

// MakeClaim claims, for a lease, the run that a decision says to make. ok is false if
// another worker was first, or the schedule has changed since it was read.
func (s *Store) MakeClaim(ctx context.Context, st State, d Decision, lease time.Duration) (Claim, bool, error) {
	c := Claim{
		Kind: d.Kind, Tick: d.Tick, Batch: d.Batch, Revision: st.Revision, Rows: st.Rows,
		Policy: st.OnFailure, PileUp: st.PileUp, Missed: d.Missed,
	}
	var err error
	c.Number, err = s.run(ctx, "claim", st.ID, st.version, lease.Milliseconds(), millis(d.Next),
		d.Kind, millis(d.Tick), d.Batch, d.Missed).Int64()
	return c, c.Number > 0, err
}

// TakeClaim takes over a run whose lease has ended. ok is false if another worker was first.
func (s *Store) TakeClaim(ctx context.Context, st State, lease time.Duration) (Claim, bool, error) {
	c := st.Claim
	var err error
	c.Number, err = s.run(ctx, "take", st.ID, c.Number, lease.Milliseconds()).Int64()
	return c, c.Number > 0, err
}

// Renew keeps a claim for another lease, or returns ErrLost.
func (s *Store) Renew(ctx context.Context, id string, c Claim, lease time.Duration) error {
	return held(s.run(ctx, "renew", id, c.Number, lease.Milliseconds(), "").Int())
}

// GiveBack lets another worker take over the run, after a while. why is what went wrong;
// "": nothing.
func (s *Store) GiveBack(ctx context.Context, id string, c Claim, after time.Duration, why string) error {
	return held(s.run(ctx, "renew", id, c.Number, after.Milliseconds(), why).Int())
}

// perSlice is how many chains one script writes down.
const perSlice = 500

// DecidePassed writes down which chains the run of a claim passes over. Nothing of the
// run may be enqueued before. If that was done already, it changes nothing.
func (s *Store) DecidePassed(ctx context.Context, id string, c Claim, chains func(yield func(string, error) bool)) error {
	args := []any{c.Number, false}
	send := func(last bool) error {
		args[1] = last
		err := s.run(ctx, "decided", id, args...).Err()
		args = args[:2]
		return err
	}
	for chain, err := range chains {
		if err != nil {
			return err
		}
		if args = append(args, chain); len(args) >= perSlice {
			if err := send(false); err != nil {
				return err
			}
		}
	}
	return send(true)
}

// Passed returns the chains that the run of a claim passes over, or ErrLost.
func (s *Store) Passed(ctx context.Context, id string, c Claim) (map[string]struct{}, error) {
	v, err := s.rdb.HMGet(ctx, s.hash(id), "claim", "claim_first", "claim_decided").Result()
	if err != nil {
		return nil, err
	}
	first, _ := v[1].(string)
	if v[0] != strconv.FormatInt(c.Number, 10) || v[2] != "1" {
		return nil, ErrLost
	}
	out := map[string]struct{}{}
	scan := s.rdb.HScan(ctx, s.key(id)+"passed:"+first, 0, "", 1000).Iterator()
	for scan.Next(ctx) {
		out[scan.Val()] = struct{}{}
		scan.Next(ctx) // its value
	}
	return out, scan.Err()
}

// Finish ends the run of a claim and puts it into the history, or returns ErrLost.
func (s *Store) Finish(ctx context.Context, id string, c Claim, r Run) error {
	return held(s.run(ctx, "finish", id, c.Number, r.text()).Int())
}

// PassOver writes down that there is no run, as a decision says. ok is false if another
// worker was first, or the schedule has changed since it was read.
func (s *Store) PassOver(ctx context.Context, st State, d Decision) (ok bool, err error) {
	r := Run{Kind: d.Kind, Tick: d.Tick.UnixMilli(), Result: d.Result, Reason: d.Reason, Missed: d.Missed}
	n, err := s.run(ctx, "pass", st.ID, st.version, millis(d.Next), r.text(), d.Kind == KindAsked).Int()
	return n > 0, err
}

func held(n int, err error) error {
	if err == nil && n == 0 {
		return ErrLost
	}
	return err
}

// Grace is how late a tick may be made and still not count as missed: a worker may be
// restarting.
const Grace = 5 * time.Minute

// Action is what a worker is to do with a schedule.
type Action string

// The actions.
const (
	Nothing Action = ""     // not now
	Make    Action = "make" // claim a run and make it
	Pass    Action = "pass" // write down that there is no run
	Take    Action = "take" // take over a run whose worker is gone
)

// Decision is what is to be done with a schedule at a time.
type Decision struct {
	Action Action
	Kind   string    // of the run: KindTick or KindAsked
	Tick   time.Time // of the run; when it was asked for
	Batch  string    // of the run
	Missed int       // ticks before it for which there was no run
	Result string    // of a run that is passed over: Skipped or Missed
	Reason string    // why it is passed over, in words
	Next   time.Time // the next tick; zero: none within five years
}

// Kinds of a run.
const (
	KindTick  = "tick"
	KindAsked = "asked" // a person asked for it
)

// Decide says what is to be done now, by the clock of Redis. unsettled returns the batch
// of the last run if that has not settled, "" otherwise; it is called only if a run would
// be made. Decide changes nothing.
func Decide(t *Timetable, s State, now time.Time, unsettled func() (string, error)) (Decision, error) {
	if s.Claim.Number > 0 {
		if s.Claim.Until.After(now) {
			return Decision{}, nil
		}
		return Decision{Action: Take}, nil
	}
	if !s.Asked.At.IsZero() {
		d := Decision{Action: Make, Kind: KindAsked, Tick: s.Asked.At, Batch: s.Asked.Batch, Next: s.Next}
		return d.unless(s.Overlap || s.Asked.Overlap, unsettled)
	}
	if s.Paused || s.Next.IsZero() || s.Next.After(now) {
		return Decision{}, nil
	}
	tick, missed, next := t.due(s.Next, now)
	skip := s.Missed == Skip && (missed > 0 || now.Sub(tick) > Grace)
	if skip && now.Sub(tick) <= Grace {
		tick, missed, next = t.due(s.Next, tick.Add(-1)) // those before the newest, which has its run at the next look
	}
	d := Decision{
		Action: Make, Kind: KindTick, Tick: tick, Batch: BatchOfTick(s.Name, tick.In(t.Zone)), Missed: missed, Next: next,
	}
	if skip {
		d.Action, d.Result, d.Missed = Pass, ResultMissed, missed+1
		d.Reason = "no worker was there when it was due, or the run before was still being enqueued"
		return d, nil
	}
	return d.unless(s.Overlap, unsettled)
}

// unless passes over the run if the last one has not settled, unless runs may overlap.
func (d Decision) unless(overlap bool, unsettled func() (string, error)) (Decision, error) {
	if overlap {
		return d, nil
	}
	batch, err := unsettled()
	if err != nil || batch == "" {
		return d, err
	}
	d.Action, d.Result, d.Reason = Pass, ResultSkipped, "the last run, "+batch+", has not settled"
	return d, nil
}

// maxMissed is how many missed ticks are counted one by one.
const maxMissed = 10_000

// due returns the last tick by now, how many there were before it since the first, and
// the next one.
func (t *Timetable) due(first, now time.Time) (last time.Time, before int, next time.Time) {
	last = first
	for {
		next = t.Next(last)
		if next.IsZero() || next.After(now) {
			return last, before, next
		}
		last = next
		if before++; before == maxMissed && now.Sub(last) > 48*time.Hour {
			// Stop counting: there is a tick every minute, and no worker was there for about a week.
			if near := t.Next(now.Add(-24 * time.Hour)); !near.IsZero() && !near.After(now) {
				last = near
			}
		}
	}
}
