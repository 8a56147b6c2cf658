package ledger

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"habilita/internal/redisconn"
)

// stored is all that one bucket holds, read without the scripts.
type stored struct {
	records map[string]map[string][]any // batch, field
	counts  map[string]map[string]string
	chains  map[string]map[string]string
	queues  map[string][]string
	sets    map[string]map[string]float64 // ready, due, held, delayed, old, waiters:x, slots:x
	tokens  map[string]string
}

// ref cuts a reference of a token's chain into batch and key. It is void if the call was new
// again since.
func (s stored) ref(token, ref string) (batch, key string, void bool) {
	part := strings.Split(ref+"  ", " ")
	times := ""
	if rec := s.records[part[0]][token+part[1]]; len(rec) > 3 {
		if a, ok := rec[3].([]any); ok && len(a) > 2 && a[2] != float64(0) {
			times = fmt.Sprint(a[2])
		}
	}
	return part[0], part[1], part[2] != times
}

func (h *harness) load() stored {
	h.t.Helper()
	p := h.prefix + ":{" + testTag + "}:"
	keys, err := h.rdb.Keys(h.ctx, strings.NewReplacer("{", "\\{", "}", "\\}").Replace(p)+"*").Result()
	h.no(err)
	s := stored{
		records: map[string]map[string][]any{}, counts: map[string]map[string]string{},
		chains: map[string]map[string]string{}, queues: map[string][]string{}, sets: map[string]map[string]float64{},
	}
	pipe := h.rdb.Pipeline() // one round trip: this runs after every step of every test
	var put []func()
	for _, key := range keys {
		kind, name, _ := strings.Cut(strings.TrimPrefix(key, p), ":")
		switch kind {
		case "calls", "counts", "chain", "tokens":
			v := pipe.HGetAll(h.ctx, key)
			put = append(put, func() {
				switch kind {
				case "calls":
					s.records[name] = map[string][]any{}
					for field, raw := range v.Val() {
						var rec []any
						h.no(json.Unmarshal([]byte(raw), &rec))
						s.records[name][field] = rec
					}
				case "counts":
					s.counts[name] = v.Val()
				case "chain":
					s.chains[name] = v.Val()
				default:
					s.tokens = v.Val()
				}
			})
		case "queue":
			v := pipe.LRange(h.ctx, key, 0, -1)
			put = append(put, func() { s.queues[name] = v.Val() })
		case "ready", "due", "held", "delayed", "old", "waiters", "slots", "asleep":
			v := pipe.ZRangeWithScores(h.ctx, key, 0, -1)
			put = append(put, func() {
				set := map[string]float64{}
				for _, z := range v.Val() {
					set[z.Member.(string)] = z.Score
				}
				s.sets[strings.TrimSuffix(kind+":"+name, ":")] = set
			})
		}
	}
	_, err = pipe.Exec(h.ctx)
	h.no(err)
	for _, f := range put {
		f()
	}
	return s
}

