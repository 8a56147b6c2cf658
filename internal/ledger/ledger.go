package ledger

import (
	"cmp"
	"context"
	"embed"
	"slices"
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
	// Observe gets the time of Redis in every reply, in ms since 1970. It may be nil.
	Observe func(serverMillis int64)
}

// DefaultMaxAttempts applies if Options.MaxAttempts is 0.
const DefaultMaxAttempts = 12

// Options set up a Ledger.
type Options struct {
	Prefix      string // of all keys; "" is "habilita"
	MaxAttempts int    // requests sent before a call is given up; 0 is DefaultMaxAttempts
	// Grace is how long a worker may still record its outcome after somebody noticed that its lease
	// has ended. After that its call is taken for lost (see dispatch.lua). 0: not at all.
	Grace     time.Duration
	Admission Admission
	// Fingerprint is that of the token-ID key. Append fails if the ledger has another one
	// (ErrOtherKey), or has lost its data (ErrLost). "": not checked.
	Fingerprint string
}

// Ledger is the durable state of chains and calls. It is safe for concurrent use.
type Ledger struct {
	rdb redis.UniversalClient
	o   Options

	append_, begin, requeue, finish, dispatch, decide script
	cancelChain, cancelBatch, purge, reseal           script
	cancelScheduled, index, tidyIDs, undrop           script
	signal, restore, epochScript, chainsOn            script
}

type (
	script = redisconn.Script
	reply  = redisconn.Reply
)

// alone returns a script that uses no library.
func alone(name string) script { return redisconn.Alone(sources, name) }

// New returns a ledger on rdb. It sends nothing to Redis.
func New(rdb redis.UniversalClient, o Options) *Ledger {
	o.Prefix, o.MaxAttempts = cmp.Or(o.Prefix, "habilita"), cmp.Or(o.MaxAttempts, DefaultMaxAttempts)
	if o.Admission.Args == nil {
		o.Admission.Args = func() []any { return nil }
	}
	if o.Admission.Observe == nil {
		o.Admission.Observe = func(int64) {}
	}
	l := &Ledger{rdb: rdb, o: o}
	library := sync.OnceValue(func() *lualink.Library {
		return lualink.Parse(o.Admission.Library, luaNames(), source("base"), source("library"), source("joint"))
	})
	grants := func(name string) script { return redisconn.NewScript(func() string { return source(name) }, library) }
	decides := func(name string) script {
		return redisconn.NewScript(func() string { return Once(source(name)) }, library)
	}
	l.index, l.tidyIDs, l.undrop = alone("index"), alone("tidy_ids"), grants("undrop")
	l.append_ = redisconn.NewScript(func() string { return source("append") }, func() *lualink.Library {
		return lualink.Parse(o.Admission.Library, luaNames(), source("base"))
	})
	l.begin, l.requeue, l.finish = grants("begin"), grants("requeue"), grants("finish")
	l.dispatch, l.reseal, l.purge = grants("dispatch"), grants("reseal"), grants("purge")
	l.decide, l.cancelScheduled = decides("decide"), decides("cancel_scheduled")
	l.cancelChain, l.cancelBatch = decides("cancel_chain"), decides("cancel_batch")
	l.signal, l.restore, l.epochScript, l.chainsOn = alone("signal"), grants("restore"), alone("epoch"), alone("chains")
	return l
}

func source(name string) string { return redisconn.Source(sources, name) }

// Once makes a script of steps that are done once, even if the Redis client sends it again: then it answers as it did at
// first. The last of its keys names the place of the answer, and is new for each execution.
func Once(steps string) string {
	return "local function step()\n" + steps + "end\n" + source("once")
}

// run executes a script on the bucket of tag and returns its reply.
func (l *Ledger) run(ctx context.Context, s script, tag string, args ...any) (reply, error) {
	return l.read(s().Run(ctx, l.rdb, l.keys(tag), args...))
}

// read reads a script's reply. If too few replicas acknowledged it, there is a reply and an error.
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

// separator stands between the fields of an argument or a reply that is one text (SEP in joint.lua).
const separator = "\x1f"

// jointArgs returns the arguments of a joint script (jointly in joint.lua): same are those that are equal for all
// chains or buckets, own are the others.
func jointArgs(same []any, own ...any) []any {
	return slices.Concat([]any{len(same)}, same, own)
}

// runJoint executes a joint script for one chain or bucket. A client that is Pipelined may send it with others of
// its kind. The reply has at most most fields (0: any number). Only the last field may contain any byte.
func (l *Ledger) runJoint(ctx context.Context, s script, tag string, most int, args []any) (reply, error) {
	all, err := answer(s().Run(redisconn.Joint(ctx), l.rdb, l.keys(tag), args...))
	return l.jointReply(all, 0, most), err
}

// jointReply returns the nth reply of a joint script; nil if that one failed.
func (l *Ledger) jointReply(all reply, n, most int) reply {
	text := all.Str(n)
	if text == "" {
		return nil
	}
	r := make(reply, 0, max(most, 4))
	for most--; most != 0; most-- {
		field, rest, more := strings.Cut(text, separator)
		if !more {
			break
		}
		r, text = append(r, field), rest
	}
	r = append(r, text)
	l.observe(r)
	return r
}

// observe notes the time of Redis, which is the first field of a reply.
func (l *Ledger) observe(r reply) {
	if len(r) > 0 {
		l.o.Admission.Observe(r.Int(0))
	}
}

// Dispatch is one dispatch of a chain: what an asynq task carries.
type Dispatch struct {
	Chain  string
	Number string
}

// TaskID returns the id of the asynq task that carries the dispatch, so that dispatching the
// same number twice makes one task.
func (d Dispatch) TaskID() string { return d.Chain + ":" + d.Number }

func dispatches(r reply, from int) []Dispatch {
	var out []Dispatch
	for i := from; i+1 < len(r); i += 2 {
		if id := r.Str(i); id != "" {
			out = append(out, Dispatch{Chain: id, Number: r.Str(i + 1)})
		}
	}
	return out
}
