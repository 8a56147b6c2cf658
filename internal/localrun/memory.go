package localrun

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"habilita/internal/ledger"

	"habilita/internal/quota"
	"habilita/internal/redisconn"
	"habilita/internal/seen"
)

// memory is what a journal says about a job.
type memory struct {
	head    *head // nil: there is none
	created time.Time
	content *content      // of an older version's job
	calls   []*remembered // in the order of their first grant
	byKey   map[rowKey]*remembered
	tokens  map[string]*tokenMemory

	rows seen.Table // rows of the last start, by rowHash
	read []uint64   // the same, as they were noted
}

const (
	rowKnown = 1 // it was there at the last start
	rowRead  = 2 // the file has it still
	rowLeft  = 3 // the file has it no more
)

// remembered is a call that was granted at least once, or has ended.
type remembered struct {
	ledger.Restored
	server, ref string // of the row that brought it; "" of an older version's job
	row         int
	recalled    bool // the file has it still
}

// unsent reports whether certainly no request of the call was ever sent.
func (c *remembered) unsent() bool {
	return c.Attempts == 0 && (c.State == ledger.RestoreWaiting || c.State == ledger.RestoreCancelled)
}

// tokenMemory is what a token has used.
type tokenMemory struct {
	quota.Restored
	cooling *end // the last that was not lifted; nil: none
	days    map[string]string
}

// remember replays the records of a journal.
func remember(records [][]byte) (*memory, error) {
	m := &memory{}
	m.forget()
	for i, raw := range records {
		var r record
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("record %d of the journal: %w", i+1, err)
		}
		if err := m.apply(r); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *memory) forget() {
	*m = memory{byKey: map[rowKey]*remembered{}, tokens: map[string]*tokenMemory{}}
}

func (m *memory) apply(r record) error {
	switch {
	case r.Type == typeHead && r.Head != nil:
		if r.Head.Version != version && (r.Head.Version != oldVersion || r.Content == nil) {
			return fmt.Errorf("the journal is of version %d, this program knows %d: go on with the program that began", r.Head.Version, version)
		}
		m.forget()
		m.head, m.created = r.Head, redisconn.Time(r.At)
		m.content = r.Content
	case r.Type == typeFile && r.Content != nil:
		m.content = r.Content
	case r.Type == typeRows:
		return m.noted(r.Rows, rowKnown)
	case r.Type == typeLeft:
		return m.noted(r.Rows, 0)
	case r.Type == typeGrant && r.Grant != nil:
		m.granted(r)
	case r.Type == typeEnd && r.Grant != nil && r.End != nil:
		m.outcome(r)
	case r.Type == typeRetry:
		for _, c := range m.calls {
			if c.State == ledger.RestoreGivenUp {
				c.State, c.Spent, c.Failures = ledger.RestoreWaiting, 0, 0
				c.FirstPushBack, c.Until, c.Finished = time.Time{}, time.Time{}, time.Time{}
			}
		}
	case r.Type == typeSkip:
		for _, c := range m.calls {
			if c.State == ledger.RestoreGivenUp && m.holds() {
				c.State, c.Finished = ledger.RestoreSkipped, redisconn.Time(r.At)
			}
		}
	case r.Type == typeCancel && r.Grant != nil:
		c := m.call(r.Grant)
		c.State, c.Finished = ledger.RestoreCancelled, redisconn.Time(r.At)
	default:
		return fmt.Errorf("the journal has a record of type %q that this program does not know: go on with the program that began", r.Type)
	}
	return nil
}

func (m *memory) noted(text string, as uint32) error {
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(raw)%8 != 0 {
		return fmt.Errorf("the journal has a record of rows that can't be read: go on with the program that began")
	}
	for ; len(raw) > 0; raw = raw[8:] {
		h := binary.BigEndian.Uint64(raw)
		*m.rows.At(h) = as
		m.read = append(m.read, h)
	}
	return nil
}

func (m *memory) call(g *grant) *remembered {
	token, name := ledger.SplitChainID(g.Chain)
	k := rowKey{token, g.Key}
	c := m.byKey[k]
	if c == nil {
		c = &remembered{Restored: ledger.Restored{Token: token, Key: g.Key, State: ledger.RestoreWaiting, Enqueued: m.created}}
		m.byKey[k] = c
		m.calls = append(m.calls, c)
	}
	c.Chain = name // another one, if the call was given anew before anything was sent
	if g.Server != "" {
		c.server, c.ref, c.row = g.Server, g.Ref, g.Row
	}
	return c
}

