package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Group gathers calls of one bucket, to be appended in one atomic step. It writes them
// down as the script reads them, so that it keeps no NewCall. The zero value is an empty
// group. It is for one goroutine.
type Group struct {
	tag   string
	calls int
	sent  string // what names the group at Redis; "" until it is sent

	// The arguments of the script from the seventh on, as one text with the end of each, since a bulk keeps very many.
	// The head of a run is empty there.
	text  []byte
	ends  []int32
	whole string // text, as of the last time that an argument was asked for
	runs  []groupRun

	// The last run: calls of one chain and server, one number of licences and one time.
	chain string
	head  groupHead
	same  struct {
		of   groupHead
		text string
	} // the last head that was written: many are the same

	// keys are the calls' keys, and twice says that one of them may stand twice. Keys of rows are not looked at, since
	// their numbers tell them apart (RowKey).
	keys  map[string]struct{}
	twice bool
}

// groupRun is a run of calls of one chain: its first argument, its first call and its head.
type groupRun struct {
	arg, call int
	head      string
}

// groupHead is what stands before the calls of a run.
type groupHead struct {
	server   string
	many     int
	licenses int
	at       time.Time
	withhold bool
}

// Arguments of a run, from groupRun.arg on.
const (
	runChain = iota
	_        // the sealed token
	runHead
	runCalls // key, record, and so on
)

// Len returns the number of calls in the group.
func (g *Group) Len() int { return g.calls }

// Runs returns how many runs of calls of one chain and server the group has.
func (g *Group) Runs() int { return len(g.runs) }

// Tag returns the bucket of the group's calls; "" if it has none.
func (g *Group) Tag() string { return g.tag }

// Reset empties the group.
func (g *Group) Reset() {
	clear(g.keys)
	clear(g.runs)
	*g = Group{text: g.text[:0], ends: g.ends[:0], runs: g.runs[:0], keys: g.keys}
}

// name returns the group's name, the same however often the group is sent; "" if Redis is to keep nothing of it.
func (g *Group) name(nothing bool) string {
	if nothing {
		return ""
	}
	if g.sent == "" {
		g.sent = strconv.FormatUint(rand.Uint64(), 36)
	}
	return g.sent
}

// arg returns the ith argument.
func (g *Group) arg(i int) string {
	if len(g.whole) != len(g.text) {
		g.whole = string(g.text)
	}
	from := int32(0)
	if i > 0 {
		from = g.ends[i-1]
	}
	return g.whole[from:g.ends[i]]
}

// runOf returns the run that has the nth call.
func (g *Group) runOf(n int) groupRun {
	i := len(g.runs) - 1
	for g.runs[i].call > n {
		i--
	}
	return g.runs[i]
}

// Field returns the Call.Field of the nth call.
func (g *Group) Field(n int) string {
	r := g.runOf(n)
	token, _ := SplitChainID(g.arg(r.arg + runChain))
	return token + g.arg(r.arg+runCalls+2*(n-r.call))
}

// ChainOf returns the id of the nth call's chain.
func (g *Group) ChainOf(n int) string { return g.arg(g.runOf(n).arg + runChain) }

// Foreseen returns how the calls land if none of them is known.
func (g *Group) Foreseen() string {
	g.close()
	out := make([]byte, 0, g.calls)
	for i, r := range g.runs {
		end, landing := g.calls, Fresh
		if i+1 < len(g.runs) {
			end = g.runs[i+1].call
		}
		if strings.HasPrefix(r.head, withheld) {
			landing = Withheld
		}
		for range end - r.call {
			out = append(out, byte(landing))
		}
	}
	return string(out)
}

// Withhold marks the calls of the chains for which blocked is true.
func (g *Group) Withhold(blocked func(chain string) bool) {
	g.close()
	for i := range g.runs {
		r := &g.runs[i]
		if !blocked(g.arg(r.arg + runChain)) {
			continue
		}
		g.head.withhold = g.head.withhold || i == len(g.runs)-1 // close writes the last head again
		if !strings.HasPrefix(r.head, withheld) {
			r.head = withheld + r.head
		}
	}
}

// withheld begins the head of a run whose new calls are withheld.
const withheld = "b"

// firstRoom has room for the text of most groups of one call, in bytes.
const firstRoom = 384

var errTokenForm = errors.New("ledger: the token's name has not the form of one")

