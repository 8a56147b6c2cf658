package ledger

import (
	"context"
	"strconv"
	"strings"
	"time"

	"habilita/internal/redisconn"
)

// Status says how a script left a chain.
type Status string

// The statuses of Begin and Finish.
const (
	Running  Status = "run"      // an attempt was granted: send it
	Deferred Status = "deferred" // no grant now; the chain comes back by itself
	Waiting  Status = "waiting"  // back-off, or behind others for a slot
	Held     Status = "held"     // given up; a person decides
	Idle     Status = "idle"     // no call is left
	Ready    Status = "ready"    // in the ready list: Signal its bucket
	Stale    Status = "stale"    // an older task or attempt: nothing was changed
	Again    Status = "again"    // as Ready, after passing over many cancelled calls
	Clock    Status = "clock"    // the days in the arguments do not cover now: ask again
)

// Attempt is one granted attempt of a chain's head.
type Attempt struct {
	Chain, Batch, Key string
	Server            string
	Sealed            string // the sealed token; "" where the ledger has none
	Nonce             string
	Number            int       // requests sent for the call, with this one
	Spent             int       // of the budget, with this one
	FirstPushBack     time.Time // zero: none in this budget
	Failures          int       // in a row
	LeaseEnds         time.Time // by the clock of Redis: until then the slot stays taken if nobody frees it
	Days              string    // on which it was counted, YYYYMMDD, comma separated
	Enqueued          time.Time
	Probe             bool // of a token that cools: a success ends the cooling
	ProbesServer      bool // set by the worker: its server is away, and this is a gentle try
	Used, Limit       int  // requests of the token today, with this one, and its quota
}

// TokenID returns the name of the attempt's token.
func (a *Attempt) TokenID() string {
	token, _ := SplitChainID(a.Chain)
	return token
}

// CallID returns the id of the attempt's call.
func (a *Attempt) CallID() string { return CallID(a.Batch, a.TokenID(), a.Key) }

// Step is the reply of Begin and Finish.
type Step struct {
	Chain     string // to which Status belongs: the one that was asked about, or where a run went on
	Status    Status
	Now       time.Time // of Redis
	Attempt   Attempt   // Status Running
	Reason    string    // Deferred: slots, quota, cooling, midnight, restart, unknown (an outcome), server (it is away), or ServerBusy
	Detail    string    // Deferred for cooling: why the token cools; for ServerBusy: the server
	Number    string    // Deferred for ServerBusy: the dispatch number under which the chain may be begun
	Since     time.Time // Deferred for ServerBusy: since when the chain waits for a place at its server, here or at other workers, about
	Until     time.Time // Deferred and Waiting
	Due       time.Time // when the chain that Finish was asked about needs somebody; zero: see Status
	Woken     *Dispatch // another chain that got a slot offer: hand it to asynq
	Reclaimed int       // slots whose lease had ended
}

// ServerBusy is the reason of a chain that waits until its worker has a place at its server.
const ServerBusy = "server busy"

// FullServer returns the entry, among the servers that are away, which tells Begin and Finish that the
// worker has no place left at this server.
func FullServer(server string) string { return server + "=full " }

// Begin starts the run of a dispatch: it checks the fence, asks for the grant and
// counts the attempt, in one step. A chain that does not take the slot for which it was woken
// passes its slot offer on (Woken). nonce names the attempt and must be new. away are the
// servers whose calls are put off, each "<server>=<until, ms> "; "" for none. With a
// *redisconn.NotReplicatedError it returns the step as well: the master has carried it out.
func (l *Ledger) Begin(ctx context.Context, f Dispatch, nonce, away string) (*Step, error) {
	ctx = redisconn.Acknowledged(ctx)
	for try := 0; ; try++ {
		args := jointArgs(l.o.Admission.Args(), f.Chain, f.Number, nonce, away)
		r, err := l.runJoint(ctx, l.begin, Tag(f.Chain), stepFields, args)
		if r == nil {
			return &Step{}, err
		}
		s := step(r, f.Chain, nonce)
		if s.Status != Clock || try == 2 {
			return s, err
		}
	}
}

// Requeue makes a chain that was dispatched and has not begun ready again, for a worker that stops.
func (l *Ledger) Requeue(ctx context.Context, f Dispatch) (bool, error) {
	r, err := l.run(ctx, l.requeue, Tag(f.Chain), f.Chain, f.Number)
	return r.Int(1) == 1, err
}

// Kind says what an outcome means for its call.
type Kind string

// The kinds of an outcome.
const (
	Done     Kind = "done"   // succeeded
	Fail     Kind = "fail"   // may pass; counts against the budget
	PushBack Kind = "push"   // the vendor's push-back: no attempt of the budget
	NotSent  Kind = "back"   // certainly nothing was sent, since the vendor can't be reached
	Late     Kind = "late"   // certainly nothing was sent, and the vendor is not the cause
	Busy     Kind = "busy"   // as Late: the worker had no place left at the server, and keeps the chain (ServerBusy)
	GiveUp   Kind = "giveup" // for good, or the budget is spent
)

// Slot says what becomes of the attempt's slot.
type Slot string

