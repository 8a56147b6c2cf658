package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"habilita/internal/breaker"
	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/engine"
	"habilita/internal/ledger"
	"habilita/internal/redisconn"
	"habilita/internal/say"
	"habilita/internal/wolkvox"
)

func (a *app) quota() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quota",
		Short: "What each token has used today, its slots and cool-downs",
		Long: `Show what each token has used of today's quota (licences x 1000 requests), its requests in
flight (slots), the chains that wait for a slot, and until when the token cools down.
Tokens are shown by their token_id, an HMAC, never as they are. If workers run, their
DEFAULT_LICENSES and QUOTA_TIMEZONE count, not those of this command.`,
		Example: `  enqueue quota
  enqueue quota lift --token-id lc5wqxamtfbd5u5vkr6c5d34
  enqueue quota --json | jq -r 'select(.used >= .quota) | .token_id'`,
	}
	a.jsonFlag(cmd, "one JSON object a token")
	cmd.AddCommand(a.quotaLift(), a.quotaSync())
	return a.onRedis(cmd, redisconn.Reader, config.Limits, func(ctx context.Context, s *session, _ []string) error {
		agreed, err := engine.AgreedLimits(ctx, s.rdb, prefix, s.set.Quota)
		if err != nil {
			a.warn([]string{"what the workers' limits are could not be read, so the settings of this command count: " + err.Error()})
		} else if s.control, err = control.Open(s.rdb, prefix, agreed); err != nil {
			return err
		}
		header := table.Row{"token_id", "used", "quota", "licences", "slots", "waiting", "cools down"}
		return list(a, sequence(s.control.Quota(ctx)), "no token is known yet: `enqueue call` or `enqueue bulk` bring the first", header, func(r control.QuotaRow) table.Row {
			cooling := ""
			if !r.CoolingUntil.IsZero() {
				cooling = fmt.Sprintf("until %s: %s", a.local(r.CoolingUntil), r.CoolingWhy)
			}
			return table.Row{r.TokenID, r.Used, r.Quota, r.Licenses, r.Slots, r.Waiting, cooling}
		})
	})
}

func (a *app) quotaLift() *cobra.Command {
	return a.lift(&cobra.Command{
		Use:   "lift --token-id T",
		Short: "End a token's cool-down, and call with it again",
		Long: `End the cool-down of a token when you know that its cause is gone: the operation got more
licences, or maintenance is over. The token's chains go on at once. If the vendor still refuses,
it cools down again.`,
		Example: `  enqueue quota --json | jq -r 'select(.cooling_until != null) | .token_id'
  enqueue quota lift --token-id lc5wqxamtfbd5u5vkr6c5d34`,
	}, "token-id", tokenIDMeans, func(ctx context.Context, s *session, token string) (string, error) {
		was, err := s.control.LiftCooling(ctx, token)
		switch {
		case errors.Is(err, control.ErrTokenID):
			return "", usagef("--token-id: %v", err) // without its value, which may be a token
		case was:
			return "token " + token + " is used again", err
		}
		return "token " + token + " does not cool down", err
	})
}

const tokenIDMeans = "the token's HMAC, as in `enqueue quota`; never the token"

func (a *app) quotaSync() *cobra.Command {
	var token, batch string
	var all bool
	cmd := &cobra.Command{
		Use:   "sync (--token-id T | --batch B | --all)",
		Short: "Ask the vendor what tokens have used, and raise our counts to that",
		Long: `Ask the vendor for its own count of a token (token_info). If it is higher than ours, because
another program uses the token, ours is raised. It is never lowered, and licences stay.

Each question is a request itself: it takes a slot and counts on the quota. It goes to the
server of a call of the token. The drift is the vendor's count minus ours; the metric
habilita_quota_drift has the highest. Exit status 1 if a token could not be asked about.`,
		Example: `  enqueue quota sync --token-id lc5wqxamtfbd5u5vkr6c5d34
  enqueue quota sync --batch onboarding-2026-11
  enqueue quota sync --all --json | jq -r 'select(.drift > 0) | .token_id'`,
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case token == "" && batch == "" && !all, token != "" && batch != "", all && token+batch != "":
				return usagef("%s needs one of --token-id T, --batch B and --all", cmd.CommandPath())
			case token != "" && !ledger.IsToken(token):
				return usagef("--token-id: %v", control.ErrTokenID)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&token, "token-id", "", tokenIDMeans)
	f.StringVar(&batch, "batch", "", "the tokens of a batch")
	f.BoolVar(&all, "all", false, "every token that has a call on record")
	a.jsonFlag(cmd, "one JSON object a token")
	return a.onRedis(cmd, redisconn.Operator, config.Keys|config.Limits|config.Calls, func(ctx context.Context, s *session, _ []string) error {
		if batch != "" {
			if _, err := s.control.Status(ctx, batch); err != nil && control.Unread(err) == 0 {
				return err
			}
		}
		q, err := engine.OpenQuotaSync(ctx, s.set.WorkerOptions)
		if err != nil {
			return err
		}
		defer q.Close()
		var tokens []string
		if token != "" {
			tokens = []string{token}
		}
		servers, unread := q.Servers(ctx, tokens, batch)
		if unread != nil && control.Unread(unread) == 0 {
			return unread
		}
		if _, known := servers[token]; token != "" && !known {
			servers[token] = "" // it has no call on record, which is told
		}
		unread = s.control.SyncQuota(ctx, token, batch, func() (sum control.QuotaAsked, _ error) {
			sum, err = a.syncTokens(ctx, q, servers)
			return sum, unread
		})
		return errors.Join(unread, err)
	})
}

