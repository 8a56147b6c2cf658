package control

import (
	"cmp"
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/breaker"
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

// Before returns the n newest entries that are older than the one with this ID, the
// newest first; "" is of all. Next is the ID for the page after it. The error is ErrCursor for an id that can't be one.
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
		page.Items = append(page.Items, AuditEntry{ID: m.ID, At: at(m.ID), Who: text("who"), Via: text("via"), Action: text("action"),
			Target: text("target"), Result: text("result")})
	}
	return page, nil
}

func at(id string) Time {
	ms, _, _ := strings.Cut(id, "-")
	n, _ := strconv.ParseInt(ms, 10, 64)
	return Time{Time: time.UnixMilli(n).UTC()}
}

// clip makes valid UTF-8 of at most maxField bytes.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "�")
	if len(s) <= maxField {
		return s
	}
	return strings.ToValidUTF8(s[:maxField], "") // without half a character at the end
}

// Unknown is the name of who gave none.
const Unknown = "unknown"

// Actor is who decides and by which way: the audit log names both.
type Actor struct {
	// Who is the name of a key, "local", or for the CLI the user and machine; "" is Unknown.
	Who string
	// Via is one of the Bys; "" is ByGo.
	Via string
	// Told is told of each entry, with the error if it could not be written: what was decided
	// stands all the same. nil tells nobody.
	Told func(AuditEntry, error)
}

type actorKey struct{}

// WithActor returns a context in which the actor decides.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ThisUser is the user and machine of this process, as Actor.Who has them.
func ThisUser() string {
	name := Unknown
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// auditTimeout is how long an entry of the audit log may take.
const auditTimeout = 8 * time.Second

// Note writes into the audit log what the context's Actor did, also if the context has ended
// meanwhile. Decisions of a Control note themselves; Note is for what is done elsewhere, such as
// enqueueing. result is what came of it, and failed why it failed; a target that is not there
// leaves no entry.
func (o *Control) Note(ctx context.Context, action, target, result string, failed error) {
	if unknown(failed) {
		return
	}
	if Unread(failed) > 0 { // decided about the rest
		result, failed = result+UnreadNote(failed), nil
	}
	switch {
	case failed != nil && result != "":
		result = fmt.Sprintf("failed after %s: %v", result, failed)
	case failed != nil:
		result = fmt.Sprintf("failed: %v", failed)
	}
	a, _ := ctx.Value(actorKey{}).(Actor)
	e := AuditEntry{Who: cmp.Or(a.Who, Unknown), Via: cmp.Or(a.Via, ByGo), Action: action, Target: target, Result: result}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	e, err := o.audit.Append(ctx, e)
	if a.Told != nil {
		a.Told(e, err)
	}
}

// unknown reports whether what was decided about is not there, or can't be, so that nothing was
// decided.
func unknown(err error) bool {
	return is[*UnknownError](err) || is[*SelectionError](err) ||
		errors.Is(err, ErrChainID) || errors.Is(err, breaker.ErrUnknownServer)
}

func is[E error](err error) bool { _, ok := errors.AsType[E](err); return ok }

// noted checks the selection, does what act does with it, and notes that as so many of what noun names.
func (o *Control) noted(ctx context.Context, action, noun string, s Selection, act func(context.Context, Selection) (int, error)) (int, error) {
	s, err := s.check()
	if err != nil {
		return 0, err
	}
	n, err := act(ctx, s)
	result := fmt.Sprintf("%d %s", n, noun)
	if n != 1 {
		result += "s"
	}
	o.Note(ctx, action, s.String(), result, err)
	return n, err
}

// AuditLog is the log into which decisions are written.
func (o *Control) AuditLog() *AuditLog { return o.audit }
