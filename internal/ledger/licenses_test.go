package ledger

import "testing"

// Licences that came with calls go with the token's last record; those that were set to stay
// do stay, whatever calls say later.
func TestPurgeKeepsLicencesThatWereSetToStay(t *testing.T) {
	set := func(h *harness) { h.no(h.limiter().SetLicenses(h.ctx, tok(1), 7)) }
	call := func(h *harness) {
		c := calls(tok(1), "", "a")
		c[0].Licenses = 5
		h.append("b1", "hold", c)
	}
	older := func(h *harness) { h.no(h.rdb.HSet(h.ctx, h.prefix+":{ab}:licenses", tok(1), 7).Err()) }
	for name, c := range map[string]struct {
		steps []func(*harness)
		want  string
	}{
		"with a call":                     {[]func(*harness){call}, ""},
		"set":                             {[]func(*harness){call, set}, "7"},
		"set before":                      {[]func(*harness){set, call}, "5"},
		"stored by an older version":      {[]func(*harness){older, call}, "5"},
		"set to the same, and with calls": {[]func(*harness){call, set, call}, "7"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, setup{}, func(h *harness) {
				for _, step := range c.steps {
					step(h)
				}
				if name == "set to the same, and with calls" {
					h.no(h.limiter().SetLicenses(h.ctx, tok(1), 7))
				}
				h.cancelBatch("b1")
				h.is(h.purge("b1", future), 1)
				h.is(h.rdb.HGet(h.ctx, h.prefix+":{ab}:licenses", tok(1)).Val(), c.want)
				h.is(h.rdb.SCard(h.ctx, h.prefix+":{ab}:lent").Val(), int64(0))
			})
		})
	}
}
