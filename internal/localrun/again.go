package localrun

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
)

// ErrEdited says that FILE was changed while it was read. Nothing was called.
var ErrEdited = errors.New("the file was changed while it was read: start again")

// rereading is what is known about the calls of earlier starts while FILE is read.
type rereading struct {
	m     *memory
	calls []*remembered // recalled, in the file's order

	mu     sync.Mutex // of m.rows and what follows, while the file is read
	fresh  []byte     // hashes of the rows that are new
	edited bool
}

// enqueue first restores what the journal knows, as it was. Then it gives the whole file, as to a
// batch that is there already.
func (j *Job) enqueue(ctx context.Context, calls iter.Seq2[engine.Call, error], o engine.BatchOptions) (engine.Summary, error) {
	a := &rereading{m: j.memory}
	if len(j.memory.calls) > 0 {
		quiet := func(error) error { return nil } // the second reading tells it
		first := o
		first.OnReject, first.OnLeftOut, first.OnProgress, first.Recall = quiet, quiet, nil, a.recall
		if sum, err := j.world.Producer.EnqueueBatch(ctx, j.head.Batch, calls, first); err != nil {
			return sum, err
		}
		if err := j.restore(ctx, a.restored()); err != nil {
			return engine.Summary{}, err
		}
		j.gone = a.gone()
	}
	o.Recall, o.Known, o.Look = a.read, a.landing, j.dry
	sum, err := j.world.Producer.EnqueueBatch(ctx, j.head.Batch, calls, o)
	if err == nil && (a.edited || sum.Missing > 0) {
		err = ErrEdited // a call that was made would be made again, or one that is gone would be made
	}
	if err != nil {
		return sum, err
	}
	missing, left := a.missing()
	sum.Missing, sum.Pruned = missing, missing // what the file has no more is not made
	if j.dry {
		return sum, nil
	}
	if err := j.noteRows(typeLeft, left); err != nil {
		return sum, err
	}
	return sum, j.noteRows(typeRows, a.fresh)
}

// enqueueOld gives the file to a job that an older version began.
func (j *Job) enqueueOld(ctx context.Context, calls iter.Seq2[engine.Call, error], o engine.BatchOptions) (engine.Summary, error) {
	m := j.memory
	o.Recall, o.Look = places{}.row, j.dry
	o.Known = func(field string) ledger.Landing {
		if c := m.byKey[keyOf(field)]; c != nil {
			return m.landing(c)
		}
		return ledger.Waits
	}
	sum, err := j.world.Producer.EnqueueBatch(ctx, j.head.Batch, calls, o)
	if err != nil || j.dry {
		return sum, err
	}
	return sum, j.restore(ctx, m.calls)
}

// recall lets only calls pass that the journal knows, in the form in which it knows them.
func (a *rereading) recall(n *ledger.NewCall) bool {
	k := rowKey{n.Token, n.Key}
	c := a.m.byKey[k]
	if c == nil {
		return false
	}
	c.server = cmp.Or(c.server, n.Server)
	if c.unsent() && (c.server != n.Server || c.Chain != n.Chain) {
		delete(a.m.byKey, k) // nothing of it was ever sent: the row as it is now is new
		return false
	}
	n.Withhold = false
	n.Server, n.Chain = c.server, c.Chain // the second reading sees whether the row says otherwise
	if c.row > 0 {
		n.Ref, n.Row = c.ref, c.row
	}
	c.recalled = true
	a.calls = append(a.calls, c)
	return true
}

// restored returns the calls to restore. In each chain, those that have ended come first and those
// that hold it last, wherever they stand in the file now.
func (a *rereading) restored() []*remembered {
	rank := func(c *remembered) int {
		switch c.State {
		case ledger.RestoreGivenUp:
			return 2
		case ledger.RestoreInFlight, ledger.RestoreWaiting:
			return 1
		}
		return 0
	}
	calls := a.calls
	now := time.Now()
	for _, c := range a.m.calls {
		if c.State == ledger.RestoreInFlight {
			c.QuarantinedUntil = c.Until // also where it is not the head any more
		}
		if !c.recalled && c.QuarantinedUntil.After(now) {
			calls = append(calls, c) // its request may be at the vendor still: the chain waits for that
		}
	}
	slices.SortStableFunc(calls, func(x, y *remembered) int { return cmp.Compare(rank(x), rank(y)) })
	return calls
}

// gone returns the calls that were made, or tried, and whose rows are no longer in the file.
func (a *rereading) gone() []*remembered {
	return slices.DeleteFunc(slices.Clone(a.m.calls), func(c *remembered) bool { return c.recalled || c.unsent() })
}

