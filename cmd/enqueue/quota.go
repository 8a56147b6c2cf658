package main

import (
	"context"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/control"
	"habilita/internal/redisconn"
)

func (a *app) quota() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "quota",
		Short:   "What each token has used today, its slots and cool-downs",
		GroupID: groupSee,
		Long: `Show what each token has used of today's quota (licences x 1000 requests), its requests in
flight (slots), the chains that wait for a slot, and until when the token is left alone.
Tokens are shown by their token_id, an HMAC, never as they are.`,
		Example: `  enqueue quota
  enqueue quota lift --token-id lc5wqxamtfbd5u5vkr6c5d34
  enqueue quota --json | jq -r 'select(.used >= .quota) | .token_id'`,
		Args: noArgs(),
	}
	a.jsonFlag(cmd, "one JSON object a token")
	cmd.AddCommand(a.quotaLift(), a.quotaSync())
	return a.onRedis(cmd, redisconn.Reader, config.Limits, func(ctx context.Context, s *session, _ []string) error {
		rows, err := s.op.Quota(ctx)
		header := table.Row{"token_id", "used", "quota", "licences", "slots", "waiting", "cools down"}
		return list(a, rows, err, "no token is known yet: `enqueue call` or `enqueue bulk` bring the first", header, func(r control.QuotaRow) table.Row {
			cooling := ""
			if !r.CoolingUntil.IsZero() {
				cooling = fmt.Sprintf("until %s: %s", local(r.CoolingUntil, s.set.Timezone), r.CoolingWhy)
			}
			return table.Row{r.TokenID, r.Used, r.Quota, r.Licenses, r.Slots, r.Waiting, cooling}
		})
	})
}

func (a *app) quotaLift() *cobra.Command {
	var token string
	cmd := &cobra.Command{
		Use:   "lift --token-id T",
		Short: "End a token's cool-down, and call with it again",
		Long: `Ends the cool-down of a token, for one whose cause is known to be gone: more licences, the
end of maintenance. Its chains go on at once. If the vendor refuses still, it cools down again.`,
		Example: `  enqueue quota --json | jq -r 'select(.cooling_until != null) | .token_id'
  enqueue quota lift --token-id lc5wqxamtfbd5u5vkr6c5d34`,
		Args: noArgs(),
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if token == "" {
				return usagef("%s needs --token-id T: `enqueue quota` lists them", cmd.CommandPath())
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&token, "token-id", "", "the token's HMAC, as in `enqueue quota`; never the token")
	return a.onRedis(cmd, redisconn.Operator, config.Limits, func(ctx context.Context, s *session, _ []string) error {
		was, err := s.op.LiftCooling(ctx, token)
		switch {
		case err != nil:
		case was:
			fmt.Fprintf(a.out, "token %s is used again\n", token)
		default:
			fmt.Fprintf(a.out, "token %s does not cool down\n", token)
		}
		return err
	})
}
