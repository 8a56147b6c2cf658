package chain

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// perScript is how many calls one append script takes: below 5 ms of Redis.
const perScript = 128

// NewCall is a call to be appended to its chain.
type NewCall struct {
	Token    string    // name of the token
	Chain    string    // name of the chain; "" is the token's default chain
	Key      string    // made by GivenKey, OrdinalKey or UniqueKey
	Server   string    // canonical server, such as "0042"
	Ref      string    // the producer's own text
	Licenses int       // 0: not given
	Sealed   string    // the sealed token
	At       time.Time // not before; zero: now
}

// Append asks for calls to be appended.
type Append struct {
	Batch  string // BatchID
	Policy string // hold, skip or cancel; of the batch, when it is new in a bucket
	// AtOnce feeds the chains that become ready, for a producer of single calls. The
	// caller must hand Appended.Fed to asynq.
	AtOnce bool
	Calls  []NewCall
}

// Appended is what an Append did.
type Appended struct {
	Added, Known int
	New          []bool   // for each call in order: true where it was added
	Fed          []Feed   // to be handed to asynq (AtOnce)
	Ready        []string // tags whose bucket has chains to be fed: Announce them
	NextDue      map[string]time.Time
}

// Append appends calls, each to the end of its chain, in the order given. A call that
// is known by its key is left as it is, so that appending again after an error adds
// only what is missing. Calls of one bucket are atomic in groups of perScript; after
// an error, groups of other buckets may have been appended.
func (l *Ledger) Append(ctx context.Context, a Append) (Appended, error) {
	out := Appended{New: make([]bool, len(a.Calls)), NextDue: map[string]time.Time{}}
	byTag := map[string][]int{}
	var order []string
	for i, c := range a.Calls {
		if !IsToken(c.Token) {
			return out, fmt.Errorf("chain: call %d: the token's name has not the form of one", i)
		}
		tag := Tag(c.Token)
		if byTag[tag] == nil {
			order = append(order, tag)
		}
		byTag[tag] = append(byTag[tag], i)
	}
	ready := map[string]bool{}
	// One script of a bucket in a pipeline: were one refused and its follower taken,
	// calls would stand in the wrong order.
	for len(order) > 0 {
		var groups [][]int
		var left []string
		for _, tag := range order {
			n := min(perScript, len(byTag[tag]))
			groups = append(groups, byTag[tag][:n])
			if byTag[tag] = byTag[tag][n:]; len(byTag[tag]) > 0 {
				left = append(left, tag)
			}
		}
		if err := l.appendGroups(ctx, a, groups, &out, ready); err != nil {
			return out, err
		}
		order = left
	}
	for tag := range ready {
		out.Ready = append(out.Ready, tag)
	}
	return out, nil
}

func (l *Ledger) appendGroups(ctx context.Context, a Append, groups [][]int, out *Appended, ready map[string]bool) error {
	cmds := make([]*redis.Cmd, len(groups))
	args := make([][]any, len(groups))
	pipe := l.rdb.Pipeline()
	for g, group := range groups {
		args[g] = appendArgs(a, group)
		cmds[g] = pipe.EvalSha(ctx, l.append_.Hash(), l.appendKeys(a, group), args[g]...)
	}
	_, _ = pipe.Exec(ctx) // each command's own error is looked at below
	var errs []error
	for g, group := range groups {
		v, err := cmds[g].Slice()
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			v, err = l.append_.Eval(ctx, l.rdb, l.appendKeys(a, group), args[g]...).Slice()
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		r := texts(v)
		l.admission.Observe(r.int(0))
		out.Added += int(r.int(1))
		out.Known += int(r.int(2))
		tag := Tag(a.Calls[group[0]].Token)
		if r.int(3) > 0 {
			ready[tag] = true
		}
		if due := r.int(4); due > 0 {
			out.NextDue[tag] = millis(due)
		}
		for j, i := range group {
			out.New[i] = r.str(5)[j] == '1'
		}
		out.Fed = append(out.Fed, feeds(r, 6)...)
	}
	return errors.Join(errs...)
}

func (l *Ledger) appendKeys(a Append, group []int) []string {
	return []string{l.bucket(Tag(a.Calls[group[0]].Token))}
}

func appendArgs(a Append, group []int) []any {
	args := make([]any, 0, 3+7*len(group))
	args = append(args, a.Batch, a.Policy, flag(a.AtOnce))
	for _, i := range group {
		c := &a.Calls[i]
		licenses, at := "", ""
		if c.Licenses > 0 {
			licenses = strconv.Itoa(c.Licenses)
		}
		if !c.At.IsZero() {
			at = strconv.FormatInt(c.At.UnixMilli(), 10)
		}
		args = append(args, ID(c.Token, c.Chain), c.Key, c.Server, c.Ref, licenses, c.Sealed, at)
	}
	return args
}

func flag(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
