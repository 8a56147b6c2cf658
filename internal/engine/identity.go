package engine

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/seen"
	"habilita/internal/vault"
)

// identities are the rows that a run has read, in some 15 bytes each. They tell how many earlier
// rows say the same, which id stands twice, and at the end which calls are no longer in the file.
// They are for one goroutine.
type identities struct {
	tokenIDs *vault.TokenIDs
	seed     maphash.Seed
	table    seen.Table // hash of token and key -> rows that say the same; with an id: its line
	last     struct {
		says [4]string
		key  string
	} // the last row without an id: rows that say the same often stand together
}

// content gives a call without an id its key.
func (d *identities) content(n *ledger.NewCall) {
	if says := [...]string{n.Server, n.Token, n.Chain, n.Ref}; d.last.key == "" || d.last.says != says {
		d.last.says, d.last.key = says, d.key(n, 1)
	}
	n.Key = d.last.key
	at := d.table.At(d.hash(n.Token, n.Key))
	*at++
	if count := *at; count > 1 {
		n.Key = d.key(n, uint64(count))
		*d.table.At(d.hash(n.Token, n.Key)) = 1
	}
}

func (d *identities) key(n *ledger.NewCall, number uint64) string {
	return ledger.RowKey(d.tokenIDs, number, n.Server, n.Token, n.Chain, n.Ref)
}

// given notes the key of a call with an id. It returns the line that has the id already; 0: none.
func (d *identities) given(n *ledger.NewCall) (first int) {
	at := d.table.At(d.hash(n.Token, n.Key))
	if *at > 0 {
		return int(*at)
	}
	*at = uint32(n.Row)
	return 0
}

func (d *identities) has(token, key string) bool { return d.table.Get(d.hash(token, key)) > 0 }

// hash tells keys of tokens apart.
func (d *identities) hash(token, key string) uint64 {
	return maphash.Comparable(d.seed, [2]string{token, key})
}

// Marks of a chain, above the number of its new calls.
const (
	chainMissing = 1 << 31 // a row of it was left out when it was read
	tokenMissing = 1 << 30 // the same, but its chain can't be told: the mark is the token's
	conflicting  = 1 << 29 // a row of it conflicts
	tokenRead    = 1 << 28 // a call of the token was read
	newCalls     = tokenRead - 1
)

// marks are what a run knows of chains and tokens. A token's entry is that of its default chain.
// They are safe for concurrent use.
type marks struct {
	mu     sync.Mutex
	seed   maphash.Seed
	table  seen.Table
	tokens int
	stops  bool           // any conflicting
	blame  map[uint64]int // first row that was left out, of up to blamedChains chains and tokens
}

func (m *marks) hash(id string) uint64 { return maphash.String(m.seed, id) }

// row notes a row of a chain. It reports whether new calls of it are to be withheld.
func (m *marks) row(token, name string) (withhold bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.table.At(m.hash(token))
	if *at&tokenRead == 0 {
		*at |= tokenRead
		m.tokens++
	}
	own := *at
	if name == "" {
		return own&(chainMissing|tokenMissing) != 0
	}
	return own&tokenMissing != 0 || m.table.Get(m.hash(ledger.ChainID(token, name)))&chainMissing != 0
}

// missing notes that a row of a chain was not enqueued. If its chain is not known, that counts for
// the whole token.
func (m *marks) missing(token, name string, known bool, row int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !known {
		*m.table.At(m.hash(token)) |= tokenMissing
		m.note(m.hash(token), row)
		return
	}
	h := m.hash(ledger.ChainID(token, name))
	*m.table.At(h) |= chainMissing
	m.note(h, row)
}

// blamedChains is for how many chains the row is kept that others are withheld behind.
const blamedChains = 4096

func (m *marks) note(h uint64, row int) {
	if _, ok := m.blame[h]; !ok && len(m.blame) < blamedChains {
		m.blame[h] = row
	}
}

// blamed is the row that those of a chain are withheld behind; 0: it was not kept.
func (m *marks) blamed(id string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if row := m.blame[m.hash(id)]; row > 0 {
		return row
	}
	token, _ := ledger.SplitChainID(id)
	return m.blame[m.hash(token)]
}

// conflict notes that a row of a chain conflicts.
func (m *marks) conflict(id string, row int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*m.table.At(m.hash(id)) |= conflicting
	m.note(m.hash(id), row)
	m.stops = true
}

// withhold marks the calls of a group that stand behind a conflicting row of their chain.
func (m *marks) withhold(g *ledger.Group) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stops {
		g.Withhold(func(id string) bool { return m.table.Get(m.hash(id))&conflicting != 0 })
	}
}

// outOfOrder notes which calls of a group are new. It returns how many new calls joined their chain
// behind known calls that stand after them in the file.
func (m *marks) outOfOrder(g *ledger.Group, landings []byte) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, h := "", uint64(0)
	for j := range len(landings) {
		landing := ledger.Landing(landings[j])
		if landing != ledger.Fresh && (!landing.Known() || landing == ledger.Ended) {
			continue
		}
		if id := g.ChainOf(j); id != last {
			last, h = id, m.hash(id)
		}
		if landing == ledger.Fresh {
			if at := m.table.At(h); *at&newCalls < newCalls {
				*at++
			}
		} else if v := m.table.Get(h); v&newCalls > 0 {
			n += int(v & newCalls)
			*m.table.At(h) &^= newCalls
		}
	}
	return n
}

