package main

import (
	"context"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"habilita/internal/control"
	"habilita/internal/redisconn"
)

func (a *app) batches() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "batches",
		Short: "All batches with their counts, the newest first",
		Long:  "All batches with their counts, the newest first. A settled batch is listed until RETENTION is over.",
		Example: `  enqueue batches
  enqueue batches --json | jq -r 'select(.settled | not) | .batch'`,
	}
	a.jsonFlag(cmd, "one JSON object a line, as of status --json")
	return a.onRedis(cmd, redisconn.Reader, 0, func(ctx context.Context, s *session, _ []string) error {
		var all []control.Status
		var unread error
		for b, err := range s.op.Batches(ctx) {
			if unread = err; err == nil {
				all = append(all, b)
			}
		}
		header := table.Row{"batch", "total", "succeeded", "failed", "skipped", "cancelled", "open", "held", "settled", "complete", "created at"}
		return list(a, all, unread, "there is no batch: `enqueue bulk` makes one", header, func(b control.Status) table.Row {
			settled := yesNo(b.Settled)
			if b.Unread > 0 {
				settled = "unknown"
			}
			return table.Row{b.Batch, b.Total, b.Succeeded, b.Failed, b.Skipped, b.Cancelled, b.Open, b.HeldChains, settled, yesNo(b.Complete), a.local(b.CreatedAt)}
		})
	})
}

// newTable makes one that renders to the output, without lines.
func (a *app) newTable(header table.Row) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(a.out)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft = ""
	style.Box.PaddingRight = "  "
	t.SetStyle(style)
	t.AppendHeader(header)
	return t
}

// list shows rows as a table of their cells, or with --json as one object a line. If there are
// none, people read none. err is that of reading the rows: if it tells that only some could be
// read, these are shown first.
func list[T any](a *app, rows []T, err error, none string, header table.Row, cells func(T) table.Row) error {
	if err != nil && control.Unread(err) == 0 {
		return err
	}
	t := a.newTable(header)
	for _, r := range rows {
		if !a.json {
			t.AppendRow(cells(r))
		} else if err := writeJSON(a.out, r); err != nil {
			return err
		}
	}
	switch {
	case a.json, len(rows) == 0 && err != nil:
	case len(rows) == 0:
		fmt.Fprintln(a.out, none)
	default:
		t.Render()
	}
	return err
}

// batchNames are names for completion.
func batchNames(ctx context.Context, s *session) (names []string) {
	for b, err := range s.op.Batches(ctx) {
		if err != nil || len(names) == 50 {
			break
		}
		names = append(names, b.Batch)
	}
	return names
}
