package wolkvox

import (
	"sync"
	"time"
)

// idleConns keeps connections that no request uses, for a while.
type idleConns struct {
	most int           // for each host
	keep time.Duration // without use

	mu    sync.Mutex
	of    map[string][]*conn // by host, the one that was used last at the end
	sweep *time.Timer        // closes what has been kept long enough; nil: nothing is kept
}

// take takes the connection to a host that was used last; nil if there is none.
func (i *idleConns) take(host string) *conn {
	i.mu.Lock()
	defer i.mu.Unlock()
	kept := i.of[host]
	if len(kept) == 0 || time.Since(kept[len(kept)-1].since) >= i.keep {
		return nil
	}
	c := kept[len(kept)-1]
	kept[len(kept)-1] = nil
	i.of[host] = kept[:len(kept)-1]
	return c
}

// put keeps a connection, or closes it if there are enough.
func (i *idleConns) put(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.of[c.host]) >= i.most {
		_ = c.Close()
		return
	}
	if i.of == nil {
		i.of = map[string][]*conn{}
	}
	c.since = time.Now()
	i.of[c.host] = append(i.of[c.host], c)
	if i.sweep == nil {
		i.sweep = time.AfterFunc(i.keep, i.closeOld)
	}
}

// closeOld closes what has been kept long enough, and comes again when the next one will have been.
func (i *idleConns) closeOld() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.sweep == nil {
		return // closeAll was first
	}
	next := i.keep
	for host, kept := range i.of {
		old := 0
		for old < len(kept) && time.Since(kept[old].since) >= i.keep {
			_ = kept[old].Close()
			old++
		}
		if old == len(kept) {
			delete(i.of, host)
			continue
		}
		i.of[host] = append([]*conn(nil), kept[old:]...)
		next = min(next, i.keep-time.Since(kept[old].since))
	}
	if len(i.of) == 0 {
		i.sweep = nil
		return
	}
	i.sweep.Reset(max(next, i.keep/16))
}

func (i *idleConns) closeAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, kept := range i.of {
		for _, c := range kept {
			_ = c.Close()
		}
	}
	i.of = nil
	if i.sweep != nil {
		i.sweep.Stop()
		i.sweep = nil
	}
}
