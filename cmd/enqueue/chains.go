package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/say"
	"habilita/internal/wolkvox"
)

func (a *app) chains() *cobra.Command {
	var held, scheduled bool
	cmd := &cobra.Command{
		Use:   "chains",
		Short: "Chains that wait, each with its reason and until when",
		Long: `Show what waits, why, and until when. A chain has the calls of a token in order; its head is
the first that is not done.

--held shows only chains that wait for a person, with the failed call and what to type next.
--scheduled shows calls that are not due yet (--at, --in). They join the end of their chain
when they are due, and block nothing until then.`,
		Example: `  enqueue chains
  enqueue chains --held
  enqueue chains --scheduled
  enqueue chains --json | jq -r 'select(.reason == "quota") | .chain'`,
		PreRunE: func(*cobra.Command, []string) error {
			if held && scheduled {
				return usagef("--held and --scheduled can't both be given")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&held, "held", false, "only chains that wait for a person")
	cmd.Flags().BoolVar(&scheduled, "scheduled", false, "the calls that are not due yet, each with its time")
	a.jsonFlag(cmd, "one JSON object a chain, or with --scheduled a call")
	return a.onRedis(cmd, redisconn.Reader, config.Limits, func(ctx context.Context, s *session, _ []string) error {
		w := bufio.NewWriter(a.out)
		if scheduled {
			err := showEach(a, w, s.control.Scheduled(ctx), "no call is scheduled", func(c control.ScheduledCall) error {
				_, err := fmt.Fprintf(w, "%s  %s  server %s  chain %s\n", a.local(c.DueAt), c.ID, c.Server, c.Chain)
				return err
			})
			return errors.Join(err, w.Flush())
		}
		return errors.Join(a.listChains(ctx, w, s, held), w.Flush())
	})
}

func (a *app) listChains(ctx context.Context, w io.Writer, s *session, held bool) error {
	next, none := heldTeller{s.control, map[string]ledger.Batch{}, map[string]bool{}}, "no chain waits"
	if held {
		none += " for a person"
	}
	err := showEach(a, w, s.control.Chains(ctx, held), none, func(c control.Chain) error {
		_, err := fmt.Fprintln(w, a.chainLine(c))
		if err == nil && held {
			err = next.tell(ctx, w, c)
		}
		return err
	})
	if err != nil || a.json || held {
		return err
	}
	all, err := s.control.Overview(ctx)
	if err == nil && all.Scheduled > 0 {
		fmt.Fprintf(w, "%s scheduled, the first for %s: enqueue chains --scheduled\n", say.Count(all.Scheduled, "call"), a.local(all.NextDue))
	}
	return err
}

// chainLine is a chain on one line: its id, its head's server, why it waits.
func (a *app) chainLine(c control.Chain) string {
	line := fmt.Sprintf("%s  server %s  %s", c.ID, c.Head.Server, c.Why)
	switch {
	case !c.Until.IsZero():
		line += " (" + a.until(c.Reason, c.Until) + ")"
	case c.Held() && !c.Since.IsZero():
		line += " (since " + a.local(c.Since) + ")"
	}
	if c.Behind > 0 {
		line += "; " + say.Count(c.Behind, "call") + " behind it"
	}
	return line
}

// heldTeller tells a person what to know about held chains.
type heldTeller struct {
	op      *control.Control
	batches map[string]ledger.Batch // by short name
	told    map[string]bool         // the advice that was given
}

// tell shows the call at which a chain is held, and what to do about it. It does not repeat
// advice that was shown above.
func (t heldTeller) tell(ctx context.Context, w io.Writer, c control.Chain) error {
	id := c.Head.Batch
	batch, known := t.batches[id]
	if !known {
		var err error
		if batch, err = t.op.BatchOf(ctx, c.Head); err != nil {
			if control.Unread(err) > 0 {
				fmt.Fprintf(w, "    %s; its batch can't be read now\n", control.HeadLine(c.Head, batch.Name))
			}
			return err
		}
		t.batches[id] = batch
	}
	advice := control.NextStep(c.Head, say.Quote(c.ID), batch)
	of := control.NextStep(c.Head, "CHAIN", batch)
	if t.told[of] {
		advice = "as above   (or: enqueue retry --chain " + say.Quote(c.ID) + ")"
	} else {
		t.told[of] = true
	}
	_, err := fmt.Fprintf(w, "    %s\n    next: %s\n", control.HeadLine(c.Head, batch.Name), advice)
	return err
}

// decisionJSON is what a decision did, as --json gives it.
type decisionJSON struct {
	Action string `json:"action"`
	Count  int    `json:"count"`
	Unread int    `json:"unread,omitempty"` // parts of the ledger that it did not reach
}

// decide makes one of the commands retry, skip and cancel; done is what it did, such as "retried".
func (a *app) decide(name, done string, act func(*control.Control, context.Context, control.Selection) (int, error), short, long, example string) *cobra.Command {
	var sel control.Selection
	cmd := &cobra.Command{Use: name + " (--chain ID | --batch B | --server S | --all)", Short: short, Long: long, Example: example}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return usagef("%s takes no argument: did you mean --batch %s?", cmd.CommandPath(), say.Quote(args[0]))
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		_, err := sel.Check()
		if bad, ok := errors.AsType[*wolkvox.ServerError](err); ok {
			return usagef("--server %q is not a server: %s; %s", sel.Server, bad.Reason, wolkvox.ServerForms)
		}
		if redisconn.Is[*control.SelectionError](err) {
			return usagef("%s needs exactly one of --chain, --batch, --server and --all", cmd.CommandPath())
		}
		return err
	}
	f := cmd.Flags()
	f.StringVar(&sel.Chain, "chain", "", "a chain, by its id (see chains)")
	f.StringVar(&sel.Batch, "batch", "", "what belongs to a batch")
	f.StringVar(&sel.Server, "server", "", "held chains whose head is a call to this server")
	f.BoolVar(&sel.All, "all", false, "all held chains")
	a.jsonFlag(cmd, `one JSON object: {"action","count"}`)
	_ = cmd.RegisterFlagCompletionFunc("batch", a.names(batchNames))
	return a.onRedis(cmd, redisconn.Operator, 0, func(ctx context.Context, s *session, _ []string) error {
		n, err := act(s.control, ctx, sel)
		return a.give(decisionJSON{name, n, control.Unread(err)}, err, func() {
			switch {
			case n > 0 || err != nil:
				fmt.Fprintf(a.out, "%s %s\n", done, say.Count(n, "call"))
				if sel.Batch != "" {
					fmt.Fprintf(a.out, "follow: enqueue watch %s\n", say.Quote(sel.Batch))
				}
			case sel.Batch != "" && name == "cancel":
				fmt.Fprintf(a.out, "batch %s had no open call: nothing was cancelled, and it takes no more rows (enqueue reopen %s opens it again)\n", sel.Batch, say.Quote(sel.Batch))
			default:
				why := "`enqueue chains --held` lists the chains that wait for a person"
				if sel.Batch != "" {
					st, _ := s.control.Status(ctx, sel.Batch) // without it, no more can be said
					why = cmp.Or(behindOthers(st), why)
				}
				fmt.Fprintf(a.out, "nothing matched: %s\n", why)
			}
		})
	})
}

// asPerson returns a context in which this user decides. If an entry can't be written to the audit
// log, errw gets a warning.
func asPerson(ctx context.Context, errw io.Writer) context.Context {
	return control.WithActor(ctx, control.Actor{Who: control.ThisUser(), Via: control.ByCLI, Told: func(_ control.AuditEntry, err error) {
		if err != nil {
			fmt.Fprintf(errw, "warning: what was done is not in the audit log: %s\n", explain(err))
		}
	}})
}

// decisions returns the commands with which a person decides about calls.
func (a *app) decisions() []*cobra.Command {
	return []*cobra.Command{
		a.decide("retry", "retried", (*control.Control).Retry, "Try again calls that were given up",
			`Try calls again that were given up and that hold their chain, each with a new budget of
attempts. The command returns when the counts show what it did.`,
			`  enqueue retry --batch november
  enqueue retry --chain 7vqk2m4xg5t3zr6hd2b2ncw5
  enqueue retry --server 0042`),
		a.decide("skip", "skipped", (*control.Control).Skip, "Leave calls that were given up, and go on with the next ones",
			`Leave calls that were given up and that hold their chain, and go on with the calls behind them.
The command returns when the counts show what it did.`,
			`  enqueue skip --chain 7vqk2m4xg5t3zr6hd2b2ncw5
  enqueue skip --batch november`),
		a.decide("cancel", "cancelled", (*control.Control).Cancel, "Cancel calls that have no result yet",
			`Cancel calls that have no result yet: they are not made. A call that is at the vendor may end.

--batch cancels all calls of a batch and refuses later rows of it ("enqueue reopen" undoes
that). --chain cancels all calls of a chain, held or not. --server and --all cancel those of
held chains. The command returns when the counts show what it did.`,
			`  enqueue cancel --batch november
  enqueue cancel --chain 7vqk2m4xg5t3zr6hd2b2ncw5`),
		a.reopen(),
	}
}

func (a *app) reopen() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reopen BATCH",
		Short: "Let a cancelled batch take rows again",
		Long: `Let a cancelled batch take rows again. Nothing is made by itself: give its file again. Calls
that were cancelled before they were sent are then new. Others stay cancelled.`,
		Example: `  enqueue reopen november
  enqueue bulk operations.csv --batch november`,
	}
	a.jsonFlag(cmd, `one JSON object: {"action","count"}`)
	return a.onRedis(cmd, redisconn.Operator, 0, func(ctx context.Context, s *session, args []string) error {
		n, err := s.control.Reopen(ctx, control.Selection{Batch: args[0]})
		return a.give(decisionJSON{"reopen", n, control.Unread(err)}, err, func() {
			if err != nil {
				fmt.Fprintf(a.out, "batch %s was reopened in part, so it takes no rows yet\n", args[0])
				return
			}
			fmt.Fprintf(a.out, "batch %s takes rows\n", args[0])
			if n > 0 {
				fmt.Fprintf(a.out, "it has %s: those that were cancelled with the batch before they were sent are new when the file is given again\nnext: enqueue bulk FILE --batch %s\n",
					say.Count(n, "cancelled call"), say.Quote(args[0]))
			}
		})
	})
}
