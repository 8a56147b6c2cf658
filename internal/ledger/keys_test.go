package ledger

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestKeys(t *testing.T) {
	for _, c := range []struct{ batch, key, id string }{
		{"b1", GivenKey("my-id"), "my-id"},
		{"b1", GivenKey("=-"), "=-"},
		{BatchID("x"), "_aB-_aB-_aB-_aB", BatchID("x") + "-" + tok(1) + "_aB-_aB-_aB-_aB"},
		{BatchID("x"), UniqueKey("7"), BatchID("x") + "-" + tok(1) + "-7"},
		{BatchID("x"), UniqueKey("a#1#2"), BatchID("x") + "-" + tok(1) + "-a#1#2"},
		{NoBatch, UniqueKey("r"), "solo-" + tok(1) + "-r"},
	} {
		id := CallID(c.batch, tok(1), c.key)
		if id != c.id {
			t.Errorf("CallID(%s, %s) = %s, want %s", c.batch, c.key, id, c.id)
		}
		batch, token, key, ok := parseCallID(id)
		if strings.HasPrefix(c.key, "=") {
			if ok {
				t.Errorf("the given id %q was parsed", id)
			}
		} else if batch != c.batch || token != tok(1) || key != c.key || !ok {
			t.Errorf("parseCallID(%s) = %s, %s, %s, %v", id, batch, token, key, ok)
		}
	}
	if BatchID("") != NoBatch || len(BatchID("solo")) != 12 || BatchID("a") == BatchID("b") {
		t.Error("BatchID")
	}
	for _, name := range []string{"", "n", "two words", "a:b"} {
		if token, back := SplitChainID(ChainID(tok(1), name)); token != tok(1) || back != name {
			t.Errorf("SplitChainID(ChainID(%q)) = %q", name, back)
		}
	}
	for n := range Buckets {
		if TagIndex(TagAt(n)) != n {
			t.Fatalf("TagIndex(TagAt(%d)) = %d", n, TagIndex(TagAt(n)))
		}
	}
	for _, tag := range []string{"", "a", "A1", "a1", "abc"} {
		if TagIndex(tag) != -1 {
			t.Errorf("TagIndex(%q) = %d", tag, TagIndex(tag))
		}
	}
}

func FuzzParseCallID(f *testing.F) {
	f.Add("solo-" + tok(1) + "-x")
	f.Add(CallID(BatchID("b"), tok(1), UniqueKey("n#3")))
	f.Add("")
	f.Add("--")
	f.Fuzz(func(t *testing.T, id string) {
		batch, token, key, ok := parseCallID(id)
		if !ok {
			return
		}
		if !IsToken(token) || !strings.HasPrefix(key, "-") && !strings.HasPrefix(key, "_") || CallID(batch, token, key) != id {
			t.Errorf("%q is %q, %q, %q", id, batch, token, key)
		}
	})
}

func FuzzDecode(f *testing.F) {
	field := tok(1) + "=a"
	f.Add(field, `["q","0001",1700000000000,"ref"]`)
	f.Add(field, `["s","0001",1700000000000,"ref","chain",2,1700000000001,1700000000002,"200","well",""]`)
	f.Add(field, `["q","0001",1700000000000,17]`)
	f.Add(field, `["q","0001",1700000000000,[17,"ref",2],"chain"]`)
	f.Add(field, `["s","0001",1e12,null,{},[]]`)
	f.Add("short", `[]`)
	f.Add(field, `null`)
	f.Fuzz(func(t *testing.T, field, raw string) {
		c, err := decode("b1", field, raw)
		if err == nil && (c.TokenID+c.Key != field || c.EnqueuedAt.IsZero() != (c.EnqueuedAt.UnixMilli() == -62135596800000)) {
			t.Errorf("%q, %q: %+v", field, raw, c)
		}
	})
}

// The producer's text comes back as it was.
func TestRecordsKeepTheProducersText(t *testing.T) {
	both(t, setup{}, func(h *harness) {
		for i, text := range []string{"plain", `"quoted\"`, "línea ñ 漢字 😀", "a\tb\nc\x00d", "/</script>", "{}[]", "1e5", strings.Repeat("x", 5000)} {
			id := "id:" + strings.ReplaceAll(text, " ", "_")
			if !utf8.ValidString(text) || strings.Contains(text, "\n") {
				id = string(rune('a' + i))
			}
			row := calls(tok(i), text, id)
			row[0].Ref = text
			h.append("b1", "hold", row)
			s := h.finish(h.start(ChainID(tok(i), text)), Outcome{Kind: Done, Code: text, Msg: text, Err: text}, false)
			h.is(s.Status, Idle)
			c := h.call("b1", tok(i), id)
			h.is(c.Ref == text && c.Chain == ChainID(tok(i), text) && c.Code == text && c.Msg == text && c.Error == text, true)
			h.is(c.ID, id)
		}
	})
}
