package ledger

import (
	"fmt"
	"strings"
	"testing"

	"habilita/internal/vault"
)

func (h *harness) indexBulk(batch, token string, ids ...string) {
	h.t.Helper()
	var given []Given
	for _, id := range ids {
		given = append(given, Given{ID: id, Batch: batch, Token: token, Bulk: true})
	}
	h.no(h.l.Index(h.ctx, given))
}

// shortField returns an entry of a bulk as an older version made it.
func shortField(id, batch, token string) string {
	place, _ := vault.Lower32.DecodeString(batch + token[:shortToken])
	return digest(id) + string(place)
}

func (h *harness) indexShort(of, batch, token, id string) {
	h.t.Helper()
	h.no(h.rdb.HSet(h.ctx, h.l.indexKey(BatchID(of)[:2], singleIDs), shortField(id, batch, token), "").Err())
}

// A call of a bulk is found by its id, though its entry has only a part of id and token.
func TestBulkEntriesFindCalls(t *testing.T) {
	one, two := BatchID("one"), BatchID("two")
	like := tok(1)[:TokenLen-1] + "z" // its entry is that of tok(1)
	for name, c := range map[string]struct {
		given func(h *harness)
		want  int
	}{
		"the call":                     {func(h *harness) { h.indexBulk(one, tok(1), "a", "b") }, 1},
		"also of a single call":        {func(h *harness) { h.indexBulk(one, tok(1), "a"); h.index(one, tok(1), "a") }, 1},
		"of a single call":             {func(h *harness) { h.index(one, tok(1), "a") }, 1},
		"also of an older version":     {func(h *harness) { h.indexBulk(one, tok(1), "a"); h.indexShort("a", one, tok(1), "a") }, 1},
		"of an older version":          {func(h *harness) { h.indexShort("a", one, tok(1), "a") }, 1},
		"an older entry of another id": {func(h *harness) { h.indexShort("c", one, tok(1), "a"); h.indexBulk(one, tok(1), "a") }, 1},
		"of two batches": {func(h *harness) {
			h.indexBulk(one, tok(1), "a")
			h.indexBulk(two, tok(1), "a")
			h.append(two, "hold", calls(tok(1), "", "a"))
		}, 2},
		"of two tokens with one entry": {func(h *harness) {
			h.indexBulk(one, tok(1), "a")
			h.indexBulk(one, like, "a")
			h.append(one, "hold", calls(like, "", "a"))
		}, 2},
		"another id with the same entry": {func(h *harness) {
			h.indexShort("a", two, tok(1), "a")
			h.indexBulk(two, tok(1), "a")
			h.append(two, "hold", calls(tok(1), "", "other"))
		}, 0},
		"a text that is no batch's id": {func(h *harness) {
			h.indexBulk("b1", tok(1), "a")
			h.append("b1", "hold", calls(tok(1), "", "a"))
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				h.append(one, "hold", calls(tok(1), "", "a", "b"))
				c.given(h)
				h.is(h.found("a"), c.want)
				h.is(h.found("c"), 0)
			})
		})
	}
}

// Entries of a batch stand together, each once, however many there are and however often they are noted.
func TestBulkEntriesStandTogether(t *testing.T) {
	const many = 480 // four short lists, and beyond the second long one
	var ids []string
	for i := 0; len(ids) < many; i++ {
		if id := fmt.Sprint("row-", i); BatchID(id)[:2] == "aa" {
			ids = append(ids, id)
		}
	}
	both(t, setup{}, func(h *harness) {
		batch := BatchID("one")
		for i := 0; i < many; i += 48 {
			h.indexBulk(batch, tok(1), ids[i:i+48]...)
		}
		h.indexBulk(BatchID("two"), tok(1), ids[0])
		noted := h.entries()
		h.is(len(noted), 4+3+1)
		h.indexBulk(batch, tok(1), ids[100:300]...)
		h.is(fmt.Sprintf("%q", h.entries()), fmt.Sprintf("%q", noted))
		entries := 0
		for place, v := range noted {
			entries += len(v) / placeLen
			if strings.Contains(place, bulkIDs+" ") && len(v) > 64 {
				t.Errorf("%s has %d bytes: Redis makes a table of its hash", place, len(v))
			}
		}
		h.is(entries, many+1)
		h.append(batch, "hold", calls(tok(1), "", ids...))
		for i := 0; i < many; i += 31 {
			h.is(h.found(ids[i]), 1)
		}
	})
}

// The entries of a bulk go a day after its batch, and no sooner; not if they are noted again.
func TestTidyBulkIDs(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		batch := BatchID("one")
		meta := h.l.o.Prefix + ":batch:" + batch
		h.no(h.rdb.HSet(h.ctx, meta, "name", "one").Err())
		h.indexBulk(batch, tok(1), "there", "refused")
		h.append(batch, "hold", calls(tok(1), "", "there"))
		h.is(h.tidied(), 2)
		h.cancelBatch(batch)
		h.purge(batch, future)
		h.no(h.rdb.Del(h.ctx, meta).Err())
		h.tidy()
		h.is(len(h.entries()), 2)
		h.is(h.found("there"), 0)
		h.indexBulk(batch, tok(1), "there")
		h.dayPasses()
		h.tidy()
		h.is(len(h.entries()), 1)
		h.append(batch, "hold", calls(tok(1), "", "there"))
		h.is(h.found("there"), 1)
		h.is(h.tidied(), 0)
	})
}

// An entry of an older version goes a day after its batch's calls in the bucket.
func TestTidyShortIDs(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		batch := BatchID("one")
		h.indexShort("there", batch, tok(1), "there")
		h.append(batch, "hold", calls(tok(1), "", "there"))
		h.is(h.tidied(), 1)
		h.is(h.found("there"), 1)
		h.cancelBatch(batch)
		h.purge(batch, future)
		h.tidy()
		h.is(len(h.entries()), 1)
		h.dayPasses()
		h.tidy()
		h.is(len(h.entries()), 0)
	})
}
