package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/redisconn"
)

func (a *app) batches() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "batches",
		Short:   "All batches with their counts, the newest first",
		GroupID: groupSee,
		Long:    "All batches with their counts, the newest first. A settled batch is listed until RETENTION is over.",
		Example: `  enqueue batches
  enqueue batches --json | jq -r 'select(.settled | not) | .batch'`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.open(cmd)
			if err != nil {
				return err
			}
			defer s.close()
			t := a.table("batch", "total", "succeeded", "failed", "skipped", "cancelled", "open", "held", "settled", "complete", "created at")
			var unread error
			for b, err := range s.op.Batches(cmd.Context()) {
				if unread = err; control.Unread(err) > 0 {
					break // the last thing, after what could be read
				}
				if err != nil {
					return err
				}
				if asJSON {
					if err := writeJSON(a.out, b); err != nil {
						return err
					}
					continue
				}
				settled := yesNo(b.Settled)
				if b.Unread > 0 {
					settled = "unknown"
				}
				t.AppendRow(table.Row{b.Batch, b.Total, b.Succeeded, b.Failed, b.Skipped, b.Cancelled, b.Open, b.HeldChains, settled, yesNo(b.Complete), local(b.CreatedAt, s.set.Timezone)})
			}
			if !asJSON {
				t.Render()
			}
			return unread
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line, as of status --json")
	return cmd
}

// table is one that renders to the output, without lines.
func (a *app) table(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(a.out)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft = ""
	style.Box.PaddingRight = "  "
	t.SetStyle(style)
	t.AppendHeader(table.Row(header))
	return t
}

// listRows shows rows as a table of their cells, or as one JSON object a line. Where there are
// none it says so in the words of none, or in JSON nothing.
func listRows[T any](a *app, rows []T, asJSON bool, t table.Writer, none string, cells func(T) table.Row) error {
	for _, r := range rows {
		if !asJSON {
			t.AppendRow(cells(r))
		} else if err := writeJSON(a.out, r); err != nil {
			return err
		}
	}
	switch {
	case asJSON:
	case len(rows) == 0:
		fmt.Fprintln(a.out, none)
	default:
		t.Render()
	}
	return nil
}

// completeBatch completes the names of batches, where Redis answers soon.
func (a *app) completeBatch(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.batchNames(cmd), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) batchNames(cmd *cobra.Command) []string {
	return a.namesIn(cmd, func(ctx context.Context, rdb redis.UniversalClient, set config.Settings) (names []string) {
		op, err := control.Open(rdb, prefix, quotaSettings(set))
		if err != nil {
			return nil
		}
		for b, err := range op.Batches(ctx) {
			if err != nil || len(names) == 50 {
				break
			}
			names = append(names, b.Batch)
		}
		return names
	})
}

// namesIn are what read finds in Redis, if that answers soon, for the shell.
func (a *app) namesIn(cmd *cobra.Command, read func(context.Context, redis.UniversalClient, config.Settings) []string) []string {
	base := cmd.Context()
	if base == nil {
		base = context.Background()
	}
	ctx, cancel := context.WithTimeout(base, time.Second)
	defer cancel()
	set, err := config.Load(cmd.Flags(), a.getenv, config.Redis)
	if err != nil {
		return nil
	}
	rdb, _, err := connect(ctx, set, redisconn.Reader)
	if err != nil {
		return nil
	}
	defer func() { _ = rdb.Close() }()
	return read(ctx, rdb, set)
}
