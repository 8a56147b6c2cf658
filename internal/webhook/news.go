package webhook

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"habilita/internal/breaker"
	"habilita/internal/control"
	"habilita/internal/schedule"
)

// digestEvery is the least time between two batch.held of a batch, and between two quota.used_up.
const digestEvery = 10 * time.Minute

// batchMark is what was told of a batch. The zero value is nothing, and is not kept.
type batchMark struct {
	settled int64 // settled_at of the last batch.settled, ms
	held    int   // held chains that were told
	heldAt  int64 // when the last batch.held was told, ms
	canary  int   // 1: batch.canary_held was told, and it still holds
}

func parseBatchMark(text string) (m batchMark) {
	_, _ = fmt.Sscan(text, &m.settled, &m.held, &m.heldAt, &m.canary) // what can't be read was never told
	return m
}

func (m batchMark) String() string {
	if m == (batchMark{}) {
		return ""
	}
	return fmt.Sprint(m.settled, " ", m.held, " ", m.heldAt, " ", m.canary)
}

// step is a change of a mark, and what is told with it ("": nothing).
type step struct {
	now  batchMark
	tell Type
}

// newsOfBatch says what to tell about a batch. It is pure. since is when telling began: a batch that had settled before is
// not news.
func newsOfBatch(s control.Status, m batchMark, now, since time.Time) (steps []step) {
	if s.Unread > 0 || s.Total == 0 || s.Settled && s.SettledAt.Before(since) {
		return nil
	}
	next := func(t Type) { steps = append(steps, step{m, t}) }
	switch holds := s.Canary.State == control.CanaryHeld; {
	case holds && m.canary == 0:
		m.canary = 1
		next(BatchCanaryHeld)
	case !holds && m.canary == 1:
		m.canary = 0
		next("")
	}
	switch n := s.HeldChains; {
	case n > m.held && now.UnixMilli()-m.heldAt >= digestEvery.Milliseconds():
		m.held, m.heldAt = n, now.UnixMilli()
		next(BatchHeld)
	case n < m.held:
		m.held = n
		next("")
	}
	if at := s.SettledAt.UnixMilli(); s.Settled && at != m.settled {
		m.settled = at
		next(BatchSettled)
	}
	return steps
}

// newsOfServer says what to tell about a server, and the mark after it. A mark is the time since which the server is down.
func newsOfServer(h breaker.ServerStatus, mark string) (Type, string) {
	down := ""
	if h.State != breaker.Closed {
		down = strconv.FormatInt(h.Since.UnixMilli(), 10)
	}
	switch {
	case down == mark:
		return "", mark
	case down == "":
		return ServerUp, ""
	}
	return ServerDown, down
}

// newsOfRuns returns the runs of a schedule that are to be told, the oldest first. runs are the last ones, the newest
// first; told is when the last one that was told was over, ms.
func newsOfRuns(runs []schedule.Run, told int64) []schedule.Run {
	out := slices.DeleteFunc(slices.Clone(runs), func(r schedule.Run) bool { return r.Finished <= told || r.Result == schedule.ResultMade })
	slices.Reverse(out)
	return out
}

// quotaMark is what was told of tokens that have used up their quota.
type quotaMark struct {
	day    int64 // when that day ends, ms
	tokens int
	at     int64 // when it was told, ms
}

func parseQuotaMark(text string) (m quotaMark) {
	_, _ = fmt.Sscan(text, &m.day, &m.tokens, &m.at)
	return m
}

func (m quotaMark) String() string { return fmt.Sprint(m.day, " ", m.tokens, " ", m.at) }

// newsOfQuota says whether to tell that this many tokens have used up the quota of the day that ends at day, and the mark
// after it.
func newsOfQuota(tokens int, day int64, m quotaMark, now time.Time) (tell bool, next quotaMark) {
	if m.day != day {
		m = quotaMark{}
	}
	if tokens <= m.tokens || now.UnixMilli()-m.at < digestEvery.Milliseconds() {
		return false, m
	}
	return true, quotaMark{day, tokens, now.UnixMilli()}
}
