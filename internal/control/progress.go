package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"habilita/internal/leasttime"
	"habilita/internal/ledger"
)

const (
	// sampleEvery is the least time between two samples of what waits.
	sampleEvery = 3 * time.Second
	// sampleBuckets and sampleEach bound a sample: how many buckets of the batch it reads, and
	// how many entries of each list in a bucket.
	sampleBuckets, sampleEach = 16, 8
	// maxErrors is how many texts LastErrors has at most.
	maxErrors = 3
	// smoothing is the time after which an old rate weighs a third.
	smoothing = 10 * time.Second
)

// Progress is the state of a batch that is being worked on.
type Progress struct {
	Status
	Rate       float64   `json:"rate"`        // calls a second that succeeded, smoothed over some 10 s; 0 until 3 s of them were seen
	ETASeconds *float64  `json:"eta_seconds"` // until all that need no person have a result, at that rate; null: not known
	Waiting    []Waiting `json:"waiting"`     // what chains of the batch wait for, the most frequent first
	Sampled    bool      `json:"sampled"`     // Waiting counts a sample of the chains ("held" is exact all the same)
	LastErrors []string  `json:"last_errors"` // at most 3 texts, of chains that failed and wait or are held

	longest string // id of the chain with the most calls left; "": not known
	left    int    // of its calls
}

// Waiting counts chains that wait for the same reason.
type Waiting struct {
	Reason string `json:"reason"` // as Chain.Reason; worker: can run; scheduled: calls that are not due
	Chains int    `json:"chains"`
	Until  Time   `json:"until"` // the earliest; null: at once, or when a person decides
}

// WaitProgress is WaitSettled, but it also passes the progress to seen: the rate and, from a
// sample at most every 3 s, what waits for what. It does so when a count, a reason or an error
// text changed, or when there is a rate or none any more. A sample is about 1,600 commands at
// most, however big the batch is.
func (o *Control) WaitProgress(ctx context.Context, batchName string, timeout time.Duration, seen func(Progress)) (Status, error) {
	var last, told Progress
	var rate Rate
	var longest longest
	var sampled time.Time
	first, round := true, 0
	err := wait(ctx, timeout, func(ctx context.Context) (changed, settled bool, err error) {
		m, tags, err := o.batch(ctx, batchName)
		if err != nil {
			return false, false, err
		}
		p := Progress{Waiting: last.Waiting, Sampled: last.Sampled, LastErrors: last.LastErrors}
		var live []string
		if p.Status, live, err = o.statusAndLive(ctx, m, tags); err != nil {
			return false, false, err
		}
		now := time.Now()
		if first || p.Settled || now.Sub(sampled) >= sampleEvery {
			sampled = now
			if err := o.sample(ctx, m, live, round, &p); err != nil {
				return false, false, err
			}
			round++
			longest.see(now, p.longest, p.left)
		}
		p.see(&rate, &longest, now)
		last = p
		changed = first || p.Status != told.Status
		if changed || p.news() != told.news() {
			first, told = false, p
			seen(p)
		}
		return changed, p.Settled, nil
	})
	return last.Status, err
}

// see fills in the rate and the time left: at that rate, but no less than the longest chain needs.
func (p *Progress) see(rate *Rate, chain *longest, now time.Time) {
	p.Rate = rate.See(now, p.Succeeded)
	tomorrow := slices.ContainsFunc(p.Waiting, func(w Waiting) bool { return w.Reason == "quota" })
	if left, known := p.TimeLeft(p.Rate); known && !tomorrow {
		p.ETASeconds = new(max(left, chain.timeLeft(now)).Seconds())
	}
}

// longest follows the chain that has the most calls left. The zero value follows none.
type longest struct {
	chain       string
	first, last time.Time
	from, left  int // calls, then
}

// see takes the chain that is the longest now; "": it is not known.
func (l *longest) see(now time.Time, chain string, left int) {
	if chain != l.chain {
		*l = longest{chain: chain, first: now, from: left}
	}
	l.last, l.left = now, left
}

// timeLeft is how long the chain needs, at the pace that was seen of it; 0: none was.
func (l *longest) timeLeft(now time.Time) time.Duration {
	if l.from <= l.left {
		return 0
	}
	return max(0, l.last.Sub(l.first)/time.Duration(l.from-l.left)*time.Duration(l.left)-now.Sub(l.last))
}

