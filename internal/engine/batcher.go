package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"habilita/internal/ledger"
	"habilita/internal/nudge"
)

const (
	// perGroup is the most calls of a bucket that travel together, and perRuns the most runs among them: one
	// script, which takes Redis about 1 ms. A run is consecutive calls of one chain; it costs as much as four
	// calls. There are ledger.Buckets groups, so these limits bound what a producer holds in memory.
	perGroup = 256
	perRuns  = 128
	// While nothing waits for a shard, a group is sent when it is 1/idlePart full, or 1/earlyPart full during the first
	// earlyCalls calls. Otherwise no worker would begin until some bucket has a full group.
	idlePart   = 4
	earlyPart  = 16
	earlyCalls = perRuns / earlyPart * ledger.Buckets
	// perPipeline is the most groups in a round trip. They are of different buckets and together no larger than one full
	// group. Longer pipelines are faster, but a single call would wait behind them at every step.
	perPipeline = 4
	// shards is how many round trips are under way at once.
	shards = 3
	// shardQueue is how many full groups may wait for each shard.
	shardQueue = 64
	// perIndex is how many calls with ids of their own wait for the index together.
	perIndex = 8192
	// patience is how long a call waits for others of its bucket if the producer's source is slow,
	// that is, gives fewer than slow calls in that time. A faster source fills a group soon, so the
	// group may wait twice as long: many small groups cost Redis more than a few large ones.
	patience = time.Second
	slow     = perRuns * ledger.Buckets / 32
)

// batcher collects the calls of a batch by bucket and appends them in groups, because a
// script pays off only with many calls in it. A bucket belongs to one shard. A shard sends
// the next group of a bucket when the one before was acknowledged. So the calls of a chain
// arrive in order, and after a crash the ledger has the beginning of every chain.
type batcher struct {
	ctx     context.Context
	batch   string
	index   func(context.Context, []ledger.Given) error
	deliver func(ctx context.Context, pipeline []*group, first []string) (ledger.Appended, error)
	hint    func(ctx context.Context, ready []string)
	// received counts how the calls of a group were received. It is called for one group at a time.
	received func(g *group, r ledger.Received, to *receipts)

	shards [shards]chan *group
	spare  sync.Pool
	ends   sync.WaitGroup // of the shards
	acks   chan struct{}  // has an element after an acknowledgement

	mu      sync.Mutex // of what the producer's goroutine and the ticker share
	groups  [ledger.Buckets]*group
	calls   int           // that were put into groups
	came    int           // calls since the last tick
	waiting []waitingCall // for their ids to be indexed, and those behind them
	given   []ledger.Given

	told sync.Mutex // of what the shards tell
	got  receipts
	err  error
}

// group is a group of calls, and what their producer is told of each.
type group struct {
	ledger.Group
	rows  []inFlight
	stood bool // since a tick
}

// inFlight is a call that was not received yet.
type inFlight struct {
	line   int
	server string
	source any
}

type waitingCall struct {
	ledger.NewCall
	source any
}

// receipts are how calls were received.
type receipts struct {
	landed               [256]int // calls, by their ledger.Landing
	outOfOrder, replaced int
	left                 []error // to be told
}

// newBatcher returns a batcher that notes ids with index and appends groups with deliver.
// deliver also gets the buckets that it sees for the first time. hint gets, somewhat later,
// the buckets that have chains to dispatch. Call finish.
func newBatcher(ctx context.Context, batch string, index func(context.Context, []ledger.Given) error,
	deliver func(ctx context.Context, pipeline []*group, first []string) (ledger.Appended, error), hint func(ctx context.Context, ready []string),
	received func(*group, ledger.Received, *receipts)) *batcher {
	g := &batcher{ctx: ctx, batch: batch, index: index, deliver: deliver, hint: hint, received: received, acks: make(chan struct{}, 1)}
	g.spare.New = func() any { return new(group) }
	for i := range g.shards {
		g.shards[i] = make(chan *group, shardQueue)
		g.ends.Go(func() { g.runShard(g.shards[i]) })
	}
	return g
}

// hurry sends groups that have waited for long. It is to be called every patience.
func (g *batcher) hurry(context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.flush(g.came < slow)
	g.came = 0
}

// add takes a call. id is the one that its producer gave, or ""; source is Call.Source.
func (g *batcher) add(n *ledger.NewCall, id string, source any) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.came++
	if id == "" && len(g.waiting) == 0 {
		return g.put(n, source)
	}
	g.waiting = append(g.waiting, waitingCall{*n, source})
	if id != "" {
		g.given = append(g.given, ledger.Given{ID: id, Batch: g.batch, Token: n.Token, Bulk: true})
	}
	if len(g.waiting) >= perIndex {
		g.indexed()
	}
	return g.failed()
}

