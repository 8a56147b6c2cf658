package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"habilita/internal/config"
	"habilita/internal/redisconn"
	"habilita/internal/schedule"
	"habilita/internal/vault"
)

func (a *app) rekey() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "rekey",
		Short:   "Seal all tokens under the first key",
		GroupID: groupKeys,
		Long: `Seal all tokens, the rows of schedules, and the key that tokens get their names from, under the
first of HABILITA_KEYS. No token changes its token_id, and nothing stops meanwhile.

First restart producers and workers with the new key in front. Then run this. Then remove the
old key from HABILITA_KEYS. If it was cut off, run it again.`,
		Example: `  NEW=$(enqueue keygen --id k2)
  HABILITA_KEYS="$NEW,$HABILITA_KEYS" enqueue rekey`,
		Args: noArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.openAs(cmd, redisconn.Operator, config.Keys)
			if err != nil {
				return err
			}
			defer s.close()
			keys, err := vault.ParseKeys(s.set.Keys)
			if err != nil {
				return usagef("HABILITA_KEYS: %v", err)
			}
			naming, err := vault.RekeyTokenIDKey(cmd.Context(), s.rdb, prefix+":naming", keys)
			if err != nil {
				return err
			}
			n, err := s.op.Reseal(cmd.Context(), func(tokenID, sealed string) (string, error) {
				if sealed == "" {
					return "", nil
				}
				anew, changed, err := keys.ReSeal([]byte(sealed), tokenID)
				if err != nil {
					return "", fmt.Errorf("token %s: %w", tokenID, err)
				}
				if !changed {
					return "", nil
				}
				return string(anew), nil
			})
			if err != nil {
				return fmt.Errorf("%s sealed anew before it stopped: %w", count(n, "token"), err)
			}
			chunks, err := schedule.NewStore(s.rdb, prefix).Reseal(cmd.Context(), keys)
			if err != nil {
				return fmt.Errorf("%s sealed anew, and %s of schedules before it stopped: %w", count(n, "token"), count(chunks, "chunk"), err)
			}
			first := keys.IDs()[0]
			if asJSON {
				return writeJSON(a.out, map[string]any{"key": first, "tokens": n, "schedule_chunks": chunks, "naming_key": naming})
			}
			fmt.Fprintf(a.out, "%s sealed anew under key %s; the others were so already\n", count(n, "token"), first)
			if chunks > 0 {
				fmt.Fprintf(a.out, "%s of schedules' rows was sealed anew too\n", count(chunks, "chunk"))
			}
			if naming {
				fmt.Fprintln(a.out, "the naming key was sealed anew too")
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, `one JSON object: {"key","tokens","schedule_chunks","naming_key"}`)
	config.Bind(cmd.Flags(), config.Keys)
	return cmd
}