func (m *memory) token(chainID string) *tokenMemory {
	name, _ := ledger.SplitChainID(chainID)
	t := m.tokens[name]
	if t == nil {
		t = &tokenMemory{Restored: quota.Restored{Leases: map[string]time.Time{}, Used: map[string]int{}}, days: map[string]string{}}
		m.tokens[name] = t
	}
	return t
}

func (m *memory) granted(r record) {
	g := r.Grant
	c, t := m.call(g), m.token(g.Chain)
	t.Leases[g.Nonce] = redisconn.Time(g.Ends)
	t.days[g.Nonce] = g.Days
	for day := range strings.SplitSeq(g.Days, ",") {
		t.Used[day]++
	}
	c.State, c.Attempts, c.Spent, c.Failures = ledger.RestoreInFlight, g.Attempt, g.Spent, g.Failures
	c.FirstPushBack, c.Until, c.Nonce, c.Days = redisconn.Time(g.PushBack), redisconn.Time(g.Ends), g.Nonce, g.Days
	if c.Started.IsZero() {
		c.Started = redisconn.Time(r.At)
	}
}

// outcome does with an outcome what the ledger's script does.
func (m *memory) outcome(r record) {
	nonce, e := r.Grant.Nonce, r.End
	c, t := m.call(r.Grant), m.token(r.Grant.Chain)
	days, known := t.days[nonce]
	lease := t.Leases[nonce]
	delete(t.days, nonce)
	if e.Slot != ledger.Keep {
		delete(t.Leases, nonce)
	}
	if known && e.Slot == ledger.GiveBack {
		for day := range strings.SplitSeq(days, ",") {
			t.Used[day]--
		}
	}
	switch {
	case e.CoolLift:
		t.cooling = nil
	case e.CoolUntil > 0 && (t.cooling == nil || e.CoolUntil >= t.cooling.CoolUntil):
		t.cooling = e
	}
	done := e.Kind == ledger.Done
	switch {
	case c.State == ledger.RestoreSucceeded:
		return
	case known && c.Nonce != nonce && !done:
		return // of an attempt that another one has followed
	case !known && !done && e.Kind != ledger.GiveUp:
		return // not sent, and its grant was not written down
	}
	c.Code, c.Msg, c.Err, c.Reason = e.Code, e.Msg, e.Err, e.Reason
	c.QuarantinedUntil = time.Time{}
	if e.Slot == ledger.Keep {
		c.QuarantinedUntil = lease
	}
	if known && e.Slot == ledger.GiveBack {
		if c.Attempts--; c.Attempts == 0 {
			c.Started = time.Time{}
		}
	}
	switch e.Kind {
	case ledger.Done:
		c.State, c.Finished = ledger.RestoreSucceeded, redisconn.Time(r.At)
	case ledger.GiveUp:
		c.State, c.Finished = ledger.RestoreGivenUp, redisconn.Time(r.At)
	default:
		c.State, c.Until = ledger.RestoreWaiting, redisconn.Time(e.RetryAt)
		if e.Kind != ledger.Fail {
			c.Spent = max(0, c.Spent-1)
		}
		if e.Kind != ledger.Late {
			c.Failures++
		}
		if (e.Kind == ledger.PushBack || e.Kind == ledger.NotSent) && c.FirstPushBack.IsZero() {
			c.FirstPushBack = redisconn.Time(r.At)
		}
	}
}

// givenUp reports whether some call was given up and is still so.
func (m *memory) givenUp() bool {
	return slices.ContainsFunc(m.calls, func(c *remembered) bool { return c.State == ledger.RestoreGivenUp })
}

// holds reports whether a call that was given up holds its chain.
func (m *memory) holds() bool { return m.head != nil && m.head.Policy == string(ledger.PolicyHold) }

// ended reports whether it is known that a call has ended.
func (m *memory) ended(token, key string) bool {
	c := m.byKey[rowKey{token, key}]
	return c != nil && m.landing(c) != ledger.Waits
}

// landing is how a call stands.
func (m *memory) landing(c *remembered) ledger.Landing {
	switch {
	case c.State == ledger.RestoreSucceeded:
		return ledger.Made
	case c.State == ledger.RestoreGivenUp && m.holds():
		return ledger.IsHeld
	case c.State == ledger.RestoreInFlight || c.State == ledger.RestoreWaiting:
		return ledger.Waits
	}
	return ledger.Ended
}

// old reports whether an older version began the job.
func (m *memory) old() bool { return m.head != nil && m.head.Version == oldVersion }
