package engine

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/rows"
)

// batchRun is one reading of a batch's sequence.
type batchRun struct {
	p    *Producer
	job  *batchJob
	name string
	id   string

	BatchOptions
	part      bool
	replace   bool  // conflicting calls that were never sent
	notPruned error // why nothing is pruned, as far as it is known
	canary    canaries
	retold    int // of job.told

	permit  permit
	began   time.Time
	opened  bool
	existed bool // the batch was there before the job
	before  int  // calls that it had when it was opened
	total   int  // calls that it has after the run

	own    Summary // what is not known from replies
	sum    Summary
	sealer *sealer
	out    *batcher
	rows   identities
	marks  marks
}

// run returns a new run of the job.
func (j *batchJob) run() *batchRun {
	b := &batchRun{
		p: j.p, job: j, name: j.name, id: j.lease.id, BatchOptions: j.o, began: time.Now(), sum: Summary{Batch: j.name}, own: Summary{Batch: j.name},
		sealer: newSealer(j.p),
	}
	seed := maphash.MakeSeed()
	b.rows.tokenIDs, b.rows.seed, b.marks.seed = j.p.tokenIDs, seed, seed
	b.marks.blame = map[uint64]int{}
	return b
}

// tellLeftOut passes the error about a left-out call to OnLeftOut.
func (b *batchRun) tellLeftOut(err error) error {
	if b.OnLeftOut == nil {
		return nil
	}
	return b.OnLeftOut(err)
}

// skips reports whether a chain goes on if one of its calls is missing.
func (b *batchRun) skips() bool { return b.Policy == ledger.PolicySkip }

// do reads the sequence and enqueues it. b.sum has what it did, after an error too.
func (b *batchRun) do(ctx context.Context) error {
	index := func(context.Context, []ledger.Given) error { return nil }
	if !b.Look {
		index = b.p.ledger.Index
	}
	b.out = newBatcher(ctx, b.id, index, b.deliver, b.hint, b.received)
	stop := Every(ctx, patience, b.out.hurry)
	stopped, err := b.read(ctx)
	stop()
	failed := b.out.finish(stopped, func() { err = b.acknowledged(err) })
	switch {
	case failed == nil || errors.Is(err, failed):
	case err == nil || errors.Is(failed, err):
		err = failed
	default:
		err = errors.Join(err, failed)
	}
	if err != nil {
		return err
	}
	if err := b.open(ctx); err != nil {
		return err
	}
	return b.countMissing(ctx)
}

// read takes the calls of the sequence. stopped says that the calls gathered so far are to
// be discarded.
func (b *batchRun) read(ctx context.Context) (stopped bool, err error) {
	calls := b.job.calls
	if b.Strict || b.Prune || b.Canary > 0 { // it may be ranged over again
		calls = b.job.watched()
	}
	if b.canary.first {
		calls = b.ofFirstTokens(calls)
	}
	for c, err := range calls {
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
		b.own.Rows++
		c.Row = cmp.Or(c.Row, b.own.Rows)
		if err == nil {
			err = c.check(b.own.Rows - 1)
		}
		if err != nil {
			if err := b.job.tell(b, err); err != nil {
				return false, err // what came before the error is enqueued all the same
			}
			b.own.Rejected++
			b.withholdBehind(&c, err)
			continue
		}
		if err := b.open(ctx); err != nil {
			return true, err
		}
		if err := b.add(&c); err != nil {
			return true, err
		}
		select {
		case <-b.out.acks:
			if err := b.acknowledged(nil); err != nil {
				return true, err
			}
		default:
		}
	}
	return false, nil
}

// withholdBehind notes that a row was rejected, so that later rows of its chain are withheld.
func (b *batchRun) withholdBehind(c *Call, err error) {
	if b.skips() {
		return
	}
	if rows.VendorToken(string(c.Token)) != nil {
		b.own.Unplaced++
		return
	}
	var bad *CallError
	unknown := errors.Is(err, ErrChainUnknown) || errors.As(err, &bad) && bad.Field == "chain"
	b.marks.missing(b.p.tokenIDs.Name(string(c.Token)), c.Chain, !unknown, c.Row)
}

// add gives the call its key and passes it on.
func (b *batchRun) add(c *Call) (err error) {
	if c.At.IsZero() {
		c.At = b.NotBefore
	}
	c.Notify = c.Notify || b.Notify
	var n ledger.NewCall
	if b.Look { // nothing is kept
		n = newCall(c, b.p.tokenIDs.Name(string(c.Token)), "")
	} else {
		n = b.sealer.prepare(c)
	}
	n.Row = c.Row
	first := 0 // line that has its id already
	if c.ID == "" {
		b.rows.content(&n)
	} else {
		n.Key = ledger.GivenKey(c.ID)
		first = b.rows.given(&n)
	}
	n.Withhold = b.marks.row(n.Token, n.Chain)
	if first > 0 {
		b.own.Conflicts++
		if !b.skips() {
			b.marks.missing(n.Token, n.Chain, true, c.Row)
		}
		return b.tellLeftOut(&ConflictError{Batch: b.name, ID: c.ID, Row: c.Row, First: first, Source: c.Source})
	}
	if b.Recall != nil && !b.Recall(&n) {
		return nil
	}
	return b.out.add(&n, c.ID, c.Source)
}