// invariants computes everything that the scripts keep from the records, the queues
// and the chains, and compares.
func (h *harness) invariants() {
	h.t.Helper()
	s := h.load()
	bad := func(format string, a ...any) { h.t.Helper(); h.fatalf("invariant: "+format, a...) }
	want := map[string]map[string]int{} // counts by batch
	add := func(batch, what string, n int) {
		if want[batch] == nil {
			want[batch] = map[string]int{}
		}
		want[batch][what] += n
	}
	place := map[string]int{} // "<batch> <field>": how often it stands in a chain
	open := func(batch, field string) bool {
		rec := s.records[batch][field]
		if rec == nil {
			return false
		}
		return strings.Contains("qwr", rec[0].(string))
	}
	for id, c := range s.chains {
		token, _ := SplitChainID(id)
		held, state := c["s"] == "h", c["s"]
		stands := map[string]int{}
		if c["h"] != "" {
			batch, key, void := s.ref(token, c["h"])
			rec := s.records[batch][token+key]
			if rec == nil || void {
				bad("chain %s has the head %q, which has no record, or is void", id, c["h"])
			}
			switch st := rec[0].(string); {
			case held && st != "f", !held && !strings.Contains("qwr", st), (state == "x") != (st == "r"):
				bad("chain %s is %q with a head in state %q", id, state, st)
			}
			if !held {
				stands[batch]++
				place[batch+" "+token+key]++
			} else {
				add(batch, "g", 1)
			}
		} else if held || state == "x" {
			bad("chain %s is %q without a head", id, state)
		}
		for _, ref := range s.queues[id] {
			batch, key, void := s.ref(token, ref)
			if void {
				continue
			}
			if open(batch, token+key) {
				stands[batch]++
				place[batch+" "+token+key]++
			} else if rec := s.records[batch][token+key]; rec != nil && rec[0] != "c" && rec[0] != "p" {
				bad("chain %s queues %q in state %v", id, ref, rec[0])
			}
		}
		have := map[string]int{}
		for f, v := range c {
			if batch, ok := strings.CutPrefix(f, "o:"); ok {
				have[batch], _ = strconv.Atoi(v)
			}
		}
		if !maps.Equal(have, stands) {
			bad("chain %s counts the open calls %v, has %v", id, have, stands)
		}
		if held {
			for batch, n := range stands {
				add(batch, "b", n)
			}
		}
		h.listed(s, id, c, bad)
		h.ofHead(s, id, c, bad)
	}
	h.last = s.chains
	for _, list := range []string{"ready", "due", "held"} {
		for id := range s.sets[list] {
			if s.chains[id] == nil && !(list == "due" && strings.HasPrefix(id, "!")) {
				bad("%s lists %s, which is idle", list, id)
			}
		}
	}
	for list, of := range s.sets {
		for id := range of {
			if strings.HasPrefix(list, "asleep:") && s.chains[id] == nil {
				bad("%s lists %s, which is idle", list, id)
			}
		}
	}
	for id := range s.queues {
		if s.chains[id] == nil {
			bad("idle chain %s has a queue", id)
		}
	}
	perToken, delayed := map[string]int{}, 0
	for batch, records := range s.records {
		for field, rec := range records {
			st := rec[0].(string)
			perToken[field[:TokenLen]]++
			add(batch, "t", 1)
			switch {
			case st == "p": // cancelled, and new if it comes again
				add(batch, "c", 1)
			case strings.Contains("sfkc", st):
				add(batch, st, 1)
			}
			n, due := place[batch+" "+field], s.sets["delayed"][field[:TokenLen]+" "+batch+" "+field[TokenLen:]] > 0
			if st == "d" {
				delayed++
			}
			if isOpen := strings.Contains("qwr", st); isOpen && n != 1 || !isOpen && n != 0 || (st == "d") != due {
				bad("call %s of %s in state %q stands %d times in its chain; scheduled: %v", field, batch, st, n, due)
			}
			if batch == NoBatch && strings.Contains("skc", st) && s.sets["old"][field] == 0 {
				bad("ended call %s of no batch is not listed for retention", field)
			}
		}
	}
	if delayed != len(s.sets["delayed"]) {
		bad("%d calls are scheduled, %d listed", delayed, len(s.sets["delayed"]))
	}
	h.counted(s, want, bad)
	for token, v := range s.tokens {
		n, _, _ := strings.Cut(v, ":")
		if fmt.Sprint(perToken[token]) != n {
			bad("token %s counts %s records, has %d", token, n, perToken[token])
		}
	}
	if len(s.tokens) != len(perToken) {
		bad("%d tokens are kept, %d have records", len(s.tokens), len(perToken))
	}
}

