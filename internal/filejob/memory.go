package filejob

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"habilita/internal/batch"
	"habilita/internal/chain"
	"habilita/quota"
	"habilita/tasks"
)

// memory is what a journal tells of a job.
type memory struct {
	head    *head // nil: there is none
	created time.Time
	content content
	calls   []*chain.Restored // in the order of their first grant, which is that of each chain
	byKey   map[callKey]*chain.Restored
	tokens  map[string]*tokenMemory
}

type callKey struct{ chain, key string }

// tokenMemory is what a token has used.
type tokenMemory struct {
	quota.Restored
	cooling *end // the last that was not lifted; nil: none
	days    map[string]string
}

// VersionError says that a journal was written by another version.
type VersionError struct{ Have int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("the journal is of version %d, this program knows %d: go on with the program that began", e.Have, version)
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
	*m = memory{byKey: map[callKey]*chain.Restored{}, tokens: map[string]*tokenMemory{}}
}

func (m *memory) apply(r record) error {
	switch {
	case r.Type == typeHead && r.Head != nil && r.Content != nil:
		if r.Head.Version != version {
			return &VersionError{r.Head.Version}
		}
		m.forget()
		m.head, m.content, m.created = r.Head, *r.Content, fromMs(r.At)
	case r.Type == typeFile && r.Content != nil:
		m.content = *r.Content
	case r.Type == typeGrant && r.Grant != nil:
		m.granted(r)
	case r.Type == typeEnd && r.Grant != nil && r.End != nil:
		m.outcome(r)
	case r.Type == typeRetry:
		for _, c := range m.calls {
			if c.State == chain.RestoreGivenUp {
				c.State, c.Spent, c.Failures = chain.RestoreWaiting, 0, 0
				c.FirstPushBack, c.Until, c.Finished = time.Time{}, time.Time{}, time.Time{}
			}
		}
	case r.Type == typeSkip:
		for _, c := range m.calls {
			if c.State == chain.RestoreGivenUp && m.holds() {
				c.State, c.Finished = chain.RestoreSkipped, fromMs(r.At)
			}
		}
	case r.Type == typeCancel && r.Grant != nil:
		c := m.call(r.Grant)
		c.State, c.Finished = chain.RestoreCancelled, fromMs(r.At)
	default:
		return fmt.Errorf("the journal has a record of type %q that this program does not know: go on with the program that began", r.Type)
	}
	return nil
}

func (m *memory) call(g *grant) *chain.Restored {
	k := callKey{g.Chain, g.Key}
	c := m.byKey[k]
	if c == nil {
		token, name := chain.SplitID(g.Chain)
		c = &chain.Restored{Token: token, Chain: name, Key: g.Key, State: chain.RestoreWaiting, Enqueued: m.created}
		m.byKey[k] = c
		m.calls = append(m.calls, c)
	}
	return c
}

func (m *memory) token(chainID string) *tokenMemory {
	name, _ := chain.SplitID(chainID)
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
	t.Leases[g.Nonce] = fromMs(g.Ends)
	t.days[g.Nonce] = g.Days
	for day := range strings.SplitSeq(g.Days, ",") {
		t.Used[day]++
	}
	c.State, c.Attempts, c.Spent, c.Failures = chain.RestoreInFlight, g.Attempt, g.Spent, g.Failures
	c.FirstPushBack, c.Until, c.Nonce, c.Days = fromMs(g.PushBack), fromMs(g.Ends), g.Nonce, g.Days
	if c.Started.IsZero() {
		c.Started = fromMs(r.At)
	}
}

// outcome follows what the ledger's script does with an outcome.
func (m *memory) outcome(r record) {
	nonce, e := r.Grant.Nonce, r.End
	c, t := m.call(r.Grant), m.token(r.Grant.Chain)
	days, known := t.days[nonce]
	lease := t.Leases[nonce]
	delete(t.days, nonce)
	if e.Slot != tasks.SlotKept {
		delete(t.Leases, nonce)
	}
	if known && e.Slot == tasks.SlotGivenBack {
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
	done := e.Kind == tasks.KindSucceeded
	switch {
	case c.State == chain.RestoreSucceeded:
		return
	case known && c.Nonce != nonce && !done:
		return // of an attempt that another one has followed
	case !known && !done && e.Kind != tasks.KindGivenUp:
		return // not sent, and its grant was not written down
	}
	c.Code, c.Msg, c.Err, c.Reason = e.Code, e.Msg, e.Err, e.Reason
	c.QuietUntil = time.Time{}
	if e.Slot == tasks.SlotKept {
		c.QuietUntil = lease
	}
	if known && e.Slot == tasks.SlotGivenBack {
		if c.Attempts--; c.Attempts == 0 {
			c.Started = time.Time{}
		}
	}
	switch e.Kind {
	case tasks.KindSucceeded:
		c.State, c.Finished = chain.RestoreSucceeded, fromMs(r.At)
	case tasks.KindGivenUp:
		c.State, c.Finished = chain.RestoreGivenUp, fromMs(r.At)
	default:
		c.State, c.Until = chain.RestoreWaiting, fromMs(e.RetryAt)
		if e.Kind != tasks.KindFailed {
			c.Spent = max(0, c.Spent-1)
		}
		if e.Kind != tasks.KindLate {
			c.Failures++
		}
		if (e.Kind == tasks.KindPushBack || e.Kind == tasks.KindNotSent) && c.FirstPushBack.IsZero() {
			c.FirstPushBack = fromMs(r.At)
		}
	}
}

// givenUp reports whether some call was given up and is still so.
func (m *memory) givenUp() bool {
	for _, c := range m.calls {
		if c.State == chain.RestoreGivenUp {
			return true
		}
	}
	return false
}

// holds reports whether a call that was given up holds its chain.
func (m *memory) holds() bool { return m.head != nil && m.head.Policy == string(batch.Hold) }

// ended reports whether it is known that a call has ended.
func (m *memory) ended(chainID, key string) bool {
	c := m.byKey[callKey{chainID, key}]
	return c != nil && c.State != chain.RestoreInFlight && c.State != chain.RestoreWaiting
}
