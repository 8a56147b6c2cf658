// Package taskstest has a simulated wolkvox for the tests of programs that import tasks.
//
//	vendor := taskstest.Start(t, taskstest.Options{})
//	w, err := tasks.NewWorker(ctx, rdb, tasks.WorkerOptions{Options: options, WolkvoxURL: vendor.URL})
//	...
//	if a := vendor.Account(); a.Successes != 3 || len(a.Broken) > 0 {
//		t.Error(a)
//	}
//
// The simulator is strict about every limit that the vendor documents, and can be told to fail
// in the ways of real servers. It listens only on this machine. It is for tests: package tasks
// does not import it.
package taskstest

import (
	"context"
	"time"

	"habilita/internal/testkit/wolkvoxtest"
	"habilita/tasks"
)

// Options configure a vendor. The zero value accepts any token, has no faults, and answers at once.
type Options struct {
	// Tokens says what the vendor knows about tokens. Any other token is good and has one licence.
	Tokens map[tasks.Token]Token
	// Latency is how long the vendor works on a request; 0: not at all.
	Latency time.Duration
	// Fault chooses the fault of each request that breaks no limit. It must return soon, and must
	// not call the vendor. For a fault that does not exist, the vendor answers 500 and says so.
	// nil: no faults.
	Fault func(Request) Fault
}

// Token is what the vendor knows about a token.
type Token struct {
	Bad      bool // it refuses the token for good
	Licenses int  // 0: 1. It takes 1000 requests a day for each
}

// Fault is what goes wrong with a request: one of the constants, or a constant and a delay, such
// as "slow:2s".
type Fault string

// The faults. "Done" means that the module was enabled all the same.
const (
	None         Fault = ""
	ServerError  Fault = "500"
	Unavailable  Fault = "503"          // a proxy's page
	TooMany      Fault = "429"          // with Retry-After: 2
	TokenLimit   Fault = "token-limit"  // the day's quota is used
	Simultaneous Fault = "simultaneous" // two requests are in flight
	BadToken     Fault = "bad-token"
	Maintenance  Fault = "maintenance" // a 403 with an unknown text
	Garbage      Fault = "garbage"     // an answer that can't be read. Done
	Cut          Fault = "cut"         // an answer that stops half-way. Done
	ResetBefore  Fault = "reset-before"
	ResetAfter   Fault = "reset-after" // the connection breaks after the work. Done
	Slow         Fault = "slow"        // works 90 s longer, or as long as the delay says. Done
)

// Request is a request that the vendor got.
type Request struct {
	Server   string // four digits
	Token    tasks.Token
	Call     string // id of the call (Receipt.ID)
	Attempt  int    // of the call, from 1
	InFlight int    // requests of the token in flight at its arrival, this one included
	Status   int    // HTTP status of the answer; 0: none, or not yet. A Fault function does not know it
	Done     bool   // the module was enabled. A Fault function does not know it
}

// Account is what the vendor saw. It shows whether the promises were kept.
type Account struct {
	Requests    []Request // in the order of arrival
	Successes   int       // modules enabled
	MaxInFlight int       // most requests of one token in flight at the same time
	Broken      []string  // the promises that were broken, in words; none for a good account
}

// Vendor is a simulated wolkvox. It is safe for concurrent use.
type Vendor struct {
	// URL is what WorkerOptions.WolkvoxURL takes.
	URL string

	server *wolkvoxtest.Server
}

// TB is the part of testing.TB that Start needs.
type TB = interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Start starts a vendor that ends with the test. If it can't start, the test fails.
func Start(tb TB, o Options) *Vendor {
	tb.Helper()
	s := wolkvoxtest.Start(tb, o.simulator())
	return &Vendor{s.URL, s}
}

// Listen starts a vendor for a program that is not a test. Close it.
func Listen(o Options) (*Vendor, error) {
	s, err := wolkvoxtest.Listen("127.0.0.1:0", o.simulator())
	if err != nil {
		return nil, err
	}
	return &Vendor{s.URL, s}, nil
}

func (o Options) simulator() wolkvoxtest.Options {
	out := wolkvoxtest.Options{Latency: o.Latency, Tokens: map[string]wolkvoxtest.Token{}}
	for token, t := range o.Tokens {
		out.Tokens[string(token)] = wolkvoxtest.Token{Bad: t.Bad, Licenses: t.Licenses}
	}
	if o.Fault != nil {
		out.Script = func(r wolkvoxtest.Record) wolkvoxtest.Fault {
			text := o.Fault(Request{Server: r.Server, Token: tasks.Token(r.Token), Call: r.Call, Attempt: r.Attempt, InFlight: r.InFlight})
			if text == None {
				return wolkvoxtest.Fault{}
			}
			f, err := wolkvoxtest.ParseFault(string(text))
			if err != nil {
				return wolkvoxtest.Fault{Kind: wolkvoxtest.Kind(text)} // the vendor answers that there is none
			}
			return f
		}
	}
	return out
}

// Close ends the vendor. The account can still be read.
func (v *Vendor) Close() { v.server.Close() }

// Hold makes every request from now on wait, in flight, until Release.
func (v *Vendor) Hold() { v.server.Hold() }

// Release ends Hold.
func (v *Vendor) Release() { v.server.Release() }

// Down refuses connections until Up. Requests in flight break.
func (v *Vendor) Down() { v.server.Down() }

// Up ends Down. It fails if somebody else has taken the port.
func (v *Vendor) Up() error { return v.server.Up() }

// WaitArrived waits until n requests have arrived, or ctx ends.
func (v *Vendor) WaitArrived(ctx context.Context, n int) error {
	return v.server.Wait(ctx, func(a wolkvoxtest.Account) bool { return a.Totals.Requests >= n })
}

// Account returns what the vendor has seen so far. Each chain is the ids of its calls in order; if
// chains are given, Account judges their order too.
func (v *Vendor) Account(chains ...[]string) Account {
	a := v.server.Account()
	out := Account{Successes: a.Totals.Successes, MaxInFlight: a.Totals.MaxInFlight, Broken: a.Summarize(chains).Broken()}
	for _, r := range a.Records {
		out.Requests = append(out.Requests, Request{
			Server: r.Server, Token: tasks.Token(r.Token), Call: r.Call, Attempt: r.Attempt, InFlight: r.InFlight, Status: r.Status, Done: r.Success,
		})
	}
	return out
}