// listed checks that a chain stands only on the lists of its state.
func (h *harness) listed(s stored, id string, c map[string]string, bad func(string, ...any)) {
	token, _ := SplitChainID(id)
	_, ready := s.sets["ready"][id]
	due, isDue := s.sets["due"][id]
	_, held := s.sets["held"][id]
	_, waits := s.sets["waiters:"+token][id]
	state := c["s"]
	if !strings.Contains("rfxwlh", state) || state == "" {
		bad("chain %s is in state %q", id, state)
	}
	if ready != (state == "r") || isDue != strings.Contains("fxwl", state) || held != (state == "h") {
		bad("chain %s in state %q: ready %v, due %v, held %v", id, state, ready, isDue, held)
	}
	if state == "l" && !waits || waits && !strings.Contains("lrf", state) {
		bad("chain %s in state %q: waits for a slot %v", id, state, waits)
	}
	for _, reason := range []string{"quota", "cooling"} {
		_, sleeps := s.sets["asleep:"+reason+":"+token][id]
		if why, _, _ := strings.Cut(c["y"], ":"); sleeps != (state == "w" && why == reason) {
			bad("chain %s in state %q for %q: asleep for %s: %v", id, state, c["y"], reason, sleeps)
		}
	}
	if state == "x" {
		// It is due when its lease ends; once somebody has seen that, at the next look.
		ends := float64(redisconn.Int(c["e"]))
		seen := h.l.o.Grace > 0 && strings.Contains("12", c["m"]) && c["m"] != "" && redisconn.Int(c["u"]) >= redisconn.Int(c["e"]) &&
			due >= ends+float64((h.l.o.Grace/2).Milliseconds())
		if due != ends && !seen || due == ends && c["m"]+c["u"] != "" {
			bad("chain %s runs until %s, is due at %.0f, and was looked at: %v", id, c["e"], due, c)
		}
		if end, ok := s.sets["slots:"+token][c["n"]]; ends > float64(h.now().UnixMilli()) && h.b.SetTime != nil && (!ok || end != ends) {
			bad("chain %s runs under nonce %s without a slot", id, c["n"])
		}
	}
	now, busy := float64(h.now().UnixMilli()), 0
	for _, end := range s.sets["slots:"+token] {
		if end > now {
			busy++
		}
	}
	if busy > h.settings.Slots {
		bad("token %s has %d slots taken", token, busy)
	}
}

// ofHead checks that a chain has nothing of a head before its own, neither by itself nor
// since the check before.
func (h *harness) ofHead(s stored, id string, c map[string]string, bad func(string, ...any)) {
	for f := range c {
		if !strings.HasPrefix(f, "o:") && (len(f) != 1 || !strings.Contains("shfneaptyuzmd", f)) {
			bad("chain %s has a field %q", id, f)
		}
	}
	if (c["n"] == "") != (c["e"] == "") || (c["n"] == "") != (c["d"] == "") {
		bad("chain %s knows a part of its last attempt: %v", id, c)
	}
	batch, key, _ := s.ref(id[:TokenLen], c["h"])
	attempts := 0.0
	if rec := s.records[batch][id[:TokenLen]+key]; len(rec) > 5 {
		attempts = rec[5].(float64)
	}
	if spent, _ := strconv.ParseFloat(c["a"], 64); spent < 0 || spent > attempts {
		bad("chain %s has spent %s of %v attempts of its head", id, c["a"], attempts)
	}
	was := h.last[id]
	if was == nil || was["h"] == c["h"] {
		return
	}
	running := c["s"] == "x"
	if c["p"]+c["t"]+c["m"] != "" || !running && c["n"] != "" || running && c["n"] == was["n"] || c["y"] == "" && c["u"] != "" {
		bad("chain %s has a new head, and of the one before it (%v): %v", id, was, c)
	}
}

func (h *harness) counted(s stored, want map[string]map[string]int, bad func(string, ...any)) {
	for batch, have := range s.counts {
		for _, what := range []string{"t", "s", "f", "k", "c", "b", "g"} {
			n, _ := strconv.Atoi(have[what])
			if n != want[batch][what] {
				bad("batch %s counts %s=%d, has %d", batch, what, n, want[batch][what])
			}
		}
	}
	for batch := range want {
		if s.counts[batch] == nil {
			bad("batch %s has no counts", batch)
		}
		n := want[batch]
		c := Counts{Total: n["t"], Succeeded: n["s"], Failed: n["f"], Skipped: n["k"], Cancelled: n["c"], Blocked: n["b"]}
		if c.Open() < 0 || c.Blocked > c.Open() {
			bad("batch %s: %+v", batch, c)
		}
	}
}
