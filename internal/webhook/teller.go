package webhook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"habilita/internal/breaker"
	"habilita/internal/control"
	"habilita/internal/membership"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/internal/wolkvox"
)

const (
	lookEvery  = 2 * time.Second // at everything, by one worker
	hintEvery  = time.Second     // at the batches of calls that this worker made
	hintAtMost = 5 * time.Second // between two looks at a batch of many calls
	quotaEvery = 5 * time.Second
	// breather is how many times as long as a look took the next one waits, so that even much data costs Redis little.
	breather     = 10
	leadFor      = 6 * time.Second
	forgetAfter  = 24 * time.Hour // without a worker that tells: what happened meanwhile is not told
	digestTokens = 100            // that a quota.used_up names
)

// Teller finds what is to be told and writes it into the outbox. It is safe for concurrent use.
type Teller struct {
	outbox    *Outbox
	rdb       redis.UniversalClient
	control   *control.Control
	servers   *breaker.Store
	schedules *schedule.Store
	receivers []Receiver
	types     []Type
	metrics   *metrics
	log       zerolog.Logger
	me        string

	mu    sync.Mutex
	hints map[string]hint
}

func (t *Teller) run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { t.every(ctx, hintEvery, "the batches of this worker", t.lookAtHints) })
	all.Go(func() { t.every(ctx, lookEvery, "batches, schedules and servers", t.ifLeads(t.look)) })
	all.Go(func() { t.every(ctx, lookEvery, "calls that ended", t.ifLeads(t.lookAtFinished)) })
	all.Go(func() { t.every(ctx, quotaEvery, "the tokens' quota", t.ifLeads(t.lookAtQuota)) })
	all.Wait()
	t.resign(ctx)
}

// resign lets another worker look at once. If it fails, another one looks after leadFor.
func (t *Teller) resign(ctx context.Context) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords/2)
	defer cancel()
	key := t.outbox.prefix + "teller"
	if who, err := t.rdb.Get(last, key).Result(); err == nil && who == t.me {
		_ = t.rdb.Del(last, key).Err()
	}
}

// every looks again and again until ctx ends.
func (t *Teller) every(ctx context.Context, least time.Duration, at string, look func(context.Context) error) {
	for failed := false; ctx.Err() == nil; {
		began := time.Now()
		err := look(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			t.log.Warn().Err(err).Msg("webhooks: a look at " + at + " failed; trying again")
		}
		failed = err != nil
		pause(ctx, max(least, breather*time.Since(began)))
	}
}

// ifLeads lets one worker look. Two that do so at the same time do no harm.
func (t *Teller) ifLeads(look func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		leads, err := membership.Lead(ctx, t.rdb, t.outbox.prefix+"teller", t.me, leadFor)
		if err != nil || !leads {
			return err
		}
		return look(ctx)
	}
}

// begin returns the time of Redis, and the time since which workers tell.
func (t *Teller) begin(ctx context.Context) (now, since time.Time, err error) {
	if now, err = t.rdb.Time(ctx).Result(); err != nil {
		return now, since, err
	}
	key := t.outbox.prefix + "since"
	if _, err = t.rdb.SetNX(ctx, key, now.UnixMilli(), forgetAfter).Result(); err != nil {
		return now, since, err
	}
	ms, err := t.rdb.Get(ctx, key).Int64()
	if err != nil {
		return now, since, err
	}
	return now, time.UnixMilli(ms), t.rdb.PExpire(ctx, key, forgetAfter).Err()
}

// look looks at everything but the quota.
func (t *Teller) look(ctx context.Context) error {
	now, since, err := t.begin(ctx)
	if err != nil {
		return err
	}
	if err := t.outbox.have(ctx, t.receivers, now); err != nil {
		return err
	}
	marks, err := t.outbox.Marks(ctx)
	if err != nil {
		return err
	}
	return errors.Join(t.lookAtBatches(ctx, marks, now, since), t.lookAtSchedules(ctx, marks, since), t.lookAtServers(ctx, marks, now))
}

// tell writes an event, if it is one of those that are wanted, and changes its mark.
func (t *Teller) tell(ctx context.Context, m Mark, e *Event) (bool, error) {
	if e != nil && !slices.Contains(t.types, e.Type) {
		e = nil
	}
	told, dropped, err := t.outbox.Tell(ctx, m, e, t.receivers)
	if dropped > 0 {
		t.metrics.results.WithLabelValues(resultDropped).Add(float64(dropped))
		t.log.Error().Int("dropped", dropped).Msg("webhooks were dropped, the oldest first: too many wait for their receiver")
	}
	return told, err
}

// news is what is to be told of something, and its mark after that.
type news struct {
	event *Event // nil: the mark alone changes
	mark  string
}

// tellAll tells the news about a thing that has a mark, the oldest first.
func (t *Teller) tellAll(ctx context.Context, field, mark string, all ...news) error {
	for _, n := range all {
		told, err := t.tell(ctx, Mark{field, mark, n.mark}, n.event)
		if err != nil || !told { // not told: another worker was first
			return err
		}
		mark = n.mark
	}
	return nil
}

