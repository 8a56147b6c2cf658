package wolkvox

import (
	"slices"
	"sync"
	"time"
)

// idleConns keeps connections that no request uses, for a while.
type idleConns struct {
	keep time.Duration // without use

	mu sync.Mutex
	of map[string][]*conn // by host, the one that was used last at the end
}

// take takes the connection to a host that was used last; nil if there is none.
func (i *idleConns) take(host string) *conn {
	i.mu.Lock()
	defer i.mu.Unlock()
	for kept := i.of[host]; len(kept) > 0; kept = i.of[host] {
		c := kept[len(kept)-1]
		i.of[host] = slices.Delete(kept, len(kept)-1, len(kept))
		if c.old.Stop() {
			return c
		} // else drop closes it
	}
	return nil
}

// put keeps a connection. There are never more than were in use together lately.
func (i *idleConns) put(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c.old = time.AfterFunc(i.keep, func() { i.drop(c) })
	i.of[c.host] = append(i.of[c.host], c)
}

// drop closes a connection that has been kept long enough.
func (i *idleConns) drop(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	_ = c.Close()
	i.of[c.host] = slices.DeleteFunc(i.of[c.host], func(kept *conn) bool { return kept == c })
}

func (i *idleConns) closeAll() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, kept := range i.of {
		for _, c := range kept {
			c.old.Stop()
			_ = c.Close()
		}
	}
	clear(i.of)
}
