package main

import (
	"context"
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
	cmd := &cobra.Command{
		Use:   "servers",
		Short: "The vendor's servers, and which of them are down",
		Long: `Show the vendor's servers that were called, and which of them are down. It counts requests and
failures of the last 5 to 10 minutes: no connection, no answer, 5xx, nonsense. A refusal is
an answer.

After 5 failures in a row, of 2 chains or more, a server is down: its calls wait without
spending attempts, and one request at a time probes it, every 2 s to 60 s. An answer ends
that. With --json, state is "closed" if it is up, "open" if it is down, and "half_open" while
a probe is under way.`,
		Example: `  enqueue servers
  enqueue servers --json | jq -r 'select(.state != "closed") | .server'
  enqueue servers lift --server 0042`,
	}
	a.jsonFlag(cmd, "one JSON object a server")
	cmd.AddCommand(a.serversLift())
	return a.onRedis(cmd, redisconn.Reader, config.Limits, func(ctx context.Context, s *session, _ []string) error {
		all, err := breaker.New(s.rdb, prefix).Servers(ctx, time.Time{})
		rows := make([]serverRow, len(all))
		for i, h := range all {
			rows[i] = serverRow{h, control.Time{Time: h.Since}, control.Time{Time: h.NextProbe}}
		}
		header := table.Row{"server", "state", "since", "next probe", "requests", "failures", "in a row"}
		return list(a, rows, err, "no server was called yet", header, func(r serverRow) table.Row {
			return table.Row{r.Server, stateWords[r.State], a.local(r.Since), a.local(r.NextProbe), r.Requests, r.Failures, r.InARow}
		})
	})
}

// stateWords say how a server is, to people who don't know breakers.
var stateWords = map[breaker.State]string{breaker.Closed: "up", breaker.Open: "down", breaker.HalfOpen: "down, a probe is under way"}

// serverRow is a server as --json gives it.
type serverRow struct {
	breaker.ServerHealth
	Since     control.Time `json:"since"`
	NextProbe control.Time `json:"next_probe"`
}

func (a *app) serversLift() *cobra.Command {
	return a.lift(&cobra.Command{
		Use:   "lift --server S",
		Short: "Call a server again that was found down",
		Long: `Make calls to a server again that you know to be well: within a minute, as their chains come
back. If it still fails, it is down again.`,
		Example: `  enqueue servers lift --server 0042`,
	}, "server", "the server, as in `enqueue servers`", serverFlag, func(ctx context.Context, s *session, server string) (string, error) {
		was, err := s.op.LiftServer(ctx, server)
		switch {
		case errors.Is(err, breaker.ErrUnknownServer):
			return "", fmt.Errorf("server %s was not called yet: `enqueue servers` lists those that were", server)
		case was:
			return "server " + server + " is called again", err
		}
		return "server " + server + " was not left alone", err
	})
}

// lift makes cmd one that ends what keeps a server or a token from being called. It is named by a flag, which check
// judges. do returns what people read.
func (a *app) lift(cmd *cobra.Command, flag, means string, check func(*string) error, do func(ctx context.Context, s *session, name string) (string, error)) *cobra.Command {
	var name string
	cmd.Flags().StringVar(&name, flag, "", means)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if name == "" {
			return usagef("%s needs --%s: `%s` lists them", cmd.CommandPath(), flag, cmd.Parent().CommandPath())
		}
		return check(&name)
	}
	return a.onRedis(cmd, redisconn.Operator, config.Limits, func(ctx context.Context, s *session, _ []string) error {
		said, err := do(ctx, s, name)
		if err == nil {
			fmt.Fprintln(a.out, said)
		}
		return err
	})
}

// serverFlag puts the value of --server into its canonical form.
func serverFlag(server *string) error {
	name, err := wolkvox.ParseServer(*server)
	if err != nil {
		return usagef("--server: %v", err)
	}
	*server = string(name)
	return nil
}
