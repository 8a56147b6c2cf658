package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"habilita/internal/wallclock"
)

// Timetable tells when a schedule is due: a cron expression in a time zone.
//
// When the clocks change, an expression that names its hours still has one tick for each
// time that it names. Ticks in the hour that is skipped become one, at the moment when
// the clocks go forward. Ticks in the hour that comes twice happen the first time only.
// An expression whose hour is * goes by real time: a tick each hour, or every ten
// minutes, whatever the clocks say. It is immutable and safe for concurrent use.
type Timetable struct {
	Expr string // as it was given
	Zone *time.Location
	spec *cron.SpecSchedule // over times of UTC
	real bool               // goes by real time
}

const (
	star    = 1 << 63 // cron's mark of a field that is *
	maxExpr = 256
)

// NewTimetable reads a cron expression of five fields (minute, hour, day of the month,
// month, day of the week), or one of @hourly, @daily, @midnight, @weekly, @monthly,
// @yearly and @annually, in a zone of the IANA database. Sunday is 0 or 7. If both days are
// given, one of them is enough.
func NewTimetable(expr, zone string) (*Timetable, error) {
	expr = strings.TrimSpace(expr)
	switch {
	case len(expr) > maxExpr:
		return nil, fmt.Errorf("the cron expression is longer than %d characters", maxExpr)
	case strings.Contains(expr, "TZ="):
		return nil, errors.New("the cron expression has a zone in it: give it with --timezone")
	case strings.HasPrefix(expr, "@every"):
		return nil, errors.New("@every is not known: write a cron expression, such as '*/10 * * * *'")
	}
	// "Local" would be another zone on another machine under the same name.
	if zone == "" || zone == "Local" {
		return nil, errors.New("no time zone: give one such as America/Bogota or UTC")
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return nil, fmt.Errorf("%.80q is no zone of the IANA database, such as America/Bogota or UTC", zone)
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	parsed, err := parser.Parse(sundayAs7(expr))
	if err != nil {
		return nil, fmt.Errorf("the cron expression %.80q is not valid: %w (five fields: minute, hour, day of the month, month, day of the week)", expr, err)
	}
	spec := parsed.(*cron.SpecSchedule) // @every alone is another kind
	spec.Location = time.UTC
	t := &Timetable{Expr: expr, Zone: loc, spec: spec, real: spec.Hour&star != 0}
	if t.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("the cron expression %q names a day that never comes", expr)
	}
	return t, nil
}

// Next returns the first tick after a time, in the timetable's zone. Zero: none within
// five years.
func (t *Timetable) Next(after time.Time) time.Time {
	if t.real {
		return t.nextReal(after.In(t.Zone))
	}
	wall := asUTC(after.In(t.Zone))
	for {
		if wall = t.spec.Next(wall); wall.IsZero() {
			return time.Time{}
		}
		// A tick whose first occurrence has passed is not made again in the second.
		if at := wallclock.First(wall, t.Zone); at.After(after) {
			return at
		}
	}
}

// nextReal looks through the stretches of time in which the clocks do not change.
func (t *Timetable) nextReal(after time.Time) time.Time {
	limit := after.AddDate(5, 0, 0)
	for from := after; from.Before(limit); {
		_, end := from.ZoneBounds()
		_, offset := from.Zone()
		wall := t.spec.Next(asUTC(from))
		if wall.IsZero() {
			return time.Time{}
		}
		at := wall.Add(-time.Duration(offset) * time.Second)
		if end.IsZero() || at.Before(end) {
			return at.In(t.Zone)
		}
		// The tick may be the first moment of the next stretch.
		if from = end.In(t.Zone); t.matches(from) {
			return from
		}
	}
	return time.Time{}
}

func (t *Timetable) matches(at time.Time) bool {
	wall := asUTC(at)
	return t.spec.Next(wall.Add(-time.Second)).Equal(wall)
}

