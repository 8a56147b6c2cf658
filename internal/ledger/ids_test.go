package ledger

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func (h *harness) index(batch, token string, ids ...string) {
	var given []Given
	for _, id := range ids {
		given = append(given, Given{ID: id, Batch: batch, Token: token})
	}
	h.no(h.l.Index(h.ctx, given))
}

func (h *harness) found(id string) int {
	h.t.Helper()
	c, err := h.l.Find(h.ctx, id)
	h.no(err)
	return len(c)
}

// tidied returns how many entries of the index are left after a day.
func (h *harness) tidied() int {
	h.t.Helper()
	h.tidy()
	h.dayPasses()
	h.tidy()
	return len(h.entries())
}

func (h *harness) tidy() {
	h.t.Helper()
	for from, left := 0, 8; left > 0; left-- { // in parts
		next, err := h.l.TidyIDs(h.ctx, from, 500)
		h.no(err)
		if from = next; from == 0 {
			return
		}
	}
}

// entries returns those of the index, with their values.
func (h *harness) entries() map[string]string {
	out := map[string]string{}
	for _, key := range append(h.rdb.Keys(h.ctx, "*:ids").Val(), h.rdb.Keys(h.ctx, "*:places*").Val()...) {
		for field, v := range h.rdb.HGetAll(h.ctx, key).Val() {
			out[key+" "+field] = v
		}
	}
	return out
}

// dayPasses makes marks of the index a day older.
func (h *harness) dayPasses() {
	h.t.Helper()
	for place, v := range h.entries() {
		if len(v)%placeLen == 0 {
			continue
		}
		at, err := strconv.ParseInt(v[len(v)-13:], 10, 64)
		h.no(err)
		key, field, _ := strings.Cut(place, " ")
		h.no(h.rdb.HSet(h.ctx, key, field, fmt.Sprint(v[:len(v)-13], at-strayFor.Milliseconds())).Err())
	}
}

// An entry of the index goes when it has led nowhere for a day, and no sooner; one that leads
// to a call stays.
func TestTidyIDs(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(h *harness) // after it was marked
		day, left int
	}{
		"refused":                  {func(*harness) {}, 1, 1},
		"for less than a day":      {func(*harness) {}, 0, 2},
		"indexed again":            {func(h *harness) { h.index("b1", tok(1), "stray") }, 1, 2},
		"appended after all":       {func(h *harness) { h.append("b1", "hold", calls(tok(1), "", "stray")) }, 1, 2},
		"the other call is purged": {func(h *harness) { h.cancelBatch("b1"); h.purge("b1", future) }, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				h.index("b1", tok(1), "there", "stray")
				h.append("b1", "hold", calls(tok(1), "", "there"))
				h.tidy()
				h.is(len(h.entries()), 2)
				c.meanwhile(h)
				for range c.day {
					h.dayPasses()
				}
				h.tidy()
				h.is(len(h.entries()), c.left)
			})
		})
	}
}

// An entry that is indexed again while it is looked at is left.
func TestTidyIDsComparesAndSets(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		h.index("b1", tok(1), "a")
		h.tidy()
		h.dayPasses()
		key := h.l.indexKey(BatchID("a")[:2], singleIDs)
		seen, _, err := h.rdb.HScan(h.ctx, key, 0, "", 10).Result()
		h.no(err)
		h.index("b1", tok(1), "a")
		h.no(h.l.tidy(h.ctx, singleIDs, key, seen))
		h.is(len(h.entries()), 1)
	})
}

func TestFind(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		rows := calls(tok(1), "", "shared", "gl*b")
		rows = append(rows, NewCall{Token: tok(1), Key: UniqueKey("0"), Server: "0001"},
			NewCall{Token: tok(1), Chain: "n", Key: UniqueKey("n#0"), Server: "0001"})
		h.index("b1", tok(1), "shared", "gl*b", "nowhere")
		h.index("b2", tok(2), "shared", "globb")
		h.append("b1", "hold", rows)
		h.append("b2", "hold", calls(tok(2), "", "shared", "globb"))
		h.is(h.found("shared"), 2)
		h.is(h.found("gl*b"), 1)
		h.is(h.found("nowhere"), 0)
		h.is(h.found("nobody"), 0)
		for _, key := range []string{UniqueKey("0"), UniqueKey("n#0")} {
			c, err := h.l.Find(h.ctx, CallID("b1", tok(1), key))
			h.no(err)
			h.is(len(c), 1)
			h.is(c[0].Key, key)
		}
		// An id that looks like one that was made hides nothing, and is not hidden.
		twin := CallID("b1", tok(1), UniqueKey("0"))
		h.index("b2", tok(2), twin)
		h.append("b2", "hold", calls(tok(2), "", twin))
		h.is(h.found(twin), 2)
	})
}
