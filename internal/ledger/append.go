package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"habilita/internal/redisconn"
)

// NewCall is a call to be appended to its chain.
type NewCall struct {
	Token    string    // name of the token
	Chain    string    // name of the chain; "" is the token's default chain
	Key      string    // made by GivenKey, RowKey or UniqueKey; in a group, no two calls have the same RowKey
	Server   string    // canonical server, such as "0042"
	Ref      string    // the producer's own text
	Row      int       // line of the file that has it; 0: none
	Licenses int       // 0: not given
	Sealed   string    // the sealed token
	At       time.Time // not before; zero: now
	Notify   bool      // its end is to be told (Finished)
	// Withhold says that an earlier row of the call's chain is missing: the call is not
	// appended if it is new.
	Withhold bool
}

// Append asks for calls to be appended.
type Append struct {
	Batch  string // BatchID
	Policy string // hold, skip or cancel; of the batch, when it is new in a bucket
	// Until is the time after which it is too late to append (Batches.Note); zero: never.
	Until time.Time
	// AtOnce dispatches the chains that become ready, for a producer of single calls. The
	// caller must hand Appended.Dispatches to asynq.
	AtOnce bool
	// Look writes nothing: Fresh says what would be new.
	Look bool
	// Looked says that a Look said Fresh. If a call is known by now, and its token has the very sealed
	// form of this Append, then an earlier try of this Append wrote it. The reply of that try was lost
	// (Redis clients try again by themselves). Such a call is Fresh, and not known.
	Looked bool
	// Part says that the calls are a part of their file: a call that is known by what it says
	// is a Twin, since nobody can tell whether the known call is meant.
	Part bool
	// Replaces makes a conflict with a call that was never sent Unsent, which withholds nothing.
	Replaces bool
	Calls    []NewCall
}

// Landing says how a call was received.
type Landing byte

// The landings of a call. Conflict, Unsent, Twin and Withheld change nothing.
const (
	Fresh    Landing = 'n' // appended
	Made     Landing = 'm' // known, and succeeded
	Waits    Landing = 'w' // known, and open
	IsHeld   Landing = 'h' // known, given up, and holds its chain
	Ended    Landing = 'e' // known, and ended otherwise
	Conflict Landing = 'c' // its id is known for another server or chain
	Unsent   Landing = 'r' // the same, and the known call was never sent (Append.Replaces)
	Twin     Landing = 'k' // known by what it says (Append.Part)
	Withheld Landing = 'b' // new, but an earlier row of its chain is missing
)

// Known reports whether the call was there already.
func (l Landing) Known() bool { return l == Made || l == Waits || l == IsHeld || l == Ended }

// Received says how the calls of a group were received, in order.
type Received struct {
	Landings string
	Have     []Call // the known calls of the Conflict and Unsent ones, in order
}

// ErrCancelled says that a batch was cancelled: it takes no more calls.
var ErrCancelled = errors.New("the batch was cancelled")

// ErrLate says that the producer, or Redis, stood still for so long that the batch may have been
// deleted meanwhile. None of the late calls was appended.
var ErrLate = errors.New("the batch was not appended to in time: " +
	"the producer or Redis stood still, or the clocks of its servers differ; giving the calls again adds what is missing")

// Appended is what an Append did.
type Appended struct {
	Received   []Received // of each group; without landings where it failed
	Dispatches []Dispatch // to be handed to asynq (AtOnce)
	Ready      []string   // tags whose bucket has chains to be dispatched: Signal them
}

// Append appends a.Calls in one atomic step, each to the end of its chain, in the order given. They must be of one
// bucket, and some hundred at most. A call that is known by its key is left as it is, so appending again after an
// error adds only what is missing.
func (l *Ledger) Append(ctx context.Context, a Append) (Appended, error) {
	g := &Group{}
	for i := range a.Calls {
		if err := g.Add(&a.Calls[i]); err != nil {
			return Appended{}, fmt.Errorf("call %d: %w", i, err)
		}
	}
	return l.AppendGroups(ctx, a, []*Group{g})
}

