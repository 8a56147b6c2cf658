package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/redisconn"
	"habilita/internal/say"
)

// callFlags holds the flags of call.
type callFlags struct {
	call       engine.Call
	tokenFile  string
	tokenStdin bool
	timing     timing
}

func (a *app) call() *cobra.Command {
	var o callFlags
	cmd := &cobra.Command{
		Use:   "call --server SERVER",
		Short: "Enqueue one call",
		Long: `Enqueue one enable_module call. The token comes from WOLKVOX_TOKEN, a file or standard
input. It is never an argument, because everybody on the machine can read those.

With --id you can enqueue the call again in the same batch without harm. With --wait the
exit status is 3 unless the call succeeded.`,
		Example: `  WOLKVOX_TOKEN=... enqueue call --server 0001
  enqueue call --server 0001 --token-file token.txt --licenses 5 --ref "order 1001" --id order-1001
  pass show wolkvox/acme | enqueue call --server 42 --token-stdin --wait --json`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runCall(cmd, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.call.Server, "server", "", "the operation's server, such as 0042 (required)")
	f.StringVar(&o.tokenFile, "token-file", "", "file that holds the token")
	f.BoolVar(&o.tokenStdin, "token-stdin", false, "read the token from standard input")
	f.IntVar(&o.call.Licenses, "licenses", 0, "licences of the operation: 1000 requests a day for each (default: what is known of the token)")
	f.StringVar(&o.call.Chain, "chain", "", "name of the token's chain that the call joins")
	f.StringVar(&o.call.Ref, "ref", "", "your own text, shown in reports")
	f.StringVar(&o.call.Batch, "batch", "", "batch that the call belongs to")
	f.StringVar(&o.call.ID, "id", "", "id of the call, unique in its batch and token")
	f.BoolVar(&o.call.Notify, "notify", false, "send the webhook call.finished when the call has ended")
	o.timing.bind(cmd)
	a.jsonFlag(cmd, "one JSON object on standard output, as of show --json")
	config.Bind(f, producing)
	return cmd
}

func (a *app) runCall(cmd *cobra.Command, o callFlags) error {
	if o.call.Server == "" {
		return usagef("--server is missing: give the operation's server, such as --server 0042")
	}
	if cmd.Flags().Changed("licenses") && o.call.Licenses < 1 {
		return usagef("--licenses %d: want at least 1", o.call.Licenses)
	}
	for _, f := range [][2]string{{"id", o.call.ID}, {"batch", o.call.Batch}} {
		if f[1] == "" && cmd.Flags().Changed(f[0]) { // an unset variable of the shell: without its id the call would be new each time
			return usagef("--%s is empty: give one, or leave it out", f[0])
		}
	}
	start, err := o.timing.check(cmd)
	if err != nil {
		return err
	}
	if o.call.Token, err = a.token(o.tokenFile, o.tokenStdin); err != nil {
		return err
	}
	ctx := cmd.Context()
	s, err := a.open(cmd, redisconn.Producer, producing)
	if err != nil {
		return err
	}
	defer s.close()
	if o.call.At, err = a.from(ctx, s, start); err != nil {
		return err
	}
	told := a.told()
	if o.call.ID != "" {
		flags := flagsAgain(cmd, map[string]string{"at": timeFlag(o.call.At)}, "server", "token-file", "chain", "ref", "batch", "id", "token-stdin", "licenses", "notify", "at")
		fmt.Fprintf(told, "resume   enqueue call%s   (adds it once)\n", flags)
	}
	p, err := engine.NewProducer(ctx, s.rdb, s.set.Options)
	if err != nil {
		return err
	}
	var receipt engine.Receipt
	err = s.control.EnqueueCall(ctx, o.call.Server, func() (id, chain string, err error) {
		receipt, err = p.Enqueue(ctx, o.call)
		return cmp.Or(receipt.ID, o.call.ID), receipt.Chain, err
	})
	_ = p.Close() // one that could not leave the list of live processes is forgotten by itself
	if err != nil {
		return err
	}
	follow := "enqueue show " + say.Quote(receipt.ID)
	if receipt.Batch != "" {
		fmt.Fprintf(told, "batch    %s\n", receipt.Batch)
	}
	fmt.Fprintf(told, "call     %s\ntoken_id %s\nchain    %s\nfollow   %s\n", receipt.ID, receipt.TokenID, receipt.Chain, follow)
	if !receipt.Duplicate && !receipt.Due.IsZero() {
		fmt.Fprintf(told, "begins   %s\n", a.local(control.Time{Time: receipt.Due}))
	}
	if receipt.Duplicate {
		fmt.Fprintln(told, "it was enqueued before; nothing was added")
	} else {
		a.tellNoWorker(ctx, s)
	}
	key := control.CallKey{ID: receipt.ID, Batch: receipt.Batch, TokenID: receipt.TokenID}
	return a.tellCall(ctx, s, key, o, follow)
}

// tellCall shows the call, after waiting for it if --wait was given. Without --wait and --json it does nothing.
func (a *app) tellCall(ctx context.Context, s *session, key control.CallKey, o callFlags, follow string) error {
	if !o.timing.wait && !a.json {
		return nil
	}
	var record control.CallRecord
	var err error
	behind := ""
	if !o.timing.wait {
		record, err = s.control.Call(ctx, key)
	} else if record, err = s.control.WaitCall(ctx, key, o.timing.timeout); err != nil {
		err = a.waitEnded(ctx, err, o.timing.timeout, follow)
	} else if !record.Succeeded() {
		if err = errPartial; record.Open() {
			behind = "; it stands behind a call that was given up: enqueue chains --held"
		}
	}
	if record.ID == "" {
		return err
	}
	return cmp.Or(a.give(record, nil, func() { fmt.Fprintf(a.out, "%s %s%s\n", record.State, result(record), behind) }), err)
}

// result describes the result of a call, for the rest of a line.
func result(r control.CallRecord) string {
	parts := []string{"(" + say.Count(r.Attempts, "attempt") + ")", r.Code, r.Msg, r.Error}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), " ")
}