// Add puts a call at the end of the group. It fails if the token's name does not have the
// form of one, or is of another bucket than the calls before.
func (g *Group) Add(c *NewCall) error {
	if !IsToken(c.Token) {
		return errTokenForm
	}
	if tag := Tag(c.Token); g.tag == "" {
		g.tag = tag
	} else if g.tag != tag {
		return fmt.Errorf("ledger: a call of bucket %s in a group of bucket %s", tag, g.tag)
	}
	if g.text == nil {
		g.text, g.ends = make([]byte, 0, firstRoom), make([]int32, 0, runCalls+2)
	}
	if len(g.runs) == 0 || !g.sameRun(c) {
		g.close()
		g.runs = append(g.runs, groupRun{arg: len(g.ends), call: g.calls})
		g.chain = ChainID(c.Token, c.Chain)
		g.head = groupHead{c.Server, 0, c.Licenses, c.At, c.Withhold}
		g.add(g.chain)
		g.add(c.Sealed)
		g.add("") // see groupRun.head
	}
	g.add(c.Key)
	g.text = appendRecord(g.text, c)
	g.ends = append(g.ends, int32(len(g.text)))
	g.head.many++
	g.calls++
	if !strings.HasPrefix(c.Key, rowMark) {
		if g.keys == nil {
			g.keys = map[string]struct{}{}
		}
		n := len(g.keys)
		g.keys[c.Key] = struct{}{}
		g.twice = g.twice || len(g.keys) == n
	}
	return nil
}

// add adds an argument.
func (g *Group) add(arg string) {
	g.text = append(g.text, arg...)
	g.ends = append(g.ends, int32(len(g.text)))
}

// sameRun reports whether a call belongs to the last run.
func (g *Group) sameRun(c *NewCall) bool {
	h := &g.head
	if c.Withhold != h.withhold || c.Server != h.server || c.Licenses != h.licenses || !c.At.Equal(h.at) || !strings.HasPrefix(g.chain, c.Token) {
		return false
	}
	name := g.chain[TokenLen:]
	return name == "" && c.Chain == "" || name != "" && name[1:] == c.Chain && c.Chain != ""
}

// close writes down the head of the last run.
func (g *Group) close() {
	if len(g.runs) == 0 {
		return
	}
	if g.same.of != g.head {
		g.same.of, g.same.text = g.head, g.head.String()
	}
	g.runs[len(g.runs)-1].head = g.same.text
}

// arguments appends the script's arguments for the group. They are pointers into one slice, since each string in an
// interface would be an allocation.
func (g *Group) arguments(to []any) []any {
	g.close()
	args := make([]string, len(g.ends))
	for i := range args {
		args[i] = g.arg(i)
		to = append(to, &args[i])
	}
	for _, r := range g.runs {
		args[r.arg+runHead] = r.head
	}
	return to
}

// String returns the head as the script reads it.
func (h groupHead) String() string {
	var room [48]byte
	b := room[:0]
	if h.withhold {
		b = append(b, withheld...)
	}
	b = append(strconv.AppendInt(b, int64(h.many), 10), ' ')
	if h.licenses > 0 {
		b = strconv.AppendInt(b, int64(h.licenses), 10)
	}
	b = append(b, ' ')
	if !h.at.IsZero() {
		b = strconv.AppendInt(b, max(0, h.at.UnixMilli()), 10) // the script reads no sign
	}
	return string(appendText(append(b, ' '), h.server))
}

// appendRecord appends the part of a new call's record that follows the time. It leaves out what is empty at the end.
func appendRecord(b []byte, c *NewCall) []byte {
	switch {
	case c.Notify:
		b = strconv.AppendInt(append(b, ",["...), int64(c.Row), 10)
		b = append(appendText(append(b, ','), c.Ref), ",0,1]"...)
	case c.Row > 0 && c.Ref != "":
		b = strconv.AppendInt(append(b, ",["...), int64(c.Row), 10)
		b = append(appendText(append(b, ','), c.Ref), ']')
	case c.Row > 0:
		b = strconv.AppendInt(append(b, ','), int64(c.Row), 10)
	case c.Ref != "" || c.Chain != "":
		b = appendText(append(b, ','), c.Ref)
	}
	if c.Chain != "" {
		b = appendText(append(b, ','), c.Chain)
	}
	return append(b, ']')
}

// appendText appends s as a JSON string.
func appendText(b []byte, s string) []byte {
	escaped := func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }
	if !strings.ContainsFunc(s, escaped) {
		return append(append(append(b, '"'), s...), '"')
	}
	text, _ := json.Marshal(s) // every string has a JSON form
	return append(b, text...)
}
