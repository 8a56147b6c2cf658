package ledger

import "testing"

func (h *harness) indexBulk(batch, token string, ids ...string) {
	h.t.Helper()
	var given []Given
	for _, id := range ids {
		given = append(given, Given{ID: id, Batch: batch, Token: token, Bulk: true})
	}
	h.no(h.l.Index(h.ctx, given))
}

// A call of a bulk is found by its id, though its entry tells neither id nor token whole.
func TestShortEntriesFindCalls(t *testing.T) {
	one, two := BatchID("one"), BatchID("two")
	like := tok(1)[:TokenLen-1] + "z" // its entry is that of tok(1)
	for name, c := range map[string]struct {
		given func(h *harness)
		want  int
	}{
		"the call":               {func(h *harness) { h.indexBulk(one, tok(1), "a", "b") }, 1},
		"also in the older form": {func(h *harness) { h.indexBulk(one, tok(1), "a"); h.index(one, tok(1), "a") }, 1},
		"in the older form only": {func(h *harness) { h.index(one, tok(1), "a") }, 1},
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
			h.no(h.rdb.HSet(h.ctx, h.l.indexKey("a"), Given{ID: "a", Batch: two, Token: tok(1), Bulk: true}.field(), "").Err())
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

// A short entry goes a day after its batch's calls in the bucket.
func TestTidyShortIDs(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		batch := BatchID("one")
		h.indexBulk(batch, tok(1), "there", "refused")
		h.append(batch, "hold", calls(tok(1), "", "there"))
		h.is(h.tidied(), 2)
		h.cancelBatch(batch)
		h.purge(batch, future)
		h.tidy()
		h.is(len(h.entries()), 2)
		h.dayPasses()
		h.tidy()
		h.is(len(h.entries()), 0)
	})
}
