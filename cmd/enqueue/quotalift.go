package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/redisconn"
)

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
		RunE: func(cmd *cobra.Command, _ []string) error {
			if token == "" {
				return usagef("%s needs --token-id T: `enqueue quota` lists them", cmd.CommandPath())
			}
			s, err := a.openAs(cmd, redisconn.Operator, config.Limits)
			if err != nil {
				return err
			}
			defer s.close()
			was, err := s.op.LiftCooling(cmd.Context(), token)
			if err != nil {
				return err
			}
			if !was {
				fmt.Fprintf(a.out, "token %s does not cool down\n", token)
				return nil
			}
			fmt.Fprintf(a.out, "token %s is used again\n", token)
			return nil
		},
	}
	cmd.Flags().StringVar(&token, "token-id", "", "the token's HMAC, as in `enqueue quota`; never the token")
	config.Bind(cmd.Flags(), config.Limits)
	return cmd
}
