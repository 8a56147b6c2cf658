package tasks

import (
	"context"

	"habilita/internal/control"
)

// Selection says which chains or calls a decision is about. Exactly one of its first four
// fields is to be set.
type Selection struct {
	Chain  string // id of a chain (Receipt, Result)
	Batch  string // name of a batch
	Server string // "0042", "42" or "wv0042"
	All    bool
	// Reason leaves of these only the held chains whose call failed for it; "": all. Not with Chain.
	Reason Reason
}

func (s Selection) control() control.Selection {
	return control.Selection{Chain: s.Chain, Batch: s.Batch, Server: s.Server, All: s.All, Cause: string(s.Reason)}
}

// Retry lets held chains try their call again, with a new budget of attempts. Of a batch they
// are those that one of its calls holds. It returns how many. A chain that was named and is not
// held is an *UnknownError; a selection that can't be one, a *SelectionError. After another error
// some may be done: doing it again does the rest.
func (c *Client) Retry(ctx context.Context, s Selection) (int, error) {
	return c.decide(ctx, s, c.control.Retry)
}

// Skip leaves the calls that hold chains, and lets the chains go on. Otherwise as Retry.
func (c *Client) Skip(ctx context.Context, s Selection) (int, error) {
	return c.decide(ctx, s, c.control.Skip)
}

// Cancel cancels calls that were not sent, and returns how many. Of a batch: all its calls; it
// takes no more then. Of a chain: all its calls, held or not. Of a server, or of all: the calls of
// held chains. Otherwise as Retry.
func (c *Client) Cancel(ctx context.Context, s Selection) (int, error) {
	return c.decide(ctx, s, c.control.Cancel)
}

func (c *Client) decide(ctx context.Context, s Selection, do func(context.Context, control.Selection) (int, error)) (int, error) {
	n, err := do(c.asProgram(ctx), s.control())
	return n, public(err)
}

// asProgram returns a context in which the audit log names this program's user and machine.
func (c *Client) asProgram(ctx context.Context) context.Context {
	return control.WithActor(ctx, control.Actor{Who: c.who, Via: control.ByGo})
}
