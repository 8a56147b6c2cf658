package control

import (
	"context"
	_ "embed" // the script
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/say"
)

// AuditCapacity is how many entries are kept at least.
const AuditCapacity = 10_000

// maxField is the longest value that is kept, in bytes. Longer ones are cut.
const maxField = 512

//go:embed lua/append.lua
var appendSource string

var appendScript = redis.NewScript(appendSource)

// The ways in which people act.
const (
	ByAPI     = "api"
	ByConsole = "console"
	ByCLI     = "cli"
	ByGo      = "go" // a program that imports habilita
)

// AuditEntry is one thing that somebody did.
type AuditEntry struct {
	// ID tells entries apart, and orders them. Append makes it.
	ID string `json:"id"`
	// At is when, by the clock of Redis. Append sets it.
	At Time `json:"at"`
	// Who is the name of a key, "local", or for the CLI the user and machine.
	Who string `json:"who"`
	// Via is the way: one of the Bys.
	Via string `json:"via"`
	// Action is what was done, such as "retry".
	Action string `json:"action"`
	// Target is what it was done to, such as "batch november".
	Target string `json:"target"`
	// Result is the result, such as "3 chains", or the error.
	Result string `json:"result"`
	Outcome
}

// Outcome is the result of an action in parts, so that pages can tell it in their own language. An entry of an older
// version has only its Result.
type Outcome struct {
	// Ended is how it ended: one of the Endeds. "": an older version noted it.
	Ended string `json:"ended"`
	// Count is how many were acted on, each a Unit: chain, call, row or token ("": nothing is counted). With Of, it is
	// how many of those were new calls (rows) or had their count raised (tokens).
	Count int `json:"count"`
	// Of is how many rows were read, or tokens asked about; 0 if neither applies.
	Of   int    `json:"of"`
	Unit string `json:"unit"`
	// Pruned is how many calls of the batch prune cancelled because the rows have them no more. Replaced is how many of
	// Count prune put in the place of another call.
	Pruned   int `json:"pruned"`
	Replaced int `json:"replaced"`
	// Failed is how many tokens could not be asked about.
	Failed int `json:"failed"`
	// Place is the batch or chain that what was made belongs to, such as "batch november"; "": none.
	Place string `json:"place"`
	// Unread is how many parts of Redis could not be read, and so were not acted on.
	Unread int `json:"unread"`
}

// How an action ended.
const (
	EndedDone      = "done"
	EndedUnchanged = "unchanged" // it was so already
	EndedFailed    = "failed"    // perhaps after it did a part
)

// What outcomes count.
const (
	UnitChain = "chain"
	UnitCall  = "call"
	UnitRow   = "row"
	UnitToken = "token"
)

// words says the outcome on one line; "" if there is nothing to say but that it failed.
func (o Outcome) words() (text string) {
	switch {
	case o.Unit == UnitToken:
		text = say.List(say.Count(o.Of, "token")+" asked about", say.Count(o.Count, "count")+" raised", say.Some(o.Failed, "failed"))
	case o.Of > 0:
		text = say.Thousands(o.Count) + " new of " + say.Count(o.Of, o.Unit)
	case o.Unit != "":
		text = say.Count(o.Count, o.Unit)
	case o.Place != "":
		text = o.Place
	case o.Ended == EndedUnchanged:
		text = "it was so already"
	case o.Ended == EndedDone:
		text = "done"
	}
	if gone := say.List(say.Some(o.Pruned, "cancelled by prune"), say.Some(o.Replaced, "replaced")); gone != "" {
		text += "; " + gone
	}
	if o.Unread > 0 {
		text += "; " + say.Count(o.Unread, "part") + " of Redis could not be read"
	}
	return text
}

// stored returns the fields and values of the outcome for the stream, without those that are empty.
func (o Outcome) stored() (out []any) {
	for _, f := range [][2]string{{"ended", o.Ended}, {"unit", o.Unit}, {"place", clip(o.Place)}} {
		if f[1] != "" {
			out = append(out, f[0], f[1])
		}
	}
	for name, n := range o.numbers() {
		if *n != 0 {
			out = append(out, name, *n)
		}
	}
	return out
}

func (o *Outcome) numbers() map[string]*int {
	return map[string]*int{"count": &o.Count, "of": &o.Of, "pruned": &o.Pruned, "replaced": &o.Replaced, "failed": &o.Failed, "unread": &o.Unread}
}

// AuditLog is the audit log of one Redis. It is safe for concurrent use.
type AuditLog struct {
	rdb redis.UniversalClient
	key string
}

// NewAuditLog makes an AuditLog on keys that begin with the prefix, such as "habilita". It does not
// own the client.
func NewAuditLog(rdb redis.UniversalClient, prefix string) *AuditLog {
	return &AuditLog{rdb: rdb, key: prefix + ":actions"}
}

// Append writes an entry down, and returns it with its ID and time.
func (l *AuditLog) Append(ctx context.Context, e AuditEntry) (AuditEntry, error) {
	args := append([]any{AuditCapacity, "who", clip(e.Who), "via", clip(e.Via), "action", clip(e.Action), "target", clip(e.Target),
		"result", clip(e.Result)}, e.stored()...)
	id, err := appendScript.Run(ctx, l.rdb, []string{l.key}, args...).Text()
	if err != nil {
		return e, fmt.Errorf("audit log: %w", err)
	}
	e.ID, e.At = id, at(id)
	return e, nil
}

// Before returns the n newest entries that are older than the one with this ID, the
// newest first; "" begins with the newest of all. Next is the ID for the page after it. The error is ErrCursor for an id
// that can't be one.
func (l *AuditLog) Before(ctx context.Context, id string, n int) (page Page[AuditEntry], err error) {
	from := "+"
	if id != "" {
		ms, seq, _ := strings.Cut(id, "-")
		_, err := strconv.ParseUint(ms, 10, 63)
		_, err2 := strconv.ParseUint(seq, 10, 63)
		if err != nil || err2 != nil {
			return page, ErrCursor
		}
		from = "(" + id
	}
	found, err := l.rdb.XRevRangeN(ctx, l.key, from, "-", int64(n)+1).Result()
	if err != nil {
		return page, fmt.Errorf("audit log: %w", err)
	}
	if len(found) > n {
		found = found[:n]
		page.Next = found[n-1].ID
	}
	for _, m := range found {
		text := func(name string) string { s, _ := m.Values[name].(string); return s }
		e := AuditEntry{ID: m.ID, At: at(m.ID), Who: text("who"), Via: text("via"), Action: text("action"), Target: text("target"),
			Result: text("result"), Outcome: Outcome{Ended: text("ended"), Unit: text("unit"), Place: text("place")}}
		for name, n := range e.numbers() {
			*n, _ = strconv.Atoi(text(name)) // 0 is not stored
		}
		page.Items = append(page.Items, e)
	}
	return page, nil
}

func at(id string) Time {
	ms, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseInt(ms, 10, 64)
	return Time{Time: time.UnixMilli(n).UTC()}
}

// clip makes valid UTF-8 of at most maxField bytes.
func clip(s string) string { return say.Cut(strings.ToValidUTF8(s, "�"), maxField) }