func (g *batcher) put(n *ledger.NewCall, source any) error {
	i := ledger.TagIndex(ledger.Tag(n.Token))
	into := g.groups[i]
	if into == nil {
		into = g.spare.Get().(*group)
		g.groups[i] = into
	}
	if err := into.Add(n); err != nil {
		return err
	}
	into.rows = append(into.rows, inFlight{n.Row, n.Server, source})
	g.calls++
	shard, part := g.shards[i%shards], 1
	if len(shard) == 0 {
		part = idlePart
		if g.calls <= earlyCalls {
			part = earlyPart
		}
	}
	if into.Len() >= perGroup/part || into.Runs() >= perRuns/part {
		g.groups[i] = nil
		shard <- into
		return g.failed()
	}
	return nil
}

// indexed notes the ids of waiting calls in the index, and then puts the calls into groups:
// no call is without its entry.
func (g *batcher) indexed() {
	if len(g.waiting) == 0 {
		return
	}
	err := g.index(g.ctx, g.given)
	for i := range g.waiting {
		if err == nil {
			err = g.put(&g.waiting[i].NewCall, g.waiting[i].source)
		}
	}
	g.fail(err)
	clear(g.waiting)
	clear(g.given)
	g.waiting, g.given = g.waiting[:0], g.given[:0]
}

// flush sends the groups that have waited since the last tick, or all groups.
func (g *batcher) flush(all bool) {
	g.indexed()
	for i, group := range g.groups {
		switch {
		case group == nil:
		case all || group.stood:
			g.groups[i] = nil
			g.shards[i%shards] <- group
		default:
			group.stood = true
		}
	}
}

// finish sends the rest (unless discard), waits for the shards and returns why not
// everything was appended, or nil. Meanwhile it calls acknowledged.
func (g *batcher) finish(discard bool, acknowledged func()) error {
	g.mu.Lock()
	if !discard {
		g.flush(true)
	}
	for _, shard := range g.shards {
		close(shard)
	}
	g.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		g.ends.Wait()
		close(ended)
	}()
	for {
		select {
		case <-g.acks:
			acknowledged()
		case <-ended:
			acknowledged()
			return g.failed()
		}
	}
}

func (g *batcher) failed() error {
	g.told.Lock()
	defer g.told.Unlock()
	return g.err
}

// fail keeps why nothing more is sent.
func (g *batcher) fail(err error) {
	if err == nil {
		return
	}
	g.told.Lock()
	defer g.told.Unlock()
	switch {
	case g.err == nil:
		g.err = err
	case g.ctx.Err() == nil || !errors.Is(err, g.ctx.Err()): // the end of the context is told once
		g.err = errors.Join(g.err, err)
	}
}

// acknowledged are the receipts so far. It returns each error to be told only once.
func (g *batcher) acknowledged() receipts {
	g.told.Lock()
	defer g.told.Unlock()
	got := g.got
	g.got.left = nil
	return got
}

func (g *batcher) replaced(n int) {
	g.told.Lock()
	defer g.told.Unlock()
	g.got.replaced += n
}

// perHint is how many buckets are signalled together while a batch is enqueued.
const perHint = 32

// runShard sends groups, those of different buckets together. After a failure of any shard
// it sends no more.
func (g *batcher) runShard(in <-chan *group) {
	var noted [ledger.Buckets]bool
	var ready []string
	var next *group
	for {
		// A hint is a round trip of its own, so several pipelines share one. It does not wait
		// while there is nothing to send.
		if len(ready) >= perHint || len(ready) > 0 && next == nil && len(in) == 0 {
			g.hint(g.ctx, ready)
			ready = ready[:0]
		}
		first := next
		if next = nil; first == nil {
			var open bool
			if first, open = <-in; !open {
				return
			}
		}
		pipeline := []*group{first}
	gather:
		for len(pipeline) < perPipeline {
			select {
			case more, open := <-in:
				if !open {
					break gather
				}
				if !fits(pipeline, more) {
					next = more
					break gather
				}
				pipeline = append(pipeline, more)
			default:
				break gather
			}
		}
		if g.failed() == nil {
			tags, err := g.send(pipeline, &noted)
			ready = append(ready, tags...)
			g.fail(err)
		}
		for _, group := range pipeline {
			group.Reset()
			clear(group.rows)
			group.rows, group.stood = group.rows[:0], false
			g.spare.Put(group)
		}
	}
}

// fits reports whether a group may join a pipeline.
func fits(pipeline []*group, more *group) bool {
	calls, runs := more.Len(), more.Runs()
	for _, g := range pipeline {
		if g.Tag() == more.Tag() {
			return false
		}
		calls, runs = calls+g.Len(), runs+g.Runs()
	}
	return calls <= perGroup && runs <= perRuns
}

func (g *batcher) send(pipeline []*group, noted *[ledger.Buckets]bool) (ready []string, err error) {
	var first []string
	for _, group := range pipeline {
		if i := ledger.TagIndex(group.Tag()); !noted[i] {
			noted[i] = true
			first = append(first, group.Tag())
		}
	}
	done, err := g.deliver(g.ctx, pipeline, first)
	g.told.Lock()
	for i, r := range done.Received {
		g.received(pipeline[i], r, &g.got)
	}
	g.told.Unlock()
	nudge.Send(g.acks)
	return done.Ready, err
}