// TimeLeft returns how long it takes until all calls that need no person have a result, if perSecond of them succeed each
// second, and as many of them as so far are given up; 0 if all have one. It is not known without a rate, or if calls wait
// for their time.
func (s Status) TimeLeft(perSecond float64) (left time.Duration, known bool) {
	calls := s.Open - s.Blocked
	if calls > 0 && s.Succeeded > 0 {
		calls = max(calls*s.Succeeded/(s.Succeeded+s.Failed), 1)
	}
	return leasttime.AtRate(calls, perSecond), calls <= 0 || perSecond > 0 && s.DueAt.IsZero()
}

// Obstacles fills in what chains of a batch wait for, from a sample, and their last errors.
func (o *Control) Obstacles(ctx context.Context, batchName string, p *Progress) error {
	m, tags, err := o.batch(ctx, batchName)
	if err != nil {
		return err
	}
	return o.sample(ctx, m, tags, 0, p)
}

// news returns the parts of the progress whose change is news: the reasons and errors, and whether there is a rate. The
// numbers of a sample are not among them, since they differ each time.
func (p Progress) news() string {
	var reasons []string
	for _, w := range p.Waiting {
		reasons = append(reasons, w.Reason)
	}
	slices.Sort(reasons)
	return fmt.Sprintf("%q %q %t", reasons, slices.Sorted(slices.Values(p.LastErrors)), p.Rate > 0)
}

// sample fills in what waits. If the batch has many buckets, each round looks at other ones.
func (o *Control) sample(ctx context.Context, m ledger.Batch, tags []string, round int, p *Progress) error {
	p.Waiting, p.Sampled, p.LastErrors = []Waiting{}, false, []string{}
	if p.Open == 0 && p.HeldChains == 0 {
		return nil
	}
	some := tags
	if len(tags) > sampleBuckets {
		from := round * sampleBuckets % len(tags)
		some = append(slices.Clone(tags[from:]), tags[:from]...)[:sampleBuckets]
	}
	found, err := o.ledger.Sample(ctx, some, sampleEach)
	if err != nil {
		return fmt.Errorf("sample of the chains of batch %q: %w", m.Name, err)
	}
	p.Sampled = len(some) < len(tags) || !found.Whole
	p.longest, p.left = "", 0
	reasons := map[string]*Waiting{}
	add := func(reason string, until time.Time) {
		w := reasons[reason]
		if w == nil {
			w = &Waiting{Reason: reason}
			reasons[reason] = w
		}
		w.Chains++
		w.Until.Time = ledger.Earlier(w.Until.Time, until)
	}
	var failed []Chain
	for _, raw := range found.Chains {
		if raw.Head.Batch != m.ID {
			continue
		}
		c := forPeople(raw)
		if left := raw.Behind + 1; !p.Sampled && !c.Held() && left > p.left {
			p.longest, p.left = raw.ID, left
		}
		switch {
		case c.Held():
			failed = append(failed, c)
		case c.State == stateReady || c.State == stateDispatched:
			add("worker", time.Time{})
		case c.Reason != "":
			add(c.Reason, c.Until.Time)
			failed = append(failed, c)
		}
	}
	for _, s := range found.Scheduled {
		if s.Batch == m.ID {
			add("scheduled", s.DueAt.Time)
		}
	}
	if p.HeldChains > 0 {
		reasons[stateHeld] = &Waiting{Reason: stateHeld, Chains: p.HeldChains}
	}
	for _, w := range reasons {
		p.Waiting = append(p.Waiting, *w)
	}
	slices.SortFunc(p.Waiting, func(a, b Waiting) int {
		return cmp.Or(cmp.Compare(b.Chains, a.Chains), cmp.Compare(a.Reason, b.Reason))
	})
	p.LastErrors = lastErrors(failed)
	return nil
}

// lastErrors are the texts of the newest failures, each once.
func lastErrors(chains []Chain) []string {
	at := func(c Chain) time.Time {
		if !c.Head.FinishedAt.IsZero() {
			return c.Head.FinishedAt.Time
		}
		return c.Since.Time
	}
	slices.SortStableFunc(chains, func(a, b Chain) int { return at(b).Compare(at(a)) })
	out := []string{}
	for _, c := range chains {
		if text := outcome(c.Head); text != "" && !slices.Contains(out, text) {
			if out = append(out, text); len(out) == maxErrors {
				break
			}
		}
	}
	return out
}

// Rate smooths the rate of a number that grows. It is the mean since the number began to grow, but older growth counts
// less.
type Rate struct {
	At     time.Time // when it was seen last; zero: never
	moved  time.Time // when it was seen to grow last
	last   int
	rate   float64
	weight float64 // of all that rate is the mean of, in seconds; 0: it has not grown
}

// A number stands still if it has not grown for the time stands, although at its rate it should have grown by standsBy.
const (
	stands   = 15 * time.Second
	standsBy = 3
)

