package engine

import (
	"habilita/internal/ledger"
)

// perHint is how many buckets are signalled together while a bulk goes in.
const perHint = 32

// shard sends groups, those of different buckets together. After a failure of any shard it
// sends no more.
func (g *batcher) runShard(in <-chan *group) {
	var noted [ledger.Buckets]bool
	var ready []string
	var next *group
	for {
		// A hint is a round trip of its own: one for several trips, but none is kept while
		// there is nothing to send.
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
		trip := []*group{first}
	gather:
		for len(trip) < perPipeline {
			select {
			case more, open := <-in:
				if !open {
					break gather
				}
				if holds(trip, more.Tag()) {
					next = more
					break gather
				}
				trip = append(trip, more)
			default:
				break gather
			}
		}
		if g.failed() == nil {
			tags, err := g.send(trip, &noted)
			ready = append(ready, tags...)
			g.fail(err)
		}
		for _, group := range trip {
			group.Reset()
			clear(group.rows)
			group.rows, group.stood = group.rows[:0], false
			g.spare.Put(group)
		}
	}
}

func holds(trip []*group, tag string) bool {
	for _, g := range trip {
		if g.Tag() == tag {
			return true
		}
	}
	return false
}

func (g *batcher) send(trip []*group, noted *[ledger.Buckets]bool) (ready []string, err error) {
	var first []string
	for _, group := range trip {
		if i := ledger.TagIndex(group.Tag()); !noted[i] {
			noted[i] = true
			first = append(first, group.Tag())
		}
	}
	done, err := g.deliver(g.ctx, trip, first)
	g.told.Lock()
	for i, r := range done.Received {
		g.received(trip[i], r, &g.got)
	}
	g.told.Unlock()
	select {
	case g.acks <- struct{}{}:
	default:
	}
	return done.Ready, err
}
