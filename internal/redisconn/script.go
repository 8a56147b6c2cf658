package redisconn

import (
	"context"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/lualink"
)

// Script is put together and hashed when it is first run: a command runs few of them, and all of
// them together would cost a fifth of its time.
type Script func() *redis.Script

// NewScript returns the script of a text, with what it uses of a library.
func NewScript(main func() string, library func() *lualink.Library) Script {
	return sync.OnceValue(func() *redis.Script { return redis.NewScript(library().Script(main())) })
}

// Alone returns the script lua/NAME.lua of embedded files, which uses no library.
func Alone(files fs.ReadFileFS, name string) Script {
	return NewScript(func() string { return Source(files, name) }, func() *lualink.Library { return lualink.Parse() })
}

// Bucket returns how all keys of a bucket begin, hash tag included: Bucket("habilita", "k7") is "habilita:{k7}:".
func Bucket(prefix, tag string) string { return prefix + ":{" + tag + "}:" }

// BucketKeys returns what every script on a bucket declares: how its keys begin, and another name in its hash slot.
// Neither is ever a key. So while a cluster moves the slot, key by key, no script runs on either half: the node that has
// the slot says ASK for keys that are missing, and the node that gets it says TRYAGAIN.
func BucketKeys(prefix, tag string) []string {
	p := Bucket(prefix, tag)
	return []string{p, p + "whole"}
}

// SignalledKey returns the key of the list of buckets that have chains to be dispatched.
func SignalledKey(prefix string) string { return prefix + ":announced" }

// Execution is one execution of a script.
type Execution struct {
	Keys []string
	Args []any
}

// RunAll executes a script several times in one round trip, in the order given if one node has all keys. Each command
// has its own error. If Redis does not know the script, it gets the text in a second round trip.
func (s Script) RunAll(ctx context.Context, c redis.UniversalClient, of []Execution) []*redis.Cmd {
	pipe := c.Pipeline()
	cmds := make([]*redis.Cmd, len(of))
	for i, e := range of {
		cmds[i] = pipe.EvalSha(ctx, s().Hash(), e.Keys, e.Args...)
	}
	Exec(ctx, pipe)
	for i, e := range of {
		if redis.HasErrorPrefix(cmds[i].Err(), "NOSCRIPT") {
			cmds[i] = s().Eval(ctx, pipe, e.Keys, e.Args...)
		}
	}
	Exec(ctx, pipe)
	return cmds
}

// Exec sends a pipeline whose commands are looked at one by one. If none of them has an error of its own, they get the
// pipeline's: if go-redis reached no server at all, it says so only there.
func Exec(ctx context.Context, pipe redis.Pipeliner) {
	cmds, err := pipe.Exec(ctx)
	if err == nil || FirstError(cmds) != nil {
		return
	}
	for _, c := range cmds {
		c.SetErr(err)
	}
}

// Source returns the text lua/NAME.lua of embedded files.
func Source(files fs.ReadFileFS, name string) string {
	text, err := files.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic("redisconn: " + err.Error()) // the files are embedded: they can't be missing
	}
	return string(text)
}

// Reply is a script's answer: texts, numbers, and replies in it. If the script failed it is nil, and has nothing in it.
type Reply []any

// Str returns an element as text; "" if there is none.
func (r Reply) Str(i int) string {
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

// Int returns an element as a number; 0 if there is none.
func (r Reply) Int(i int) int64 { return Int(r.Str(i)) }

// Time returns an element as a time; zero if it is 0, or there is none.
func (r Reply) Time(i int) time.Time { return Time(r.Int(i)) }

// Int reads a number as a script writes it; 0 if it is none. Lua may have printed a fraction.
func Int(s string) int64 {
	s, _, _ = strings.Cut(s, ".")
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Time returns the time of ms since 1970; 0 is the zero time.
func Time(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Millis is the reverse of Time.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