func (a *app) show() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "One call with its result",
		Long: `Show one call with its result. If an id was given in several batches or for several tokens, it
shows all of them. A call that is not due yet (--at, --in) has due_at.`,
		Example: `  enqueue show order-1001
  enqueue show order-1001 --json | jq -r .state`,
		Args: exactly(1, "the id of a call"),
	}
	a.jsonFlag(cmd, "one JSON object a call")
	return a.onRedis(cmd, redisconn.Reader, 0, func(ctx context.Context, s *session, args []string) error {
		calls, err := s.control.Show(ctx, args[0])
		for i, c := range calls {
			due, err := s.control.DueAt(ctx, c)
			switch {
			case err != nil:
			case a.json && !due.IsZero():
				err = writeJSON(a.out, control.ScheduledCall{Call: c, DueAt: due})
			case a.json:
				err = writeJSON(a.out, c)
			default:
				if i > 0 {
					fmt.Fprintln(a.out)
				}
				err = a.printCall(ctx, s.control, c, due)
			}
			if err != nil {
				return err
			}
		}
		return err
	})
}

func (a *app) printCall(ctx context.Context, op *control.Control, c control.CallRecord, due control.Time) error {
	batch, err := op.BatchName(ctx, c)
	if err != nil {
		return err
	}
	times := map[string]control.Time{"due_at": due, "enqueued_at": c.EnqueuedAt, "started_at": c.StartedAt, "finished_at": c.FinishedAt}
	values := append([]string{batch, ""}, control.Fields(c)...)
	for i, name := range append([]string{"batch", "due_at"}, control.Columns()...) {
		value := values[i]
		if at, is := times[name]; is {
			value = a.local(at)
		}
		if value != "" {
			fmt.Fprintf(a.out, "%-12s %s\n", name, value)
		}
	}
	return nil
}