// AppendGroups appends groups of different buckets in one round trip, each group atomically. The
// calls of a bucket stay in order only if its next group is sent after this one was acknowledged.
// It ignores a.Calls. After an error, some groups may have been appended; Appended has those that
// answered.
func (l *Ledger) AppendGroups(ctx context.Context, a Append, groups []*Group) (Appended, error) {
	out := Appended{Received: make([]Received, len(groups))}
	if !a.Look {
		ctx = redisconn.Acknowledged(ctx)
	}
	cmds := make([]*redis.Cmd, len(groups))
	pipe := l.rdb.Pipeline()
	until := ""
	if !a.Until.IsZero() && !a.Look {
		until = strconv.FormatInt(a.Until.UnixMilli(), 10)
	}
	// arguments returns the script's arguments for a group, behind head.
	arguments := func(g *Group, head ...any) []any {
		to := append(make([]any, 0, len(head)+6+len(g.ends)), head...)
		to = append(to, a.Batch, a.Policy, a.flags(g.twice), l.o.Fingerprint, until, g.name(a.Look || a.AtOnce))
		return g.arguments(to)
	}
	seen := map[string]bool{}
	for i, g := range groups {
		if seen[g.tag] {
			return out, fmt.Errorf("ledger: two groups of bucket %s at once", g.tag)
		}
		seen[g.tag] = true
		keys := l.keys(g.tag) // EvalSha would copy all arguments once more: they are most of what a bulk sends
		cmds[i] = pipe.Do(ctx, arguments(g, "evalsha", l.append_().Hash(), strconv.Itoa(len(keys)), keys[0], keys[1])...)
	}
	redisconn.Exec(ctx, pipe)
	var errs []error
	for i, g := range groups {
		v, err := cmds[i].Slice()
		if redis.HasErrorPrefix(err, "NOSCRIPT") {
			v, err = l.append_().Eval(ctx, l.rdb, l.keys(g.tag), arguments(g)...).Slice()
		}
		if err != nil {
			if n := len(errs); n == 0 || errs[n-1].Error() != err.Error() { // most often all have the same
				errs = append(errs, err)
			}
			continue
		}
		r := reply(v)
		l.o.Admission.Observe(r.Int(0))
		if len(r) == 2 { // nothing was appended
			why := ErrOtherKey
			if r.Str(1) == "" {
				why = ErrLost
			}
			return out, errors.Join(append(errs, why)...)
		}
		if n := r.Int(1); n < 0 {
			why := ErrCancelled
			if n == -2 {
				why = ErrLate
			}
			if !slices.Contains(errs, why) {
				errs = append(errs, why)
			}
			continue
		}
		if r.Int(3) > 0 {
			out.Ready = append(out.Ready, g.tag)
		}
		got, conflicts := Received{Landings: r.Str(4)}, int(r.Int(5))
		for j, landing := range []byte(got.Landings) {
			if at := 6 + len(got.Have); Landing(landing) == Conflict || Landing(landing) == Unsent {
				field := g.Field(j)
				have, err := decode(a.Batch, field, r.Str(at))
				if err != nil {
					errs = append(errs, err)
				}
				got.Have = append(got.Have, have)
			}
		}
		out.Received[i] = got
		out.Dispatches = append(out.Dispatches, dispatches(r, 6+conflicts)...)
	}
	return out, errors.Join(errs...)
}

// Undrop lets chains that dropped a batch (policy cancel), in the buckets of tags, take calls of it again.
func (l *Ledger) Undrop(ctx context.Context, batch string, tags []string) error {
	for _, tag := range tags {
		if err := l.undrop().Run(ctx, l.rdb, l.keys(tag), batch).Err(); err != nil {
			return err
		}
	}
	return nil
}

// flags returns the script's flags.
func (a Append) flags(twice bool) string {
	f := ""
	for _, x := range []struct {
		set    bool
		letter string
	}{{a.AtOnce, "a"}, {a.Look, "d"}, {a.Part, "p"}, {a.Replaces, "r"}, {a.Looked, "o"}, {twice, "t"}} {
		if x.set {
			f += x.letter
		}
	}
	return f
}