const (
	// Up to pruneFree missing calls, or one in pruneTenth of the batch, are pruned without being given their number.
	pruneFree  = 20
	pruneTenth = 10
	// perScan is how many buckets a scan of the batch looks at together.
	perScan = 32
)

// countMissing counts the calls of the batch that are no longer in the sequence.
func (b *batchRun) countMissing(ctx context.Context) error {
	if b.canary.first || b.part || !b.existed {
		return nil
	}
	counts, tags, err := b.p.counts(ctx, b.id)
	if err != nil {
		return err
	}
	b.total = counts.Total
	n := b.out.acknowledged().landed
	there := b.sum.Duplicates + n[ledger.Unsent] + n[ledger.Conflict] + n[ledger.Twin]
	if !b.Look {
		there += n[ledger.Fresh]
	}
	if there >= counts.Total { // all of it came in this run, or was known to it
		return nil
	}
	return b.eachMissing(ctx, tags, func(fields []string) error {
		b.sum.Missing += len(fields)
		return nil
	})
}

// eachMissing passes the missing calls of the batch (their Field) to f, one bucket at a time.
func (b *batchRun) eachMissing(ctx context.Context, tags []string, f func(fields []string) error) error {
	for part := range slices.Chunk(tags, perScan) {
		held, err := b.heldHeads(ctx, part)
		if err != nil {
			return err
		}
		missing := map[string][]string{} // by bucket
		for c, err := range b.p.ledger.Calls(ctx, b.id, part) {
			if err != nil {
				return err
			}
			open := c.State.Open() || c.State == ledger.StateFailed && held[c.Field()]
			if c.Row > 0 && open && !b.rows.has(c.TokenID, c.Key) {
				tag := ledger.Tag(c.TokenID)
				missing[tag] = append(missing[tag], c.Field())
			}
		}
		for _, fields := range missing {
			if err := f(fields); err != nil {
				return err
			}
		}
	}
	return nil
}

// heldHeads are the calls of the batch that hold their chains.
func (b *batchRun) heldHeads(ctx context.Context, tags []string) (map[string]bool, error) {
	held := map[string]bool{}
	for c, err := range b.p.ledger.Chains(ctx, tags, true) {
		if err != nil {
			return nil, err
		}
		if c.Head.Batch == b.id {
			held[c.Head.Field()] = true
		}
	}
	return held, nil
}

// replaceUnsent removes calls that were never sent and conflict with calls of the groups, so that
// the latter are new.
func (b *batchRun) replaceUnsent(ctx context.Context, a ledger.Append, groups []*ledger.Group) error {
	look := a
	look.Look, look.Replaces = true, true
	found, err := b.sent(b.p.ledger.AppendGroups(ctx, look, groups))
	if err != nil {
		return err
	}
	for i, g := range groups {
		var fields []string
		for j, landing := range []byte(found.Received[i].Landings) {
			if ledger.Landing(landing) == ledger.Unsent {
				fields = append(fields, g.Field(j))
			}
		}
		n, err := b.p.ledger.Prune(ctx, b.id, ledger.NeverSent, fields)
		b.out.replaced(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// complete prunes, if that was asked for, and notes that the run is complete if it left nothing out.
func (b *batchRun) complete(ctx context.Context, sum *Summary) error {
	if b.Prune {
		if err := b.pruneMissing(ctx, sum); err != nil {
			return err
		}
	}
	if !b.job.lease.begun || !sum.Complete() || b.PassedOver != nil && b.PassedOver() > 0 {
		return nil
	}
	return b.p.batches.Completed(ctx, b.id, b.job.lease.run)
}

// mayPrune says why what is missing is not pruned; nil: it is. Calls that ended since a look counted are no longer missing.
func (b *batchRun) mayPrune(sum Summary) error {
	counted := redisconn.Is[*PruneCountError](b.notPruned)
	if b.notPruned != nil && !counted {
		return b.notPruned
	}
	missing, exactly := sum.Missing, b.PruneExactly
	wrong := exactly != 0 && missing > 0 && missing != exactly || exactly == 0 && missing > pruneFree && missing*pruneTenth > b.total
	if wrong && (counted || sum.Complete()) {
		return &PruneCountError{Missing: missing, Total: b.total, Named: exactly}
	}
	if !sum.Complete() {
		return ErrRowsMissing
	}
	return nil
}

// whetherAlone notes if another run of the batch lives: then nothing is pruned.
func (b *batchRun) whetherAlone(ctx context.Context) error {
	alone, err := b.p.batches.Lease(ctx, ledger.RunAlone, b.id, b.job.lease.run)
	if err == nil && !alone {
		b.notPruned = ErrOtherRun
	}
	return err
}

func (b *batchRun) pruneMissing(ctx context.Context, sum *Summary) error {
	b.notPruned = b.mayPrune(*sum)
	if sum.NotPruned = b.notPruned; sum.NotPruned != nil || sum.Missing == 0 {
		return nil
	}
	if err := b.whetherAlone(ctx); err != nil || b.notPruned != nil {
		sum.NotPruned = b.notPruned
		return err
	}
	tags, err := b.p.batches.Tags(ctx, b.id)
	if err != nil {
		return err
	}
	err = b.eachMissing(ctx, tags, func(fields []string) error {
		n, err := b.p.ledger.Prune(ctx, b.id, ledger.FromFile, fields)
		sum.Pruned += n
		return err
	})
	if err != nil {
		return fmt.Errorf("prune was cut off after %d: %w", sum.Pruned, err)
	}
	return nil
}