// asUTC returns the time of UTC that reads as t does.
func asUTC(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// NextRuns returns the first n ticks after a time, fewer if there are no more.
func (t *Timetable) NextRuns(after time.Time, n int) []time.Time {
	var runs []time.Time
	for len(runs) < n {
		if after = t.Next(after); after.IsZero() {
			break
		}
		runs = append(runs, after)
	}
	return runs
}

// Words says what the expression means, such as "at 02:00, every day".
func (t *Timetable) Words() string {
	words := t.timeWords() + ", " + t.dayWords()
	if s := t.spec; s.Month&star == 0 {
		words += ", in " + list(bits(s.Month, 1, 12), func(m int) string { return time.Month(m).String() })
	}
	return words
}

const (
	shownAt   = 6 // times that are told one by one
	perMinute = 60
)

func (t *Timetable) timeWords() string {
	minutes, hours := bits(t.spec.Minute, 0, 59), bits(t.spec.Hour, 0, 23)
	words, every := "at minute "+numbers(minutes), " of every hour"
	if step := stepOf(minutes, perMinute); step == 1 {
		words, every = "every minute", ""
	} else if step > 1 {
		words, every = fmt.Sprintf("every %d minutes", step), ""
	}
	switch {
	case len(hours) == 24:
		return words + every
	case len(minutes)*len(hours) > shownAt:
		return words + " of hour " + numbers(hours)
	}
	var at []string
	for _, h := range hours {
		for _, m := range minutes {
			at = append(at, fmt.Sprintf("%02d:%02d", h, m))
		}
	}
	return "at " + join(at)
}

// dayWords follows cron: if both the day of the month and the day of the week are given,
// one of them is enough.
func (t *Timetable) dayWords() string {
	s := t.spec
	month := "on day " + numbers(bits(s.Dom, 1, 31)) + " of the month"
	week := "on " + list(bits(s.Dow, 0, 6), func(d int) string { return time.Weekday(d).String() })
	switch {
	case s.Dom&star != 0 && s.Dow&star != 0:
		return "every day"
	case s.Dow&star != 0:
		return month
	case s.Dom&star != 0:
		return week
	}
	return month + " or " + week + " (one of the two is enough)"
}

func bits(field uint64, from, to int) (on []int) {
	for i := from; i <= to; i++ {
		if field&(1<<i) != 0 {
			on = append(on, i)
		}
	}
	return on
}

// stepOf returns the interval between numbers that divide the whole evenly from 0 on; 0: they do not.
func stepOf(on []int, whole int) int {
	if len(on) < 2 || whole%len(on) != 0 {
		return 0
	}
	step := whole / len(on)
	for i, n := range on {
		if n != i*step {
			return 0
		}
	}
	return step
}

func numbers(on []int) string { return list(on, strconv.Itoa) }

// list names numbers, three and more in a row as "Monday to Friday".
func list(on []int, name func(int) string) string {
	var parts []string
	for i := 0; i < len(on); {
		end := i
		for end+1 < len(on) && on[end+1] == on[end]+1 {
			end++
		}
		if end >= i+2 {
			parts = append(parts, name(on[i])+" to "+name(on[end]))
			i = end + 1
			continue
		}
		parts = append(parts, name(on[i]))
		i++
	}
	return join(parts)
}

func join(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	last := len(parts) - 1
	return strings.Join(parts[:last], ", ") + " and " + parts[last]
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// sundayAs7 writes the fifth field of an expression with Sunday as 0, if it has Sunday as 7 or
// at the end of a range, as crontab takes it. It leaves what it can't read to the parser.
func sundayAs7(expr string) string {
	fields := strings.Fields(expr)
	if len(fields) != 5 {
		return expr
	}
	parts := strings.Split(fields[4], ",")
	for i, part := range parts {
		parts[i] = sundayIn(part)
	}
	fields[4] = strings.Join(parts, ",")
	return strings.Join(fields, " ")
}

func sundayIn(part string) string {
	span, every, stepped := strings.Cut(part, "/")
	if !stepped {
		every = "1"
	}
	first, last, ranged := strings.Cut(span, "-")
	if !ranged {
		last = first
	}
	from, to := weekday(first), weekday(last)
	if to == 0 && from > 0 {
		to = 7
	}
	step, err := strconv.Atoi(every)
	if from < 0 || to != 7 || err != nil || step < 1 {
		return part
	}
	var days []string
	for d := from; d <= to; d += step {
		days = append(days, strconv.Itoa(d%7))
	}
	return strings.Join(days, ",")
}

// weekday returns the number of a day, 0 to 7; below 0: it is none.
func weekday(s string) int {
	if len(s) == 1 && s[0] >= '0' && s[0] <= '7' {
		return int(s[0] - '0')
	}
	return slices.Index(weekdays, strings.ToLower(s))
}
