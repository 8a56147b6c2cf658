package redisconn

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"
)

type jointKey struct{}

// Joint marks scripts that may be joined, so that Redis begins one and not many. The first argument of such a script is
// how many arguments follow that do not depend on what it is run for; the others do, and so do its keys. If it is run
// for several at a time, it gets the keys and the other arguments of all of them, and its reply has one element for
// each. A nil element says that this one failed, and that the script was still run for the others.
func Joint(ctx context.Context) context.Context { return context.WithValue(ctx, jointKey{}, true) }

// joined is a command that runs scripts of the same text.
type joined struct {
	cmd *redis.Cmd
	of  []*pending
}

// join makes one command of all scripts that may be joined.
func join(some []*pending) []joined {
	var all []joined
	at := map[any]int{} // by the hash of the text
	for _, w := range some {
		hash := w.cmd.Args()[1]
		if i, ok := at[hash]; ok && w.joint {
			all[i].of = append(all[i].of, w)
			continue
		}
		if w.joint {
			at[hash] = len(all)
		}
		all = append(all, joined{w.cmd, []*pending{w}})
	}
	for i, j := range all {
		if len(j.of) > 1 {
			all[i].cmd = together(j.of)
		}
	}
	return all
}

// together returns one EVALSHA for all of them. The arguments that do not depend on them are those of the last one.
func together(of []*pending) *redis.Cmd {
	var same, keys, own []any
	for _, w := range of {
		all := w.cmd.Args()
		first := 3 + all[2].(int)
		rest := first + 1 + all[first].(int)
		same, keys, own = all[first:rest], append(keys, all[3:first]...), append(own, all[rest:]...)
	}
	head := []any{"evalsha", of[0].cmd.Args()[1], len(keys)}
	return redis.NewCmd(context.Background(), slices.Concat(head, keys, same, own)...)
}

// split gives each script its reply, and returns those that failed among others.
func (j joined) split() (failed []*pending) {
	if len(j.of) == 1 {
		return nil
	}
	replies, _ := j.cmd.Val().([]any)
	for i, w := range j.of {
		if i < len(replies) && replies[i] == nil {
			failed = append(failed, w)
			continue
		}
		if i < len(replies) {
			w.cmd.SetVal(replies[i : i+1 : i+1])
		}
		w.cmd.SetErr(j.cmd.Err()) // with a reply: too few replicas have it
	}
	return failed
}
