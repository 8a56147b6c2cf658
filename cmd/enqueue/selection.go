package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"habilita/internal/control"
	"habilita/internal/redisconn"
)

// decision is one of retry, skip and cancel.
type decision struct {
	name, short, long, example string
	done                       string // such as "retried"
	noun                       string // what is counted
	act                        func(*control.Control, context.Context, control.Selection) (int, error)
}

// decided is what a decision did, as --json gives it.
type decided struct {
	Action string `json:"action"`
	Count  int    `json:"count"`
	Unread int    `json:"unread,omitempty"` // parts of the ledger that it did not reach
}

func (a *app) decide(d decision) *cobra.Command {
	var sel control.Selection
	var asJSON bool
	cmd := &cobra.Command{
		Use:     d.name + " (--chain ID | --batch B | --server S | --all)",
		Short:   d.short,
		GroupID: groupAct,
		Long:    d.long,
		Example: d.example,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usagef("%s takes no argument: did you mean --batch %s?", cmd.CommandPath(), quoteArg(args[0]))
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := sel.Check(); err != nil {
				return err
			}
			s, err := a.openAs(cmd, redisconn.Operator)
			if err != nil {
				return err
			}
			defer s.close()
			n, err := d.act(s.op, cmd.Context(), sel)
			unread := control.Unread(err)
			if err != nil && unread == 0 {
				return err
			}
			if asJSON {
				return errors.Join(writeJSON(a.out, decided{d.name, n, unread}), err)
			}
			if n == 0 && err == nil {
				switch {
				case sel.Batch != "" && d.name == "cancel":
					fmt.Fprintf(a.out, "batch %s had no open call: nothing was cancelled, and it takes no more rows (enqueue reopen %s opens it again)\n", sel.Batch, quoteArg(sel.Batch))
				default:
					fmt.Fprintln(a.out, "nothing matched: `enqueue chains --held` lists the chains that wait for a person")
				}
				return nil
			}
			fmt.Fprintf(a.out, "%s %s\n", d.done, count(n, d.noun))
			if sel.Batch != "" {
				fmt.Fprintf(a.out, "follow: enqueue watch %s\n", quoteArg(sel.Batch))
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&sel.Chain, "chain", "", "a chain, by its id (see chains)")
	f.StringVar(&sel.Batch, "batch", "", "what belongs to a batch")
	f.StringVar(&sel.Server, "server", "", "held chains whose head is a call to this server")
	f.BoolVar(&sel.All, "all", false, "all held chains")
	f.BoolVar(&asJSON, "json", false, `one JSON object: {"action","count"}`)
	_ = cmd.RegisterFlagCompletionFunc("batch", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.batchNames(cmd), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}