// deliver appends groups. Before that, it notes the buckets that get their first calls of the batch.
func (b *batchRun) deliver(ctx context.Context, pipeline []*group, first []string) (ledger.Appended, error) {
	a := ledger.Append{Batch: b.id, Policy: string(b.Policy), Look: b.Look, Part: b.part, Replaces: b.Look && b.replace}
	groups := make([]*ledger.Group, len(pipeline))
	for i, g := range pipeline {
		groups[i] = &g.Group
		if !b.skips() {
			b.marks.withhold(groups[i])
		}
	}
	switch {
	case b.job.alone:
		var done ledger.Appended
		for _, g := range groups {
			done.Received = append(done.Received, ledger.Received{Landings: g.Foreseen()})
		}
		return done, nil
	case b.Look:
		return b.sent(b.p.ledger.AppendGroups(ctx, a, groups))
	}
	var err error
	if a.Until, err = b.permit.until(ctx, first); err != nil {
		return ledger.Appended{}, err
	}
	if b.replace {
		if err := b.replaceUnsent(ctx, a, groups); err != nil {
			return ledger.Appended{}, err
		}
	}
	return b.sent(b.p.ledger.AppendGroups(ctx, a, groups))
}

func (b *batchRun) sent(done ledger.Appended, err error) (ledger.Appended, error) {
	if errors.Is(err, ledger.ErrCancelled) {
		err = &ledger.BatchError{Batch: b.name, Problem: ledger.BatchCancelled}
	}
	return done, err
}

// hint signals buckets. Workers also find a bucket whose signal failed.
func (b *batchRun) hint(ctx context.Context, ready []string) {
	_ = b.p.ledger.Signal(ctx, b.p.clock.Now(), ready...)
}

// received counts the reply to a group, and collects the errors to tell about it.
func (b *batchRun) received(g *group, r ledger.Received, to *receipts) {
	have, landings := r.Have, []byte(r.Landings)
	for j := range landings {
		row := &g.rows[j]
		landing := ledger.Landing(landings[j])
		if landing == ledger.Fresh && b.Known != nil {
			landing = b.Known(g.Field(j))
			landings[j] = byte(landing)
		}
		to.landed[landing]++
		switch landing {
		case ledger.Unsent:
			have = have[1:]
			continue
		case ledger.Conflict:
			to.left = append(to.left, b.conflict(g, j, &have[0], row))
			have = have[1:]
			continue
		case ledger.Twin:
			to.left = append(to.left, &TwinError{Row: row.line, Source: row.source})
			if !b.skips() {
				b.marks.conflict(g.ChainOf(j), row.line)
			}
			continue
		case ledger.Withheld:
			to.left = append(to.left, &WithheldError{Row: row.line, Behind: b.marks.blamed(g.ChainOf(j)), Source: row.source})
			continue
		}
		if b.canary.first {
			b.canary.calls[g.Field(j)] = struct{}{}
		}
	}
	if b.before > 0 {
		to.outOfOrder += b.marks.outOfOrder(&g.Group, landings)
	}
}

func (b *batchRun) conflict(g *group, j int, have *ledger.Call, row *inFlight) error {
	id := g.ChainOf(j)
	if !b.skips() {
		b.marks.conflict(id, row.line)
	}
	e := conflictOf(b.name, have, row.line, row.server, id, row.source)
	e.Unsent = e.Unsent && !b.Prune // which is advised
	return e
}

func conflictOf(batchName string, have *ledger.Call, line int, server, chain string, source any) *ConflictError {
	_, haveName := ledger.SplitChainID(have.Chain)
	_, name := ledger.SplitChainID(chain)
	e := &ConflictError{Batch: batchName, ID: have.ID, Row: line, Known: have.Row, State: string(have.State), Source: source,
		Unsent: have.Attempts == 0 && have.State != ledger.StateSkipped && have.State != ledger.StateCancelled}
	for _, f := range [][3]string{{"server", have.Server, server}, {"chain", haveName, name}} {
		if f[1] != f[2] {
			e.Differs, e.Have, e.Want = append(e.Differs, f[0]), append(e.Have, f[1]), append(e.Want, f[2])
		}
	}
	return e
}

// acknowledged reports the calls that were left out, and the progress. It returns err or, if
// that is nil, the first error that OnLeftOut returned.
func (b *batchRun) acknowledged(err error) error {
	got := b.out.acknowledged()
	n := &got.landed
	b.sum = b.own
	b.sum.NotBefore = b.NotBefore
	b.sum.Enqueued = n[ledger.Fresh] + n[ledger.Unsent]
	b.sum.Made, b.sum.Waiting, b.sum.Held, b.sum.Ended = n[ledger.Made], n[ledger.Waits], n[ledger.IsHeld], n[ledger.Ended]
	b.sum.Duplicates = b.sum.Made + b.sum.Waiting + b.sum.Held + b.sum.Ended
	b.sum.Conflicts += n[ledger.Conflict]
	b.sum.Rejected += n[ledger.Twin]
	b.sum.Withheld += n[ledger.Withheld]
	b.sum.OutOfOrder, b.sum.Replaced = got.outOfOrder, got.replaced+n[ledger.Unsent]
	b.sum.Tokens = b.marks.tokens
	b.sum.Elapsed = time.Since(b.began)
	for _, e := range got.left {
		if failed := b.tellLeftOut(e); failed != nil && err == nil {
			err = failed
		}
	}
	if b.OnProgress != nil {
		b.OnProgress(b.sum)
	}
	return err
}

// watched are the calls of the sequence. The job notes if they differ from those of the run before.
func (j *batchJob) watched() iter.Seq2[Call, error] {
	return func(yield func(Call, error) bool) {
		var digest maphash.Hash
		digest.SetSeed(j.seed)
		for c, err := range j.calls {
			if err != nil {
				maphash.WriteComparable(&digest, err.Error())
			} else {
				maphash.WriteComparable(&digest, [5]string{c.Server, string(c.Token), c.Chain, c.Ref, c.ID})
			}
			if !yield(c, err) {
				return
			}
		}
		sum := digest.Sum64()
		j.edited = j.edited || j.read && sum != j.digest
		j.digest, j.read = sum, true
	}
}
