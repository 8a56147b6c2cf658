package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"habilita/internal/breaker"
	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/redisconn"
	"habilita/internal/wolkvox"
)

func (a *app) servers() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "servers",
		Short:   "The vendor's servers, and which of them are down",
		GroupID: groupSee,
		Long: `Show the vendor's servers that were called, and which of them are down. It counts requests and
failures of the last 5 to 10 minutes: no connection, no answer, 5xx, nonsense. A refusal is
an answer.

After 5 failures in a row, of 2 chains or more, a server is "open": its calls wait without
spending attempts, and one request at a time probes it, every 2 s to 60 s. "half_open": a
probe is under way. An answer closes it.`,
		Example: `  enqueue servers
  enqueue servers --json | jq -r 'select(.state != "closed") | .server'
  enqueue servers lift --server 0042`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.open(cmd, config.Limits)
			if err != nil {
				return err
			}
			defer s.close()
			all, err := breaker.New(s.rdb, prefix, breaker.Trip{}).Servers(cmd.Context(), time.Time{})
			if err != nil {
				return err
			}
			rows := make([]serverRow, len(all))
			for i, h := range all {
				rows[i] = serverRow{h.Server, string(h.State), control.Time{Time: h.Since}, control.Time{Time: h.NextProbe}, h.Requests, h.Failures, h.InARow}
			}
			t := a.table("server", "state", "since", "next probe", "requests", "failures", "in a row")
			return listRows(a, rows, asJSON, t, "no server was called yet", func(r serverRow) table.Row {
				return table.Row{r.Server, r.State, local(r.Since, s.set.Timezone), local(r.NextProbe, s.set.Timezone), r.Requests, r.Failures, r.InARow}
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a server")
	config.Bind(cmd.Flags(), config.Limits)
	cmd.AddCommand(a.serversLift())
	return cmd
}

// serverRow is a server as --json gives it.
type serverRow struct {
	Server    string       `json:"server"`
	State     string       `json:"state"`
	Since     control.Time `json:"since"`
	NextProbe control.Time `json:"next_probe"`
	Requests  int          `json:"requests"`
	Failures  int          `json:"failures"`
	InARow    int          `json:"in_a_row"`
}

func (a *app) serversLift() *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "lift --server S",
		Short: "Call a server again that was found down",
		Long: `Closes the breaker of a server, for one that is known to be well again: its calls are made
as their chains come back, within a minute. If it fails still, it opens again.`,
		Example: `  enqueue servers lift --server 0042`,
		Args:    noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if server == "" {
				return usagef("%s needs --server S: `enqueue servers` lists them", cmd.CommandPath())
			}
			name, err := wolkvox.ParseServer(server)
			if err != nil {
				return usagef("--server: %v", err)
			}
			s, err := a.openAs(cmd, redisconn.Operator)
			if err != nil {
				return err
			}
			defer s.close()
			was, err := s.op.LiftServer(cmd.Context(), string(name))
			if errors.Is(err, breaker.ErrUnknownServer) {
				return fmt.Errorf("server %s was not called yet: `enqueue servers` lists those that were", name)
			}
			if err != nil {
				return err
			}
			if !was {
				fmt.Fprintf(a.out, "server %s was not left alone\n", name)
				return nil
			}
			fmt.Fprintf(a.out, "server %s is called again\n", name)
			return nil
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "the server, as in `enqueue servers`")
	return cmd
}
