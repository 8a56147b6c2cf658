package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
)

// What can be wrong with a chain that was named.
var (
	ErrNotHeld = errors.New("the chain is not held")
	ErrNoChain = errors.New("no call of the chain waits")
)

// UnknownError says that there is no batch or schedule of that name, or no call of that id: there never was, or its
// retention is over. It can also say that a named chain can't be acted on. It wraps its Kind.
type UnknownError struct {
	Kind error // ledger.ErrNoBatch, ledger.ErrNoCall, schedule.ErrNoSchedule, ErrNotHeld or ErrNoChain
	Name string
}

var unknownWords = map[error]string{
	ledger.ErrNoBatch:      "there is no batch %q: run `enqueue batches` to list them",
	ledger.ErrNoCall:       "there is no call %q: `enqueue report BATCH` has the ids of a batch's calls",
	schedule.ErrNoSchedule: "there is no schedule %q: run `enqueue schedule list` to list them",
	ErrNotHeld:             "chain %q is not held: `enqueue chains --held` lists those that wait for a person",
	ErrNoChain:             "chain %q has no call that waits: `enqueue chains` lists the chains that have one",
}

// Error says what is unknown and what to type next.
func (e *UnknownError) Error() string { return fmt.Sprintf(unknownWords[e.Kind], e.Name) }

// Unwrap returns the Kind.
func (e *UnknownError) Unwrap() error { return e.Kind }

// SelectionError says what is wrong with a Selection, and what is wanted.
type SelectionError struct{ Problem string }

func (e *SelectionError) Error() string { return e.Problem }

// ErrChainID says that a text can't be the id of a chain.
var ErrChainID = errors.New("not a chain's id: it is the token_id of `enqueue report`, followed by :NAME if the chain has a name")

// Unread returns how many parts of the ledger, and how many whole batches and schedules, could not be read, if err says
// that the others could: what came with err is theirs. It returns 0 if err is nil or any other error.
func Unread(err error) (n int) {
	for _, u := range redisconn.Unread(err) {
		n += len(u.Names)
	}
	return n
}

// SplitUnread returns Unread(err), or err itself if that is 0.
func SplitUnread(err error) (unread int, other error) {
	if unread = Unread(err); unread > 0 {
		return unread, nil
	}
	return 0, err
}

// UnreadWords explains an error to people, if Unread(err) > 0.
func UnreadWords(err error) string {
	var what []string
	all := redisconn.Unread(err)
	for _, u := range all {
		what = append(what, fmt.Sprintf(u.What, len(u.Names)))
	}
	return fmt.Sprintf("a part of Redis can't be read now (%s): %v. What it holds is not shown, counted or acted on here. "+
		"Nothing is lost: give the command again when that node is back", strings.Join(what, ", "), all[0].Cause)
}

// of says what an error is about; nil stays nil.
func of(err error, what string, a ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(what+": %w", append(a, err)...)
}

// buckets returns the buckets that can be read. If Unread(err) > 0, there are others.
func (o *Control) buckets(ctx context.Context) ([]ledger.Bucket, error) {
	buckets, err := o.ledger.Inspect(ctx)
	return buckets, of(err, "look at the chains")
}
