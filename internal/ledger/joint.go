package ledger

import (
	"context"
	"slices"
	"strings"

	"habilita/internal/redisconn"
)

// separator stands between the fields of an argument or a reply that is one text (SEP in joint.lua).
const separator = "\x1f"

// jointArgs are the arguments of a joint script (jointly in joint.lua): same are those that do not depend on the
// chain or bucket for which it is run, own the others.
func jointArgs(same []any, own ...any) []any {
	return slices.Concat([]any{len(same)}, same, own)
}

// runJoint executes a joint script for one chain or bucket. A client that is Pipelined may send it with others of
// its kind. The reply has at most that many fields (0: any number). Only the last one may contain any byte.
func (l *Ledger) runJoint(ctx context.Context, s script, tag string, most int, args []any) (reply, error) {
	all, err := answer(s().Run(redisconn.Joint(ctx), l.rdb, l.keys(tag), args...))
	return l.jointReply(all, 0, most), err
}

// jointReply is the nth reply of a joint script; nil where it failed.
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