// read notes that the file has a row of an earlier start.
func (a *rereading) read(n *ledger.NewCall) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h := rowHash(n.Token + n.Key); a.m.rows.Get(h) == rowKnown {
		*a.m.rows.At(h) = rowRead
	}
	return true
}

// landing says how to count a call that is new to the ledger.
func (a *rereading) landing(field string) ledger.Landing {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := rowHash(field)
	switch {
	case a.m.byKey[keyOf(field)] != nil: // the first reading has not seen it
		a.edited = true
	case a.m.rows.Get(h) == rowRead:
		return ledger.Waits
	}
	a.fresh = binary.BigEndian.AppendUint64(a.fresh, h)
	return ledger.Fresh
}

// missing returns the rows of the last start that are no longer in the file, and how many of them
// had not ended.
func (a *rereading) missing() (n int, left []byte) {
	for _, h := range a.m.read {
		if at := a.m.rows.At(h); *at == rowKnown {
			*at = rowLeft
			left = binary.BigEndian.AppendUint64(left, h)
			n++
		}
	}
	for _, c := range a.m.calls {
		if l := a.m.landing(c); (l == ledger.Made || l == ledger.Ended) && a.m.rows.Get(rowHash(c.Token+c.Key)) == rowLeft {
			*a.m.rows.At(rowHash(c.Token + c.Key)) = 0
			n--
		}
	}
	return n, left
}

// noteRows writes down which rows are new, or no longer in the file, for the next start. After a
// crash before that, the next start tells them once more; nothing else is lost.
func (j *Job) noteRows(kind string, hashes []byte) error {
	const most = 8 * 2000
	for part := range slices.Chunk(hashes, most) {
		r := record{Type: kind, At: redisconn.Millis(time.Now()), Rows: base64.RawStdEncoding.EncodeToString(part)}
		if err := j.write(r, false); err != nil {
			return err
		}
	}
	return nil
}

// goneRecord is the result of a call whose row is no longer in the file.
func (j *Job) goneRecord(c *remembered) control.CallRecord {
	state := map[string]ledger.State{
		ledger.RestoreSucceeded: ledger.StateSucceeded, ledger.RestoreGivenUp: ledger.StateFailed, ledger.RestoreSkipped: ledger.StateSkipped,
	}[c.State]
	if state == "" {
		state = ledger.StateCancelled // it is not made any more
	}
	return control.CallRecord{
		ID: ledger.CallID(j.batchID, c.Token, c.Key), Server: c.server, TokenID: c.Token, Ref: c.ref, Chain: ledger.ChainID(c.Token, c.Chain),
		State: state, Attempts: c.Attempts, Code: c.Code, Msg: c.Msg, Error: c.Err, Row: c.row, Reason: c.Reason,
		EnqueuedAt: control.Time{Time: c.Enqueued}, StartedAt: control.Time{Time: c.Started}, FinishedAt: control.Time{Time: c.Finished},
	}
}

// rowHash is how the journal knows a row: by a 64-bit hash of the names of its token and of what it says.
func rowHash(field string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(field))
	return max(h.Sum64(), 1)
}

func keyOf(field string) rowKey { return rowKey{field[:ledger.TokenLen], field[ledger.TokenLen:]} }

// OldError says that an older version began the job of FILE, and that FILE was changed since. That
// version knew rows by their place, so nobody can tell which of its calls a row is now.
type OldError struct{ File string }

func (e *OldError) Error() string {
	return fmt.Sprintf("the job of %s was begun by an older version, which knew rows by their place in the file: "+
		"it goes on to its end with the file as it was, and takes no more rows. Put the file back as it was; "+
		"give new and corrected rows in a file of another name", e.File)
}

// unchanged reports whether FILE holds what it held before.
func unchanged(file string, before content) (bool, error) {
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	return n == before.Size && hex.EncodeToString(sum.Sum(nil)) == before.SHA256, err
}

// places gives rows without ids the keys that an older version gave them: their places in
// their chains.
type places map[string]int

func (p places) row(n *ledger.NewCall) bool {
	n.Withhold = false // that version withheld nothing
	if strings.HasPrefix(n.Key, ledger.GivenKey("")) {
		return true
	}
	id := ledger.ChainID(n.Token, n.Chain)
	n.Key = "-" + strconv.Itoa(p[id])
	if n.Chain != "" {
		n.Key = "-" + n.Chain + "#" + strconv.Itoa(p[id])
	}
	p[id]++
	return true
}
