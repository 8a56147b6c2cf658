package control

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redis/go-redis/v9"
)

// AuditCapacity is how many entries are kept, at the least.
const AuditCapacity = 10_000

// maxField is the longest value that is kept, in bytes; what is longer is cut.
const maxField = 512

//go:embed lua/append.lua
var appendSource string

var appendScript = redis.NewScript(appendSource)

// The ways by which people act.
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
	// Target is to what, such as "batch november".
	Target string `json:"target"`
	// Result is what came of it, such as "3 chains", or the error.
	Result string `json:"result"`
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
	id, err := appendScript.Run(ctx, l.rdb, []string{l.key}, AuditCapacity,
		"who", clip(e.Who), "via", clip(e.Via), "action", clip(e.Action), "target", clip(e.Target), "result", clip(e.Result)).Text()
	if err != nil {
		return e, fmt.Errorf("audit log: %w", err)
	}
	e.ID, e.At = id, at(id)
	return e, nil
}

// ErrAuditID says that a text can't be the id of an entry.
var ErrAuditID = errors.New("not the id of an entry of the audit log")

// Before returns the n newest entries that are older than the one with this ID, the
// newest first; "" is of all. Next is the ID for the page after it. It is ErrAuditID if the id can't be one.
func (l *AuditLog) Before(ctx context.Context, id string, n int) (page Page[AuditEntry], err error) {
	from := "+"
	if id != "" {
		ms, seq, _ := strings.Cut(id, "-")
		_, err := strconv.ParseUint(ms, 10, 63)
		_, err2 := strconv.ParseUint(seq, 10, 63)
		if err != nil || err2 != nil {
			return page, ErrAuditID
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
		page.Items = append(page.Items, AuditEntry{ID: m.ID, At: at(m.ID), Who: text("who"), Via: text("via"), Action: text("action"),
			Target: text("target"), Result: text("result")})
	}
	return page, nil
}

func at(id string) Time {
	ms, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseInt(ms, 10, 64)
	return Time{time.UnixMilli(n).UTC()}
}

// clip makes valid UTF-8 of at most maxField bytes.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= maxField {
		return s
	}
	s = s[:maxField]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}