// soonest is how long a number must be seen to grow before it has a rate: a first wave of answers does not make one.
const soonest = 3 * time.Second

// Early reports whether the number grows, but for too short a time to have a rate.
func (r *Rate) Early() bool {
	return r.weight > 0 && r.weight < smoothing.Seconds()*(1-math.Exp(-soonest.Seconds()/smoothing.Seconds()))-1e-9
}

// See takes the number at a time, and returns its rate per second: zero at the first look, and while it is Early.
func (r *Rate) See(now time.Time, number int) float64 {
	seconds := now.Sub(r.At).Seconds()
	switch {
	case r.At.IsZero():
		r.At, r.moved, r.last = now, now, number
		return 0
	case seconds <= 0 && r.Early():
		return 0
	case seconds <= 0:
		return r.rate
	}
	if current := float64(max(number-r.last, 0)) / seconds; current > 0 || r.weight > 0 {
		fades := math.Exp(-seconds / smoothing.Seconds())
		weight := smoothing.Seconds() * (1 - fades)
		r.weight = r.weight*fades + weight
		r.rate += (current - r.rate) * weight / r.weight
	}
	if number > r.last {
		r.moved = now
	}
	r.At, r.last = now, number
	still := now.Sub(r.moved)
	if r.rate < 0.01 || still >= stands && r.rate*still.Seconds() >= standsBy {
		r.rate, r.weight = 0, 0
	}
	if r.Early() {
		return 0
	}
	return math.Round(r.rate*100) / 100
}

// ErrNotSettled says that the time to wait was over first.
var ErrNotSettled = errors.New("not settled yet")

// WaitSettled waits until a batch is settled and returns its last counts. After
// timeout (0: none) the error is ErrNotSettled; when ctx ends, its own. If Redis does
// not answer, it goes on trying for a minute.
func (o *Control) WaitSettled(ctx context.Context, batchName string, timeout time.Duration) (last Status, err error) {
	err = wait(ctx, timeout, func(ctx context.Context) (changed, settled bool, err error) {
		s, err := o.Status(ctx, batchName)
		if err != nil {
			return false, false, err
		}
		changed, last = s != last, s
		return changed, s.Settled, nil
	})
	return last, err
}

// CallKey tells calls with the same id apart, by the batch's name ("": none) and the token_id.
type CallKey struct{ ID, Batch, TokenID string }

// WaitCall waits until a call has a result, or stands behind a held head: then nothing
// happens without a person. Otherwise it is like WaitSettled.
func (o *Control) WaitCall(ctx context.Context, k CallKey, timeout time.Duration) (last CallRecord, err error) {
	err = wait(ctx, timeout, func(ctx context.Context) (changed, settled bool, err error) {
		r, err := o.Call(ctx, k)
		if err != nil {
			return false, false, err
		}
		changed, last = r != last, r
		// A call that has just changed is hardly held: the next look asks.
		if settled = !r.Open(); !settled && !changed {
			settled, err = o.Settled(ctx, r)
		}
		return changed, settled, err
	})
	return last, err
}

// Call returns the one call that a key names.
func (o *Control) Call(ctx context.Context, k CallKey) (CallRecord, error) {
	all, err := o.Show(ctx, k.ID)
	if err != nil {
		return CallRecord{}, err
	}
	at := slices.IndexFunc(all, func(r CallRecord) bool { return r.TokenID == k.TokenID && r.Batch == ledger.BatchID(k.Batch) })
	if at < 0 {
		return CallRecord{}, &UnknownError{ledger.ErrNoCall, k.ID}
	}
	return all[at], nil
}

// Settled reports whether a call has a result or stands behind a held head: then nothing
// happens without a person.
func (o *Control) Settled(ctx context.Context, r CallRecord) (bool, error) {
	if !r.Open() {
		return true, nil
	}
	c, ok, err := o.ledger.ChainByID(ctx, r.Chain)
	return ok && c.State == stateHeld, of(err, "chain %s", r.Chain)
}

// wait is ledger.Wait with a time-out; 0: none.
func wait(ctx context.Context, timeout time.Duration, look func(context.Context) (changed, settled bool, err error)) error {
	parent, stop := ctx, context.CancelFunc(func() {})
	if timeout > 0 {
		ctx, stop = context.WithTimeout(parent, timeout)
	}
	defer stop()
	err := ledger.Wait(ctx, func() (changed, settled bool, err error) { return look(ctx) })
	if err != nil && err == ctx.Err() {
		return cmp.Or(parent.Err(), ErrNotSettled)
	}
	return err
}