// What becomes of a slot.
const (
	Release  Slot = "release" // a complete response came
	Keep     Slot = "keep"    // unknown outcome: taken until its lease ends
	GiveBack Slot = "back"    // nothing was sent: free, and not counted on its day
)

// Cooling asks for the token to be left alone. The zero value asks for nothing.
type Cooling struct {
	Until      time.Time
	Why        string
	ProbeAfter time.Duration // > 0: a gentle try before Until
	Lift       bool          // end the cooling instead
}

// Outcome is the end of an attempt.
type Outcome struct {
	Kind           Kind
	Slot           Slot
	Delay          time.Duration // to the next attempt (Fail, PushBack, NotSent)
	Code, Msg, Err string
	// Reason is the code of what went wrong (package tasks lists them); "": nothing did.
	Reason  string
	Cooling Cooling
}

// text returns what finish.lua needs of an outcome besides the vendor's answer; days are those of the grant.
func (o Outcome) text(days string) string {
	if (o == Outcome{Kind: Done, Slot: Release, Code: o.Code, Msg: o.Msg, Err: o.Err}) {
		return ""
	}
	cool := "0"
	if o.Cooling.Lift {
		cool = "lift"
	} else if !o.Cooling.Until.IsZero() {
		cool = strconv.FormatInt(o.Cooling.Until.UnixMilli(), 10)
	}
	return strings.Join([]string{
		string(o.Kind), string(o.Slot), days, strconv.FormatInt(o.Delay.Milliseconds(), 10), o.Reason,
		cool, strconv.FormatInt(o.Cooling.ProbeAfter.Milliseconds(), 10), o.Cooling.Why,
	}, separator)
}

// GoOn says what a run may go on with, in the step that ends its attempt.
type GoOn string

// What a run may go on with.
const (
	Stop GoOn = "0" // nothing: others have their turn
	Own  GoOn = "1" // the chain's next call
	// Any is Own or, if no call of the chain may run now, another chain of the bucket:
	// the one that got the freed slot, else the first that is ready.
	Any GoOn = "2"
	// Others is Any without the chain's own next call: others have their turn.
	Others GoOn = "3"
)

// Finish ends an attempt and, in the same atomic step, begins the call that the run may go on
// with, under the nonce next. It begins no call whose server is among those that are away (see
// Begin). With a *redisconn.NotReplicatedError it returns the step as well.
func (l *Ledger) Finish(ctx context.Context, a *Attempt, o Outcome, on GoOn, next, away string) (*Step, error) {
	args := jointArgs(l.o.Admission.Args(), a.Chain, a.Nonce, o.text(a.Days), o.Code, o.Msg, o.Err, string(on), next, away)
	r, err := l.runJoint(redisconn.Acknowledged(ctx), l.finish, Tag(a.Chain), stepFields, args)
	if r == nil {
		return &Step{}, err
	}
	s := step(r, a.Chain, next)
	if s.Attempt.Sealed == "" && s.Chain == a.Chain {
		s.Attempt.Sealed = a.Sealed // a chain that goes on is not told its token again
	}
	return s, err
}

// stepFields is how many fields the reply of Begin and Finish has at most.
const stepFields = 21

// step reads the reply of Begin and Finish.
func step(r reply, id, nonce string) *Step {
	s := &Step{Chain: id, Now: r.Time(0), Due: r.Time(3)}
	if chain := r.Str(1); chain != "" {
		s.Woken = &Dispatch{Chain: chain, Number: r.Str(2)}
	}
	r = r[4:]
	s.Status = Status(r.Str(0))
	switch s.Status {
	case Deferred:
		s.Reason, s.Until, s.Detail, s.Reclaimed = r.Str(1), r.Time(2), r.Str(3), int(r.Int(4))
		s.Chain, s.Number, s.Since = r.Str(5), r.Str(6), r.Time(7)
	case Waiting:
		s.Until = r.Time(1)
	case Running:
		s.Attempt = Attempt{
			Chain: r.Str(1), Batch: r.Str(2), Key: r.Str(3), Server: r.Str(4),
			Number: int(r.Int(5)), Spent: int(r.Int(6)), FirstPushBack: r.Time(7), Failures: int(r.Int(8)),
			LeaseEnds: r.Time(9), Days: r.Str(10), Enqueued: r.Time(11), Nonce: nonce, Sealed: r.Str(16),
		}
		s.Chain = s.Attempt.Chain
		s.Reclaimed, s.Attempt.Probe = int(r.Int(12)), r.Str(13) == "1"
		s.Attempt.Used, s.Attempt.Limit = int(r.Int(14)), int(r.Int(15))
	}
	return s
}

// The codes of what went wrong at a call's last attempt (Outcome.Reason), besides the kinds of
// the vendor's refusals. The ledger itself writes ReasonUnknown if a worker was lost.
const (
	ReasonUnknown    = "unknown"    // no complete answer: the vendor may have done it
	ReasonUnreadable = "unreadable" // an answer that says nothing we know
	ReasonNotSent    = "not_sent"   // the vendor can't be reached, or nothing was to be sent
	ReasonUnopenable = "unopenable" // the sealed token can't be opened: mostly its key is gone
)
