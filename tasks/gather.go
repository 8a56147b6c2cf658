package tasks

import (
	"context"
	"errors"
	"sync"
	"time"

	"habilita/internal/chain"
)

const (
	// perGroup is how many calls of a bucket travel together: one script, below 1 ms of
	// Redis. With chain.Buckets of them it bounds what a producer holds in memory.
	perGroup = 32
	// perTrip is how many groups, of different buckets, a round trip has at most. Longer
	// trips are faster, but a single call would stand behind two of them at every step.
	perTrip = 4
	// lanes is how many round trips are under way at once.
	lanes = 2
	// laneRoom is how many full groups may wait for each lane.
	laneRoom = 64
	// perIndex is how many calls with ids of their own wait for the index together.
	perIndex = 8192
	// patience is how long a call waits for others of its bucket, where the producer's
	// own source is slow.
	patience = time.Second
)

// gatherer collects the calls of a batch by bucket and appends them in groups, since a
// script costs less than the calls in it only where it has many. A bucket belongs to one
// lane, and a lane sends its next group of a bucket when the one before was
// acknowledged: so the calls of a chain arrive in order, and what a crash leaves is, in
// every chain, the beginning of it.
type gatherer struct {
	ctx     context.Context
	batch   string
	index   func(context.Context, []chain.Given) error
	deliver func(ctx context.Context, trip []*group, first []int) (chain.Appended, error)
	hint    func(ctx context.Context, ready []string)
	// received counts how the calls of a group were received; one at a time.
	received func(g *group, r chain.Received, to *receipts)

	lanes [lanes]chan *group
	spare sync.Pool
	ends  sync.WaitGroup // of the lanes
	acks  chan struct{}  // has an element after an acknowledgement

	mu      sync.Mutex // of what the producer's goroutine and the ticker share
	groups  [chain.Buckets]*group
	waiting []waitingCall // for their ids to be indexed, and those behind them
	given   []chain.Given

	told sync.Mutex // of what the lanes tell
	got  receipts
	err  error
}

// group is a group of calls, and what their producer is told of each.
type group struct {
	chain.Group
	rows []inFlight
}

// inFlight is a call that was not received yet.
type inFlight struct {
	line   int
	server string
	source any
}

type waitingCall struct {
	chain.NewCall
	source any
}

// receipts are how calls were received.
type receipts struct {
	Summary
	known int     // are there, and were left out
	left  []error // to be told
}

// newGatherer returns one that notes ids by index and appends groups by deliver, which is
// told what buckets it sees for the first time; hint is told, somewhat later, what buckets
// have chains to be fed. Call finish.
func newGatherer(ctx context.Context, batch string, index func(context.Context, []chain.Given) error,
	deliver func(ctx context.Context, trip []*group, first []int) (chain.Appended, error), hint func(ctx context.Context, ready []string),
	received func(*group, chain.Received, *receipts)) *gatherer {
	g := &gatherer{ctx: ctx, batch: batch, index: index, deliver: deliver, hint: hint, received: received, acks: make(chan struct{}, 1)}
	g.spare.New = func() any { return new(group) }
	for i := range g.lanes {
		g.lanes[i] = make(chan *group, laneRoom)
		g.ends.Go(func() { g.lane(g.lanes[i]) })
	}
	return g
}

// hurry sends what has been gathered every so often, until the context ends.
func (g *gatherer) hurry(ctx context.Context) {
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			g.mu.Lock()
			g.flush()
			g.mu.Unlock()
		}
	}
}

// add takes a call; id is the one that its producer gave, or "", source what it calls it.
func (g *gatherer) add(n *chain.NewCall, id string, source any) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id == "" && len(g.waiting) == 0 {
		return g.put(n, source)
	}
	g.waiting = append(g.waiting, waitingCall{*n, source})
	if id != "" {
		g.given = append(g.given, chain.Given{ID: id, Batch: g.batch, Token: n.Token})
	}
	if len(g.waiting) >= perIndex {
		g.indexed()
	}
	return g.failed()
}

func (g *gatherer) put(n *chain.NewCall, source any) error {
	i := chain.TagIndex(chain.Tag(n.Token))
	into := g.groups[i]
	if into == nil {
		into = g.spare.Get().(*group)
		g.groups[i] = into
	}
	if err := into.Add(n); err != nil {
		return err
	}
	into.rows = append(into.rows, inFlight{n.Row, n.Server, source})
	if into.Len() >= perGroup {
		g.groups[i] = nil
		g.lanes[i%lanes] <- into
		return g.failed()
	}
	return nil
}

// indexed notes the ids of waiting calls, and then lets the calls go on: no call is without
// its entry.
func (g *gatherer) indexed() {
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

// flush sends all that was gathered.
func (g *gatherer) flush() {
	g.indexed()
	for i, group := range g.groups {
		if group != nil {
			g.groups[i] = nil
			g.lanes[i%lanes] <- group
		}
	}
}

// finish sends the rest (unless it is to be thrown away), waits for the lanes and returns
// why not everything was appended. Meanwhile acknowledged is called.
func (g *gatherer) finish(discard bool, acknowledged func()) error {
	g.mu.Lock()
	if !discard {
		g.flush()
	}
	for _, lane := range g.lanes {
		close(lane)
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

func (g *gatherer) failed() error {
	g.told.Lock()
	defer g.told.Unlock()
	return g.err
}

// fail keeps why nothing more is sent.
func (g *gatherer) fail(err error) {
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

// acknowledged are the receipts so far; what is to be told is given once.
func (g *gatherer) acknowledged() receipts {
	g.told.Lock()
	defer g.told.Unlock()
	got := g.got
	g.got.left = nil
	return got
}

func (g *gatherer) replaced(n int) {
	g.told.Lock()
	defer g.told.Unlock()
	g.got.Replaced += n
}
