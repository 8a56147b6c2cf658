package ledger

import (
	"strings"
	"testing"

	"habilita/internal/lualink"
	"habilita/internal/quota"
)

// The data of a Redis in use must stay readable, and scripts have the names that Go has.
func TestNamesOfWhatIsStored(t *testing.T) {
	want := `local C = { state = 's', head = 'h', number = 'f', nonce = 'n', lease_ends = 'e', days = 'd', spent = 'a', ` +
		`first_push_back = 'p', failures = 't', reason = 'y', waits_until = 'u', waiter_since = 'z', missed = 'm', open_of = 'o:', }
local STATE = { ready = 'r', dispatched = 'f', running = 'x', waiting = 'w', waiting_for_slot = 'l', held = 'h', }
local COUNT = { total = 't', succeeded = 's', failed = 'f', skipped = 'k', cancelled = 'c', blocked = 'b', held_chains = 'g', ` +
		`policy = 'p', batch_cancelled = 'x', changed = 'at', first_due = 'e', last_due = 'l', receipt = 'r', }
`
	if have := luaNames(); have != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
}

// A chain that is loaded has each field under its own name.
func TestChainIsLoadedWithAllFields(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		names, _, _ := strings.Cut(strings.TrimPrefix(luaNames(), "local C = { "), ", open_of")
		main, fields := "local c, out = load_chain('x'), {}\n", 0
		for entry := range strings.SplitSeq(names, ", ") {
			name, letter, _ := strings.Cut(entry, " = ")
			letter = strings.Trim(letter, "'")
			h.no(h.rdb.HSet(h.ctx, h.l.bucket(testTag)+"chain:x", letter, "value of "+letter).Err())
			main += "if c[C." + name + "] ~= 'value of " + letter + "' then out[#out + 1] = '" + name + "' end\n"
			fields++
		}
		script := lualink.Parse(quota.Library(), luaNames(), source("base")).Script(main + "return out\n")
		wrong, err := h.rdb.Eval(h.ctx, script, h.l.keys(testTag)).StringSlice()
		h.no(err)
		if len(wrong) > 0 || fields != 13 {
			t.Errorf("of %d fields, these are loaded into another place: %q", fields, wrong)
		}
	})
}
