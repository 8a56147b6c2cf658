package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"habilita/internal/vault"
)

func (a *app) keygen() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:     "keygen",
		Short:   "Print a new sealing key for HABILITA_KEYS",
		GroupID: groupKeys,
		Long: `Print a new sealing key: id:base64 of 32 random bytes. Tokens rest in Redis sealed under
it, so keep it: without it they can't be opened again. All producers and workers of a
Redis need the same keys. To change to a new key, put it before the old one
(HABILITA_KEYS=new,old), restart the workers, and run "enqueue rekey".`,
		Example: `  export HABILITA_KEYS=$(enqueue keygen)
  (umask 077 && enqueue keygen --id k2 > habilita.key)   # HABILITA_KEYS_FILE=habilita.key`,
		Args: noArgs(),
		RunE: func(*cobra.Command, []string) error {
			key, err := vault.GenerateKey(id)
			if err != nil {
				return usagef("--id: %v", err)
			}
			_, err = fmt.Fprintln(a.out, key)
			return err
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "id of the key, 1 to 16 letters, digits, _ or - (default: k and the date)")
	return cmd
}