// runData is a run of a schedule that was not made.
type runData struct {
	Schedule string       `json:"schedule"`
	Batch    string       `json:"batch"` // "" none
	Tick     control.Time `json:"tick"`
	Result   string       `json:"result"` // failed, skipped or missed
	Reason   string       `json:"reason"`
	Calls    int          `json:"calls"`  // that were enqueued all the same
	Missed   int          `json:"missed"` // ticks for which there was no run
}

func (t *Teller) lookAtSchedules(ctx context.Context, marks map[string]string, since time.Time) error {
	all, _, unread := t.schedules.All(ctx)
	if !redisconn.Partly(unread) {
		return unread
	}
	for _, s := range all {
		field := "s:" + s.ID
		mark := marks[field]
		delete(marks, field)
		runs, err := t.schedules.Runs(ctx, s.Name)
		if err != nil {
			unread = errors.Join(unread, err)
			continue
		}
		told, err := strconv.ParseInt(mark, 10, 64)
		if err != nil {
			told = since.UnixMilli()
		}
		var all []news
		for _, r := range newsOfRuns(runs, told) {
			kind := ScheduleSkipped
			if r.Result == schedule.ResultFailed {
				kind = ScheduleFailed
			}
			all = append(all, news{&Event{eventID(kind, s.Name, r.Tick, r.Finished), kind, time.UnixMilli(r.Finished), runData{
				s.Name, r.Batch, millis(float64(r.Tick)), r.Result, r.Reason, r.Calls, r.Missed,
			}}, strconv.FormatInt(r.Finished, 10)})
		}
		if err := t.tellAll(ctx, field, mark, all...); err != nil {
			return errors.Join(unread, err)
		}
	}
	if unread == nil {
		return t.forget(ctx, "s:", marks)
	}
	return unread
}

// serverData is the state of a server of the vendor.
type serverData struct {
	Server   string       `json:"server"`
	State    string       `json:"state"`
	Since    control.Time `json:"since"`
	Requests int          `json:"requests"` // of the last 5 to 10 minutes
	Failures int          `json:"failures"`
}

func (t *Teller) lookAtServers(ctx context.Context, marks map[string]string, now time.Time) error {
	all, err := t.servers.Servers(ctx, now)
	if err != nil {
		return err
	}
	for _, h := range all {
		field := "v:" + h.Server
		kind, next := newsOfServer(h, marks[field])
		if kind == "" {
			continue
		}
		e := &Event{eventID(kind, h.Server, h.Since.UnixMilli()), kind, h.Since,
			serverData{h.Server, string(h.State), control.Time{Time: h.Since}, h.Requests, h.Failures}}
		if err := t.tellAll(ctx, field, marks[field], news{e, next}); err != nil {
			return err
		}
	}
	return nil
}

// lookAtFinished tells of calls that ended and asked for it.
func (t *Teller) lookAtFinished(ctx context.Context) error {
	_, since, err := t.begin(ctx)
	if err != nil {
		return err
	}
	return t.control.EachFinished(ctx, func(c control.BatchCall) error {
		if c.FinishedAt.Before(since) {
			return nil
		}
		e := &Event{eventID(CallFinished, c.Batch, c.TokenID, c.ID, c.State, c.FinishedAt.UnixMilli()), CallFinished, c.FinishedAt.Time, c}
		_, err := t.tell(ctx, Mark{}, e)
		return err
	})
}

// quotaData says which tokens can make no call today any more.
type quotaData struct {
	UsedUp    int          `json:"used_up"` // tokens
	TokenIDs  []string     `json:"token_ids"`
	NextDayAt control.Time `json:"next_day_at"`
}

// lookAtQuota tells of the tokens that can be read. Its error says what can't be.
func (t *Teller) lookAtQuota(ctx context.Context) error {
	rows, unread := t.control.Quota(ctx)
	now, err := t.rdb.Time(ctx).Result()
	if err != nil {
		return err
	}
	data := quotaData{TokenIDs: []string{}}
	for _, r := range rows {
		if r.Used < r.Quota && r.CoolingReason != string(wolkvox.TokenLimit) {
			continue
		}
		if data.UsedUp++; len(data.TokenIDs) < digestTokens {
			data.TokenIDs = append(data.TokenIDs, r.TokenID)
		}
		data.NextDayAt = r.NextDayAt
	}
	if data.UsedUp == 0 {
		return unread
	}
	mark, err := t.outbox.Mark(ctx, "q")
	if err != nil {
		return err
	}
	if tell, next := newsOfQuota(data.UsedUp, data.NextDayAt.UnixMilli(), parseQuotaMark(mark), now); tell {
		err = t.tellAll(ctx, "q", mark, news{&Event{eventID(QuotaUsedUp, fmt.Sprint(next)), QuotaUsedUp, now, data}, next.String()})
	}
	return errors.Join(unread, err)
}
