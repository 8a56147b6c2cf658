package ledger

import (
	"cmp"
	"context"
	"embed"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/lualink"
	"habilita/internal/redisconn"
)

//go:embed lua/*.lua
var sources embed.FS

// Admission is how the ledger grants attempts: the Lua library that has the functions
// quota.settings, grant, release, give_back, wake, is_chain, tell, cool, lift and now, and int; and the
// arguments that quota.settings reads.
type Admission struct {
	Library string
	// Args returns the arguments for a grant asked for now. It is called for every
	// script that may grant and must be safe for concurrent use.
	Args func() []any
	// Observe is told the time of Redis, in ms since 1970, of every reply. nil: not told.
	Observe func(serverMillis int64)
}

// Options set up a Ledger.
type Options struct {
	Prefix      string // of all keys; "" is "habilita"
	MaxAttempts int    // requests sent before a call is given up; 0 is 12
	// Grace is how long a worker whose lease has ended may still record its outcome, from the
	// moment when that was noticed, before its call is taken for lost (see dispatch). 0: not at all.
	Grace     time.Duration
	Admission Admission
	// Fingerprint is that of the token-ID key. Append is refused where the ledger has another
	// one, or has lost its data (ErrOtherKey, ErrLost). "": not looked at.
	Fingerprint string
}

// Ledger is the durable state of chains and calls. It is safe for concurrent use.
type Ledger struct {
	rdb         redis.UniversalClient
	prefix      string
	maxAttempts int
	grace       time.Duration
	admission   Admission
	fingerprint string

	append_, begin, requeue, finish, dispatch, decide script
	cancelChain, cancelBatch, purge, reseal           script
	cancelScheduled, index, tidyIDs                   script
	signal, restore, epochScript                      script
}

// script is put together and hashed when it is first run: a command runs few of them, and all
// of them together cost a fifth of its time.
type script func() *redis.Script

func newScript(main func() string, library func() *lualink.Library) script {
	return sync.OnceValue(func() *redis.Script { return redis.NewScript(library().Script(main())) })
}

// alone is a script that uses no library.
func alone(name string) script {
	return newScript(func() string { return source(name) }, func() *lualink.Library { return lualink.Parse() })
}

func (s script) hash() string { return s().Hash() }

func (s script) eval(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd {
	return s().Eval(ctx, c, keys, args...)
}

func (s script) run(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd {
	return s().Run(ctx, c, keys, args...)
}

// New returns a ledger on rdb. It asks nothing of Redis.
func New(rdb redis.UniversalClient, o Options) *Ledger {
	o.Prefix, o.MaxAttempts = cmp.Or(o.Prefix, "habilita"), cmp.Or(o.MaxAttempts, 12)
	if o.Admission.Args == nil {
		o.Admission.Args = func() []any { return nil }
	}
	if o.Admission.Observe == nil {
		o.Admission.Observe = func(int64) {}
	}
	l := &Ledger{rdb: rdb, prefix: o.Prefix, maxAttempts: o.MaxAttempts, grace: o.Grace, admission: o.Admission, fingerprint: o.Fingerprint}
	library := sync.OnceValue(func() *lualink.Library {
		return lualink.Parse(o.Admission.Library, source("base"), source("library"), source("joint"))
	})
	grants := func(name string) script { return newScript(func() string { return source(name) }, library) }
	decides := func(name string) script {
		return newScript(func() string { return "local function decision()\n" + source(name) + "end\n" + source("once") }, library)
	}
	l.index, l.tidyIDs = alone("index"), alone("tidy_ids")
	l.append_ = newScript(func() string { return source("append") }, func() *lualink.Library { return lualink.Parse(o.Admission.Library, source("base")) })
	l.begin, l.requeue, l.finish = grants("begin"), grants("requeue"), grants("finish")
	l.dispatch, l.reseal, l.purge = grants("dispatch"), grants("reseal"), grants("purge")
	l.decide, l.cancelScheduled = decides("decide"), decides("cancel_scheduled")
	l.cancelChain, l.cancelBatch = decides("cancel_chain"), decides("cancel_batch")
	l.signal, l.restore, l.epochScript = alone("signal"), grants("restore"), alone("epoch")
	return l
}

func source(name string) string {
	b, err := sources.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic("ledger: " + err.Error()) // the files are embedded: they can't be missing
	}
	return string(b)
}

// run executes a script on the bucket of tag and returns its reply.
func (l *Ledger) run(ctx context.Context, s script, tag string, args ...any) (reply, error) {
	return l.read(s.run(ctx, l.rdb, l.keys(tag), args...))
}

// read reads a script's reply. One that too few replicas acknowledged has a reply and an error.
func (l *Ledger) read(cmd *redis.Cmd) (reply, error) {
	r, err := answer(cmd)
	l.observe(r)
	return r, err
}

func answer(cmd *redis.Cmd) (reply, error) {
	v, err := cmd.Slice()
	if redisconn.Unreplicated(err) {
		v, _ = cmd.Val().([]any)
	} else if err != nil {
		return nil, err
	}
	return v, err
}

// observe notes the time of Redis, with which a reply begins.
func (l *Ledger) observe(r reply) {
	if len(r) > 0 {
		l.admission.Observe(r.int(0))
	}
}

// reply is a script's answer: texts, numbers, and replies in it.
type reply []any

// str is an element as text; "" where there is none.
func (r reply) str(i int) string {
	if i >= len(r) {
		return ""
	}
	switch e := r[i].(type) {
	case string:
		return e
	case int64:
		return strconv.FormatInt(e, 10)
	}
	return ""
}

// int is an element as a number; 0 where there is none.
func (r reply) int(i int) int64 {
	if i >= len(r) {
		return 0
	}
	switch e := r[i].(type) {
	case int64:
		return e
	case string:
		return parseInt(e)
	}
	return 0
}

func (r reply) time(i int) time.Time { return millis(r.int(i)) }

// millis is the time of ms since 1970; 0 is the zero time.
func millis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Dispatch is one dispatch of a chain: what an asynq task carries.
type Dispatch struct {
	Chain  string
	Number string
}

// TaskID is the id of the asynq task that carries the dispatch, so that dispatching the
// same number twice makes one task.
func (d Dispatch) TaskID() string { return d.Chain + ":" + d.Number }

func dispatches(r reply, from int) []Dispatch {
	var out []Dispatch
	for i := from; i+1 < len(r); i += 2 {
		if id := r.str(i); id != "" {
			out = append(out, Dispatch{Chain: id, Number: r.str(i + 1)})
		}
	}
	return out
}

func parseInt(s string) int64 {
	// Numbers come as integers; Lua may have printed one with a fraction.
	s, _, _ = strings.Cut(s, ".")
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