// syncRow is a token of a sync, as --json gives it.
type syncRow struct {
	engine.Synced
	Error string `json:"error,omitempty"`
}

// syncTokens asks the servers of tokens, one after the other, and shows what was found.
func (a *app) syncTokens(ctx context.Context, q *engine.QuotaSync, servers map[string]string) (sum control.QuotaAsked, err error) {
	var rows []syncRow
	highest := 0 // drift
	for _, id := range slices.Sorted(maps.Keys(servers)) {
		r := syncRow{Synced: engine.Synced{TokenID: id}}
		err := error(&engine.NotAskedError{Why: "no call of it is kept that tells its server"})
		if at := servers[id]; at != "" {
			r.Synced, err = q.Sync(ctx, id, at)
		}
		if !redisconn.Is[*engine.NotAskedError](err) && !redisconn.Is[*wolkvox.NotSentError](err) {
			sum.Sent++
		}
		if err != nil {
			sum.Failed++
			r.Error = err.Error()
			fmt.Fprintf(a.err, "token %s: %v\n", id, err)
		} else {
			if sum.Asked == 0 || r.Difference > highest {
				highest = r.Difference
			}
			if sum.Asked++; r.After > r.Before {
				sum.Raised++
			}
			if r.VendorLimit != r.Limit {
				fmt.Fprintf(a.err, "warning: token %s: the vendor allows %d requests a day, our quota is %d (licences x 1000); nothing was changed: give the right --licenses with a call of it\n",
					id, r.VendorLimit, r.Limit)
			}
		}
		if rows = append(rows, r); ctx.Err() != nil {
			break
		}
	}
	header := table.Row{"token_id", "vendor used", "vendor limit", "used before", "used after", "quota", "drift"}
	err = list(a, sequence(rows, nil), "no token is known yet", header, func(r syncRow) table.Row {
		if r.Error != "" {
			return table.Row{r.TokenID, "not known"}
		}
		return table.Row{r.TokenID, r.VendorUsed, r.VendorLimit, r.Before, r.After, r.Limit, fmt.Sprintf("%+d", r.Difference)}
	})
	if sum.Asked > 0 {
		if err := q.Note(ctx, highest); err != nil {
			return sum, fmt.Errorf("the metric was not noted: %w", err)
		}
	}
	if sum.Failed > 0 {
		err = errors.New(say.Count(sum.Failed, "token") + " could not be asked about")
	}
	return sum, err
}

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
		return list(a, sequence(rows, err), "no server was called yet", header, func(r serverRow) table.Row {
			return table.Row{r.Server, stateWords[r.State], a.local(r.Since), a.local(r.NextProbe), r.Requests, r.Failures, r.InARow}
		})
	})
}

// stateWords say how a server is, to people who don't know breakers.
var stateWords = map[breaker.State]string{breaker.Closed: "up", breaker.Open: "down", breaker.HalfOpen: "down, a probe is under way"}

// serverRow is a server as --json gives it.
type serverRow struct {
	breaker.ServerStatus
	Since     control.Time `json:"since"`
	NextProbe control.Time `json:"next_probe"`
}

func (a *app) serversLift() *cobra.Command {
	return a.lift(&cobra.Command{
		Use:   "lift --server S",
		Short: "Call a server again after it was found down",
		Long: `Make calls to a server again when you know that it is up. They begin within a minute, as their
chains come back. If the server still fails, it is down again.`,
		Example: `  enqueue servers lift --server 0042`,
	}, "server", "the server, as in `enqueue servers`", func(ctx context.Context, s *session, server string) (string, error) {
		was, err := s.control.LiftServer(ctx, server)
		switch {
		case errors.Is(err, breaker.ErrUnknownServer):
			return "", fmt.Errorf("server %s was not called yet: `enqueue servers` lists those that were", server)
		case was:
			return "server " + server + " is called again", err
		}
		return "server " + server + " is not down", err
	})
}

// lift makes cmd let calls be made again to the server, or with the token, that a flag names. do does it, and returns what
// people read.
func (a *app) lift(cmd *cobra.Command, flag, means string, do func(ctx context.Context, s *session, name string) (string, error)) *cobra.Command {
	var name string
	cmd.Flags().StringVar(&name, flag, "", means)
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if name == "" {
			return usagef("%s needs --%s: `%s` lists them", cmd.CommandPath(), flag, cmd.Parent().CommandPath())
		}
		return nil
	}
	return a.onRedis(cmd, redisconn.Operator, config.Limits, func(ctx context.Context, s *session, _ []string) error {
		said, err := do(ctx, s, name)
		if err == nil {
			fmt.Fprintln(a.out, said)
		}
		return err
	})
}
